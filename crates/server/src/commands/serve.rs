//! `tiergate serve`

use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::{START_AGAIN, YES, fail};
use crate::cli::SettingsArgs;
use crate::serve::ServeError;
use crate::{serve, telemetry};

/// How long the end waits for what still runs. By then the decision point is closed, and nothing that is left could change anything.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(1);

pub(super) fn run(args: &SettingsArgs) -> ExitCode {
    let settings = match args.sources().load() {
        Ok(loaded) => loaded.settings,
        Err(error) => return fail(error),
    };
    telemetry::start(&settings.log);
    #[cfg(feature = "mistakes")]
    let _planted = match crate::config::plant_named() {
        Ok(planted) => planted,
        Err(error) => return fail(error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    let ended = runtime.block_on(serve::serve(settings));
    leave(runtime);
    match ended {
        Ok(()) => YES,
        Err(error @ ServeError::Lost(_)) => {
            fail(error);
            ExitCode::from(START_AGAIN)
        }
        Err(error) => fail(error),
    }
}

/// Ends the runtime. Dropping it would wait for every evaluation that is computing on a worker, however long it takes.
fn leave(runtime: Runtime) {
    runtime.shutdown_timeout(LEFT_BEHIND_AFTER);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_worker_that_computes_does_not_hold_up_the_end() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let ((begun, begins), (end, ends)) = (mpsc::channel(), mpsc::channel::<()>());
        runtime.spawn(async move {
            begun.send(()).unwrap();
            // Not a wait that the runtime could break off, just as a long computation.
            let _ = ends.recv();
        });
        begins.recv().unwrap();
        // The test would hang here: the worker is held until `end` is dropped.
        leave(runtime);
        drop(end);
    }
}
