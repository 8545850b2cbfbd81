//! Threads with a runtime of their own, for short work that others wait for: it never stands in a queue behind long work, and an operating system gives
//! a thread that mostly sleeps its turn at once.

use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Does some work on a thread of its own, which ends with it.
pub(crate) fn run<W>(name: &str, work: impl FnOnce() -> W + Send + 'static) -> io::Result<thread::JoinHandle<()>>
where
    W: Future<Output = ()>,
{
    let (tell, told) = mpsc::channel();
    // The runtime is made and dropped there: no thread of another one may wait for its end.
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _ = tell.send(Ok(()));
                runtime.block_on(work());
            }
            Err(error) => _ = tell.send(Err(error)),
        }
    })?;
    told.recv().map_err(io::Error::other)??;
    Ok(thread)
}

/// A thread for tasks. It ends, with all that runs on it, when it is dropped.
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

    fn try_start(name: &str) -> io::Result<Self> {
        let (end, ended) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        run(name, || async move {
            let _ = tell.send(Handle::current());
            // An error says that the other half was dropped.
            let _ = ended.await;
        })?;
        Ok(Self { handle: told.recv().map_err(io::Error::other)?, _end: Some(end) })
    }

    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(work)
    }
}
