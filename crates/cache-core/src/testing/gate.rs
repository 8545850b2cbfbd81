//! A gate in the way of an operation: a test closes it, waits until somebody stands before it, does what must come first, and opens it.

use tokio::sync::watch;

/// A gate that is open unless it was closed.
#[derive(Debug)]
pub struct Gate {
    closed: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { closed: watch::Sender::new(false), waiting: watch::Sender::new(0) }
    }
}

impl Gate {
    /// Lets nobody pass.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Lets everybody pass.
    pub fn open(&self) {
        self.closed.send_replace(false);
    }

    /// Waits until the gate is open.
    pub async fn pass(&self) {
        if !*self.closed.borrow() {
            return;
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        let leave = Leave(&self.waiting);
        let _ = self.closed.subscribe().wait_for(|closed| !closed).await;
        drop(leave);
    }

    /// Waits until somebody stands before the closed gate.
    pub async fn reached(&self) {
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }
}

/// Who is cancelled before the gate does not stand before it any more.
struct Leave<'a>(&'a watch::Sender<usize>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}
