//! A thread with a runtime of its own, for short work that others wait for: it never stands in a queue behind long work, and an operating system gives
//! a thread that mostly sleeps its turn at once.

use std::future::Future;
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Ends, with all that runs on it, when it is dropped.
pub(crate) struct OwnThread {
    handle: Handle,
    _end: Option<oneshot::Sender<()>>,
}

impl OwnThread {
    /// Where no thread can be had, what is spawned runs with everything else.
    pub(crate) fn start(name: &str) -> Self {
        Self::try_start(name).unwrap_or_else(|error| {
            tracing::warn!(%error, thread = name, "no thread of its own can be started");
            Self { handle: Handle::current(), _end: None }
        })
    }

    fn try_start(name: &str) -> std::io::Result<Self> {
        let (end, ended) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        // The runtime is made and dropped there: no other thread may wait for its end.
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let _ = tell.send(Ok(runtime.handle().clone()));
                    // An error says that the other half was dropped.
                    let _ = runtime.block_on(ended);
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        })?;
        let handle = told.recv().map_err(std::io::Error::other)??;
        Ok(Self { handle, _end: Some(end) })
    }

    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(work)
    }
}
