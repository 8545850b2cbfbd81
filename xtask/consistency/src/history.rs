//! What happened, as the checker saw it from outside: a line of JSON for each change, question and fault.
//!
//! Times are microseconds since the run began, of one monotonic clock in one process. `begun` is before anything was sent, `ended` after everything
//! was read: what lies between two of them in this order lay so in truth.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// Events that wait for the disk; whoever has one more waits too.
const UNWRITTEN: usize = 1 << 16;

/// Names a subject whose access is granted and revoked, by one writer, one change at a time.
pub(crate) type Key = u64;

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// What was run, so that a history can be judged by itself.
    Run {
        seed: u64,
        commit: String,
        instances: usize,
        binary: String,
        /// How long load and faults were to last.
        #[serde(default)]
        seconds: u64,
        /// The faults that were to come.
        #[serde(default)]
        troubles: Vec<String>,
    },
    Change(Change),
    Probe(Probe),
    Fault {
        name: String,
        target: String,
        begun: u64,
        ended: u64,
    },
    /// How long it took from a commit that nobody of ours made until every instance had said that it applied it, and until every one had denied.
    Spread {
        key: Key,
        applied: Option<u64>,
        took: u64,
        fault: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct Change {
    pub(crate) keys: Vec<Key>,
    pub(crate) kind: Kind,
    pub(crate) way: Way,
    /// The instance that was asked.
    pub(crate) by: usize,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) outcome: Outcome,
    /// The fault that was there when it began, or nothing.
    pub(crate) fault: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Grant,
    Revoke,
}

/// How a subject loses access, or gets it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Way {
    /// A membership two teams below the one that may view.
    Member,
    /// An exclusion.
    Ban,
    /// The membership, by SQL past every instance.
    Sql,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is in force on every instance: a server said so, or every instance has answered so.
    Acknowledged,
    /// It was not made.
    Refused,
    /// Nobody said.
    Unknown,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct Probe {
    pub(crate) key: Key,
    pub(crate) by: usize,
    pub(crate) endpoint: Endpoint,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) allows: u32,
    pub(crate) denies: u32,
    /// Decisions that were none: 503, an error in an item, a broken connection.
    pub(crate) failed: u32,
    /// The status of the answer; 0 where none came.
    pub(crate) status: u16,
    /// Decisions by who made them: memory, Redis, views, origin, not said.
    pub(crate) sources: [u32; 5],
    pub(crate) fault: String,
}

/// The names of the columns of [`Probe::sources`].
pub(crate) const SOURCES: [&str; 5] = ["l1", "l2", "l3", "origin", "not said"];

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Endpoint {
    Single,
    Batch,
    Check,
    List,
    Search,
}

impl Endpoint {
    pub(crate) const ALL: [Self; 5] = [Self::Single, Self::Batch, Self::Check, Self::List, Self::Search];
}

/// Writes events into a file, on a thread of its own.
pub(crate) struct Recorder {
    start: Instant,
    events: SyncSender<Event>,
    writer: JoinHandle<std::io::Result<()>>,
}

/// What a thread records by.
#[derive(Clone)]
pub(crate) struct Pen {
    start: Instant,
    events: SyncSender<Event>,
}

impl Recorder {
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        let (events, received): (SyncSender<Event>, Receiver<Event>) = sync_channel(UNWRITTEN);
        let writer = std::thread::spawn(move || {
            for event in received {
                serde_json::to_writer(&mut file, &event)?;
                file.write_all(b"\n")?;
            }
            file.flush()
        });
        Ok(Self { start: Instant::now(), events, writer })
    }

    pub(crate) fn pen(&self) -> Pen {
        Pen { start: self.start, events: self.events.clone() }
    }

    /// Waits until everything is in the file. Every pen must be gone.
    pub(crate) fn close(self) -> std::io::Result<()> {
        drop(self.events);
        self.writer.join().unwrap_or_else(|_| Err(std::io::Error::other("the history could not be written")))
    }
}

impl Pen {
    /// Microseconds since the run began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(crate) fn write(&self, event: Event) {
        // Whoever closed the history early has said why.
        let _ = self.events.send(event);
    }
}

/// Reads a history.
///
/// # Errors
/// With the line that is none.
pub(crate) fn read(path: &Path) -> Result<Vec<Event>, String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = BufReader::new(file).lines().enumerate();
    lines
        .map(|(at, line)| {
            let line = line.map_err(|error| error.to_string())?;
            serde_json::from_str(&line).map_err(|error| format!("{}, line {}: {error}", path.display(), at + 1))
        })
        .collect()
}
