//! `tiergate serve`

use std::process::ExitCode;

use super::{YES, fail};
use crate::cli::SettingsArgs;
use crate::{serve, telemetry};

pub(super) fn run(args: &SettingsArgs) -> ExitCode {
    let settings = match args.sources().load() {
        Ok(loaded) => loaded.settings,
        Err(error) => return fail(error),
    };
    telemetry::start(&settings.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(serve::serve(settings)) {
        Ok(()) => YES,
        Err(error) => fail(error),
    }
}
