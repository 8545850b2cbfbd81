//! Runs: each one switches on a part of what can happen, so that all of it can be gone through.
//!
//! What is bounded is what can be had anew: incarnations, renewals, crashes, a failover. Polls, questions, loads and looks at the table of members may be as many as they
//! like.

use super::entry::{Key, Source};
use super::instance::Phase;

/// What a writer does to the decision, which holds as long as nobody revoked or banned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Change {
    Revokes,
    Bans,
    /// Changes what no value here rests on.
    Bystands,
}

pub(crate) const INSTANCES: usize = 2;

/// What one instance may do in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role {
    pub(crate) start: Phase,
    pub(crate) judges: bool,
    pub(crate) is_asked: bool,
    pub(crate) crashes: u8,
    pub(crate) leaves: bool,
}

/// What may happen in a run.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    pub(crate) writers: Vec<Change>,
    pub(crate) roles: [Role; INSTANCES],
    /// The most incarnations, all instances together.
    pub(crate) incarnations: u8,
    /// The highest counter of a row: how often an incarnation may renew.
    pub(crate) renewals: u8,
    /// What lies in which tier at the beginning, and what is asked for.
    pub(crate) warm: Vec<(Source, Key)>,
    pub(crate) loads: bool,
    pub(crate) promotes: bool,
    /// Whether questions look at the horizon first and at the lease last.
    pub(crate) lease_last: bool,
    /// Whether requests and answers of a renewal or a registration get lost.
    pub(crate) losses: bool,
    /// Whether what the sender has given up arrives all the same, and reports of positions take their time.
    pub(crate) late: bool,
    pub(crate) server_crash: bool,
    pub(crate) failover: bool,
    /// Whether it is progress that is looked at. Nothing is asked then, and every way ends.
    pub(crate) progress: bool,
}

/// A process that writes and judges, and is no member because it has no caches.
const JUDGE: Role = Role { start: Phase::Apart, judges: true, is_asked: false, crashes: 0, leaves: false };
/// A member that is asked.
const MEMBER: Role = Role { start: Phase::Joined, judges: false, is_asked: true, crashes: 0, leaves: false };
/// Both.
const BOTH: Role = Role { judges: true, ..MEMBER };

const L1: (Source, Key) = (Source::L1, Key::Decision);
const L2: (Source, Key) = (Source::L2, Key::Decision);
const L1_BAN: (Source, Key) = (Source::L1, Key::Ban);
const L2_BAN: (Source, Key) = (Source::L2, Key::Ban);

impl Bounds {
    fn new(name: &'static str, writers: &[Change], roles: [Role; INSTANCES]) -> Self {
        Self {
            name,
            writers: writers.to_vec(),
            roles,
            incarnations: 2,
            renewals: 2,
            warm: vec![L1],
            loads: false,
            promotes: false,
            lease_last: false,
            losses: false,
            late: false,
            server_crash: false,
            failover: false,
            progress: false,
        }
    }

    /// A judge, a member, and two writers of which one is of no interest: leases that end at any moment, renewals that are late or lost.
    pub(crate) fn lease() -> Self {
        Self {
            losses: true,
            incarnations: 3,
            renewals: 3,
            ..Self::new("lease", &[Change::Revokes, Change::Bystands], [JUDGE, MEMBER])
        }
    }

    /// Requests and reports that arrive when nobody counts on them any more.
    pub(crate) fn late() -> Self {
        let member = Role { leaves: true, ..MEMBER };
        Self { name: "late", late: true, warm: vec![L2], roles: [JUDGE, member], renewals: 2, ..Self::lease() }
    }

    /// The same for questions that look at their lease last.
    pub(crate) fn lease_last() -> Self {
        Self { name: "lease last", lease_last: true, ..Self::lease() }
    }

    /// An instance that starts, dies, and starts again, with a warm L2 before it.
    pub(crate) fn join() -> Self {
        let member = Role { start: Phase::Fresh, crashes: 1, ..MEMBER };
        Self {
            warm: vec![L2],
            losses: true,
            incarnations: 3,
            renewals: 1,
            ..Self::new("join", &[Change::Revokes, Change::Bystands], [JUDGE, member])
        }
    }

    /// Decisions of the origin's grant and a cached `not banned`.
    pub(crate) fn parts() -> Self {
        Self { warm: vec![L1_BAN, L2_BAN], ..Self::new("parts", &[Change::Bans, Change::Revokes], [JUDGE, MEMBER]) }
    }

    /// Loads under way, fills of both tiers, and others who wait for a load.
    pub(crate) fn flights() -> Self {
        Self { warm: Vec::new(), loads: true, ..Self::new("flights", &[Change::Revokes], [JUDGE, MEMBER]) }
    }

    /// Copies from L2 into L1.
    pub(crate) fn promotion() -> Self {
        Self { warm: vec![L2], promotes: true, ..Self::new("promotion", &[Change::Revokes], [JUDGE, MEMBER]) }
    }

    /// An instance that leaves, and may come back.
    pub(crate) fn leaving() -> Self {
        let member = Role { leaves: true, ..MEMBER };
        Self { warm: vec![L1, L2], ..Self::new("leaving", &[Change::Revokes], [JUDGE, member]) }
    }

    /// The same for questions that look at their lease last.
    pub(crate) fn leaving_lease_last() -> Self {
        Self { name: "leaving, lease last", lease_last: true, ..Self::leaving() }
    }

    /// Two members with an L2 between them, which both may be asked for the acknowledgement, and both for decisions.
    pub(crate) fn two_members() -> Self {
        Self {
            warm: vec![L2],
            incarnations: 3,
            renewals: 0,
            ..Self::new("two members", &[Change::Revokes], [BOTH, BOTH])
        }
    }

    /// Two processes that may be asked for the acknowledgement, of which one dies; the other one is a member.
    pub(crate) fn two_judges() -> Self {
        let first = Role { crashes: 1, ..JUDGE };
        Self { warm: vec![L1, L2], ..Self::new("two judges", &[Change::Revokes], [first, BOTH]) }
    }

    /// The server dies and comes back with all that it said was committed; reports of positions may be gone.
    pub(crate) fn crash() -> Self {
        Self { server_crash: true, ..Self::new("crash of the server", &[Change::Revokes], [JUDGE, MEMBER]) }
    }

    /// A standby that lost the last commits takes over: changes, rows of members, renewals, fencings.
    pub(crate) fn failover() -> Self {
        Self {
            failover: true,
            renewals: 1,
            ..Self::new("failover", &[Change::Revokes, Change::Bystands], [JUDGE, MEMBER])
        }
    }

    /// The same for an instance that registers meanwhile, in front of a warm L2, and a judge that dies and starts again.
    pub(crate) fn failover_join() -> Self {
        let judge = Role { crashes: 1, ..JUDGE };
        let member = Role { start: Phase::Fresh, ..MEMBER };
        Self {
            name: "failover while joining",
            warm: vec![L2],
            writers: vec![Change::Revokes],
            roles: [judge, member],
            ..Self::failover()
        }
    }

    /// A member that dies, or falls silent, or loses what it sends.
    pub(crate) fn progress() -> Self {
        let member = Role { crashes: 1, leaves: true, ..MEMBER };
        Self {
            progress: true,
            losses: true,
            ..Self::new("progress", &[Change::Revokes, Change::Bystands], [JUDGE, member])
        }
    }

    /// Two members who judge each other, of which one dies.
    pub(crate) fn progress_of_two() -> Self {
        let first = Role { crashes: 1, ..BOTH };
        Self {
            name: "progress of two",
            progress: true,
            renewals: 0,
            ..Self::new("", &[Change::Revokes], [first, BOTH])
        }
    }

    /// A server that dies or is replaced.
    pub(crate) fn progress_of_servers() -> Self {
        Self {
            name: "progress over a failover",
            progress: true,
            server_crash: true,
            writers: vec![Change::Revokes],
            roles: [JUDGE, MEMBER],
            ..Self::failover()
        }
    }

    /// Runs of a size that nobody wants to wait for each time.
    pub(crate) fn large() -> Vec<Self> {
        let asked = |bounds: Self| Self { warm: vec![L1, L2, L2_BAN], ..bounds };
        vec![
            Self { name: "large lease", renewals: 4, incarnations: 4, late: true, ..asked(Self::lease()) },
            Self { name: "large join", incarnations: 4, renewals: 2, warm: vec![L2, L2_BAN], ..Self::join() },
            Self {
                name: "large flights",
                losses: true,
                promotes: true,
                ..asked(Self { loads: true, ..Self::lease() })
            },
            Self { name: "large two members", renewals: 1, ..Self::two_members() },
            Self {
                name: "large crash",
                losses: true,
                writers: vec![Change::Revokes, Change::Bystands],
                ..Self::crash()
            },
            Self { name: "large failover", losses: true, renewals: 2, incarnations: 3, ..Self::failover() },
            Self {
                name: "large late failover",
                losses: true,
                late: true,
                writers: vec![Change::Revokes],
                ..Self::failover()
            },
            Self {
                name: "large failover and crash",
                server_crash: true,
                writers: vec![Change::Revokes],
                warm: vec![L1, L2],
                ..Self::failover()
            },
        ]
    }
}
