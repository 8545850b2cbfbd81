//! What lies under one of our names and nobody with our key has sealed for it is of no use to any instance: it is removed, so that it is not read
//! again and again until it ends.
//!
//! Behind the answer, which is a miss and waits for nothing; and a while after it, because a miss mostly leads to a fill, which replaces what lies
//! there. What is removed is read once more first, and stays unless it is still the very same bytes: so neither what an instance has stored since,
//! nor what was only damaged on its way to us, is lost. Between that reading and the removal somebody may store a value, which is lost then: a miss
//! more. To compare and remove in one step takes a script, or a command that few servers have, and rights to use them.
//!
//! One sweep at a time, of a bounded number of names and bytes; what finds it busy is found again by the next who asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::Clock;

use crate::commands;
use crate::core::{Core, Operation};

/// How long a fill has to replace what was found.
const PAUSE: Duration = Duration::from_secs(1);
/// Names of one sweep.
const MAX_NAMES: usize = 32;
/// Bytes that a sweep keeps to compare with.
const MAX_BYTES: usize = 1 << 20;

/// Removes junk.
#[derive(Default)]
pub(crate) struct Mender {
    is_busy: AtomicBool,
}

/// Names, and what lay there when somebody looked.
#[derive(Default)]
pub(crate) struct Junk {
    found: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

/// A sweep that is under way, for as long as this lives.
struct Sweep<'a>(&'a AtomicBool);

impl Junk {
    /// Takes note of a name; beyond the bounds it doesn't.
    pub(crate) fn note(&mut self, name: &str, bytes: Vec<u8>) {
        if self.found.len() < MAX_NAMES && self.bytes + bytes.len() <= MAX_BYTES {
            self.bytes += bytes.len();
            self.found.push((name.to_owned(), bytes));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Removes what is still there, and says how much that was. Errors are counted where they occur, and change nothing for anybody.
    async fn remove(self, core: &Core) -> u64 {
        let names = self.found.iter().map(|(name, _)| name.as_str());
        let request = commands::get_one_by_one(names, core.is_cluster);
        let Ok(answer) = core.run(Operation::Get, request).await else { return 0 };
        let same = self.found.iter().zip(answer.replies).filter_map(|((name, junk), reply)| {
            let found = reply.and_then(commands::bytes).ok()??;
            (found == *junk).then_some(name.as_str())
        });
        let same: Vec<_> = same.collect();
        if same.is_empty() {
            return 0;
        }
        let request = commands::unlink_each(same.into_iter(), core.is_cluster);
        let Ok(answer) = core.run(Operation::Remove, request).await else { return 0 };
        answer.replies.iter().filter(|reply| matches!(reply, Ok(redis::Value::Int(1..)))).count() as u64
    }
}

impl Mender {
    /// A sweep, unless there is one.
    fn begin(&self) -> Option<Sweep<'_>> {
        (!self.is_busy.swap(true, Ordering::AcqRel)).then_some(Sweep(&self.is_busy))
    }

    /// Whether there is none.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_busy.load(Ordering::Acquire)
    }

    /// Removes junk after a while, if nobody is about to do so already.
    pub(crate) async fn sweep(&self, core: &Core, clock: &dyn Clock, junk: Junk) {
        if let Some(_sweep) = self.begin() {
            clock.sleep(PAUSE).await;
            let removed = junk.remove(core).await;
            core.counters.junk_removed.fetch_add(removed, Ordering::Relaxed);
        }
    }
}

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
