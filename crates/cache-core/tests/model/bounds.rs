//! Runs: each one switches on a part of what can happen, so that all of it can be gone through.
//!
//! What is not bounded by a run is bounded by the numbers of transactions: calls, polls, fills and refusals may be as many as they like.

use super::origin::{BAN, ELSEWHERE, Facts, GRANT, Writer};
use super::tier::{Key, Source};

pub(crate) const REVOKES: Writer = Writer { name: "revokes", sets: 0, clears: GRANT, kills: GRANT };
pub(crate) const BANS: Writer = Writer { name: "bans", sets: BAN, clears: 0, kills: BAN };
/// In one transaction: it allows in no state before, in none after, and in none between, because there is none.
pub(crate) const SWAPS: Writer = Writer { name: "swaps", sets: GRANT | BAN, clears: 0, kills: GRANT | BAN };
/// Both back again, in one transaction.
pub(crate) const SWAPS_BACK: Writer = Writer { name: "swaps back", sets: 0, clears: GRANT | BAN, kills: GRANT | BAN };
pub(crate) const GRANTS: Writer = Writer { name: "grants", sets: GRANT, clears: 0, kills: GRANT };
/// Changes what no decision here rests on.
pub(crate) const BYSTANDS: Writer = Writer { name: "bystands", sets: 0, clears: 0, kills: ELSEWHERE };

/// What may happen in a run.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    pub(crate) initial: Facts,
    pub(crate) writers: Vec<Writer>,
    /// The most transactions, retries and refreshes included.
    pub(crate) xids: usize,
    pub(crate) roll_backs: bool,
    /// Calls that take several steps at the same time.
    pub(crate) calls: usize,
    /// Where a finished load may put what.
    pub(crate) fills: Vec<(Source, Key)>,
    /// The parts that a load may take from the tiers: grant, ban.
    pub(crate) parts: [bool; 2],
    /// Whether other instances fill L2.
    pub(crate) peers: bool,
    /// Whether one snapshot, whose transaction polls the log first, holds for a whole evaluation.
    pub(crate) pinned: bool,
    pub(crate) flights: bool,
    pub(crate) refreshes: usize,
    pub(crate) trim: bool,
    pub(crate) forget: bool,
    pub(crate) gaps: bool,
    pub(crate) restart: bool,
    pub(crate) failover: bool,
}

const ALLOWED: Facts = Facts(GRANT);
const L1: (Source, Key) = (Source::L1, Key::Decision);
const L2: (Source, Key) = (Source::L2, Key::Decision);
const L2_BAN: (Source, Key) = (Source::L2, Key::Ban);
const L2_GRANT: (Source, Key) = (Source::L2, Key::Grant);

impl Bounds {
    fn new(name: &'static str, writers: &[Writer]) -> Self {
        Self {
            name,
            initial: ALLOWED,
            xids: writers.len(),
            writers: writers.to_vec(),
            roll_backs: false,
            calls: 1,
            fills: vec![L1],
            parts: [false; 2],
            peers: false,
            pinned: false,
            flights: false,
            refreshes: 0,
            trim: false,
            forget: false,
            gaps: false,
            restart: false,
            failover: false,
        }
    }

    /// The log and the memory tier: commits in any order, polls, the head.
    pub(crate) fn log() -> Self {
        Self { roll_backs: true, ..Self::new("log", &[REVOKES, BYSTANDS]) }
    }

    /// A grant that may be rolled back.
    pub(crate) fn rolled_back() -> Self {
        Self { roll_backs: true, initial: Facts(0), ..Self::new("rolled back", &[GRANTS, BYSTANDS]) }
    }

    /// L1 in front of an L2 that other instances fill as well.
    pub(crate) fn tiers() -> Self {
        Self { fills: vec![L1, L2, L2_BAN], peers: true, ..Self::new("tiers", &[REVOKES, BANS]) }
    }

    /// Decisions from cached parts, put together without a snapshot that holds for all of them.
    pub(crate) fn composition() -> Self {
        Self { fills: vec![L1, L2_GRANT, L2_BAN], parts: [true; 2], ..Self::new("composition", &[REVOKES, BANS]) }
    }

    /// One snapshot for each evaluation, whose transaction polls the log first.
    pub(crate) fn snapshot() -> Self {
        Self {
            initial: Facts(0),
            fills: vec![L1, L2_BAN],
            parts: [false, true],
            peers: true,
            pinned: true,
            ..Self::new("snapshot", &[SWAPS, SWAPS_BACK])
        }
    }

    /// Revocations against evaluations with a snapshot of their own.
    pub(crate) fn pinned() -> Self {
        Self { fills: vec![L1, L2_BAN], parts: [false, true], pinned: true, ..Self::new("pinned", &[REVOKES, BANS]) }
    }

    /// A load with a follower.
    pub(crate) fn flights() -> Self {
        Self { flights: true, gaps: true, ..Self::new("flights", &[REVOKES, BANS]) }
    }

    /// A horizon that forgets, and a reader that loses its position.
    pub(crate) fn forgetting() -> Self {
        Self { fills: vec![L1, L2], forget: true, gaps: true, ..Self::new("forgetting", &[REVOKES, BYSTANDS]) }
    }

    /// A log that is trimmed, and a process that starts again in front of a warm L2.
    pub(crate) fn start() -> Self {
        Self { fills: vec![L1, L2], trim: true, restart: true, ..Self::new("start", &[REVOKES, BYSTANDS]) }
    }

    /// A view that is refreshed now and then.
    pub(crate) fn view() -> Self {
        let bounds = Self::new("view", &[REVOKES, BANS]);
        Self { fills: Vec::new(), xids: bounds.writers.len() + 1, refreshes: 1, ..bounds }
    }

    /// A standby that lost the last commits takes over.
    pub(crate) fn failover() -> Self {
        Self { fills: vec![L1, L2], xids: 2, roll_backs: true, failover: true, ..Self::new("failover", &[REVOKES]) }
    }

    /// The same in front of a view, which goes over to the new history as it is.
    pub(crate) fn failover_view() -> Self {
        let bounds = Self::new("failover in front of a view", &[REVOKES]);
        Self { fills: Vec::new(), xids: bounds.writers.len() + 1, refreshes: 1, failover: true, ..bounds }
    }

    /// A view that is refreshed twice.
    pub(crate) fn view_twice() -> Self {
        Self { xids: 3, refreshes: 2, ..Self { name: "view, twice", writers: vec![REVOKES], ..Self::view() } }
    }

    /// Runs of a size that nobody wants to wait for each time.
    pub(crate) fn large() -> Vec<Self> {
        let three = || vec![REVOKES, BANS, BYSTANDS];
        vec![
            Self { name: "large log", writers: three(), xids: 4, ..Self::log() },
            Self { name: "large tiers", writers: three(), xids: 3, ..Self::tiers() },
            Self { name: "large snapshot", calls: 2, ..Self::snapshot() },
            Self { name: "large pinned", calls: 2, gaps: true, forget: true, flights: true, ..Self::pinned() },
            Self { name: "large forgetting", forget: true, gaps: true, ..Self::start() },
            Self { name: "large view", xids: 4, refreshes: 2, forget: true, ..Self::view() },
            Self { name: "large failover", writers: vec![REVOKES, BYSTANDS], peers: true, ..Self::failover() },
        ]
    }
}
