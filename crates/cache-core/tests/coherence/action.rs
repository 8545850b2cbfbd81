//! The steps: of the server, of time, of instances, of judges, of questions.

use super::database::Xid;
use super::entry::{Key, Source};

/// One step of somebody. `at` is an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    // The server.
    Commit {
        writer: u8,
        xid: Xid,
    },
    /// A registration or a renewal arrives, and is committed or refused.
    Grant {
        at: usize,
    },
    /// Something arrives that nobody waits for any more.
    ArriveLate {
        at: usize,
    },
    Replicate,
    FailOver,
    CrashServer,
    Sweep {
        incarnation: usize,
    },

    // Time.
    LeaseEnds {
        at: usize,
    },
    /// Of a registration or a renewal that was sent: a lease from it would be over.
    RequestIsSpent {
        at: usize,
    },
    SilenceEnds {
        at: usize,
    },
    Tick {
        at: usize,
    },

    // Instances.
    Start {
        at: usize,
    },
    Register {
        at: usize,
    },
    Renew {
        at: usize,
    },
    Hear {
        at: usize,
    },
    Lose {
        at: usize,
    },
    Poll {
        at: usize,
    },
    Apply {
        at: usize,
    },
    Report {
        at: usize,
    },
    Close {
        at: usize,
    },
    Leave {
        at: usize,
    },
    Crash {
        at: usize,
    },

    // Judges.
    Look {
        at: usize,
        xid: Xid,
    },
    /// The row's counter has not changed for longer than a lease.
    Await {
        at: usize,
        incarnation: usize,
        counter: u8,
    },
    Fence {
        at: usize,
        incarnation: usize,
        counter: u8,
    },

    // Questions.
    /// One that is answered from a tier at once.
    Answer {
        at: usize,
        from: Source,
        key: Key,
    },
    /// One that waits between its first check and its last.
    Ask {
        at: usize,
        from: Source,
        key: Key,
    },
    Load {
        at: usize,
    },
    Follow,
    AnswerCall,
    Promote,
    Fill {
        into: Source,
    },
    GiveUp,
}
