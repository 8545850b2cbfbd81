//! What signals do: the first one asks the process to end, the second one insists, and SIGHUP has it read its keys anew.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::app::App;

/// The exit status after a second signal, as a shell counts it for SIGINT.
const INSISTED: i32 = 130;

/// The signals that end the process.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// From now on ends the process at the next signal, whatever is still going on. What was acknowledged is on the disk.
    ///
    /// It waits on a thread of its own, which lives as long as the process: the workers may all be computing, or be gone already.
    ///
    /// # Errors
    /// Where the operating system refuses a thread.
    pub fn insist(mut self) -> io::Result<()> {
        let wait = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                runtime.block_on(self.next());
                tracing::warn!("a second signal: ending at once");
                std::process::exit(INSISTED);
            }
            Err(error) => tracing::warn!(%error, "a second signal will not end the process at once"),
        };
        std::thread::Builder::new().name("insist".to_owned()).spawn(wait).map(drop)
    }
}

/// The signal that asks for a reload.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Listens from now on: the signal ends the process no more.
    ///
    /// # Errors
    /// Where the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Reloads at each of them, for ever.
    pub async fn reload(&mut self, app: &Arc<App>) {
        loop {
            self.0.recv().await;
            let app = Arc::clone(app);
            // Files are read on a thread that may wait for them.
            let Ok(reloaded) = tokio::task::spawn_blocking(move || app.reload()).await else { continue };
            if let Err(error) = reloaded {
                tracing::error!(%error, "keys and certificate stay as they were");
            }
        }
    }
}

/// Tells everybody to stop.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// Is told when to stop.
#[derive(Clone, Debug)]
pub struct Stopped(watch::Receiver<bool>);

impl Stop {
    /// A pair of them.
    #[must_use]
    pub fn new() -> (Self, Stopped) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stopped(receiver))
    }

    /// From now on.
    pub fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Stopped {
    /// Waits until it is time.
    pub async fn wait(&mut self) {
        // A sender that is gone has nobody left to wait for.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
