//! The whole state, part by part, and what an answer is held against.

use super::bounds::{Bounds, Change, INSTANCES};
use super::database::{Database, Members, Row, Set};
use super::entry::{Entry, Key, Source, Tier};
use super::instance::{Instance, Phase};
use super::mistake::Mistake;
use super::protocol::Protocol;

/// A question, or a load, between its steps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Call {
    /// A question that has passed its first check with this value in hand.
    Asking { instance: u8, from: Source, entry: Entry, incarnation: u8, acknowledged: Set },
    /// A load that has read, and perhaps one who waits for it and asked after that.
    Loading { instance: u8, entry: Entry, follower: Option<Set> },
}

impl Call {
    pub(crate) fn instance(&self) -> usize {
        match self {
            Self::Asking { instance, .. } | Self::Loading { instance, .. } => usize::from(*instance),
        }
    }
}

/// What came of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Answered {
    pub(crate) source: Source,
    pub(crate) allow: bool,
    /// Put together with a cached part.
    pub(crate) composed: bool,
    /// By an instance that has joined anew.
    pub(crate) rejoined: bool,
    /// An allow because of what was revoked, and acknowledged as revoked before the question.
    pub(crate) stale_allow: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    pub(crate) database: Database,
    /// What a standby has of it.
    pub(crate) standby: Database,
    /// What a crash of the server leaves of the table of members.
    pub(crate) flushed: Members,
    pub(crate) crashed: bool,
    /// How many incarnations there were.
    pub(crate) used: u8,
    /// How many messages were lost, where that is bounded.
    pub(crate) lost: u8,
    pub(crate) instances: [Instance; INSTANCES],
    pub(crate) l2: Tier,
    pub(crate) call: Option<Call>,
    /// The writers whose change was acknowledged, and is not lost with a history.
    pub(crate) acknowledged: Set,
    /// An answer ends a run: nothing else depends on it. All other fields are then as in the beginning, so that answers add few states.
    pub(crate) answered: Option<Answered>,
}

impl State {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let mut state = Self {
            database: Database::default(),
            standby: Database::default(),
            flushed: Members::default(),
            crashed: false,
            used: 0,
            lost: 0,
            instances: Default::default(),
            l2: Tier::default(),
            call: None,
            acknowledged: Set::default(),
            answered: None,
        };
        for (owner, (instance, role)) in (0..).zip(state.instances.iter_mut().zip(bounds.roles)) {
            let sight = (role.start != Phase::Fresh).then_some(0);
            *instance = Instance { phase: role.start, crashes: role.crashes, sight, ..Instance::default() };
            if role.start == Phase::Joined {
                let row = Row { owner, epoch: 0, counter: 0, reported: Set::default(), fenced: false };
                state.database.members[usize::from(state.used)] = Some(row);
                (instance.incarnation, instance.lease_runs, instance.ticked) = (state.used, true, true);
                state.used += 1;
            }
        }
        let nothing_happened = state.database.snapshot(&bounds.writers);
        for (source, key) in &bounds.warm {
            let entry = Entry::read(*key, &nothing_happened);
            match source {
                Source::L1 => {
                    let joined = state.instances.iter_mut().filter(|instance| instance.phase == Phase::Joined);
                    joined.for_each(|instance| instance.l1.put(entry));
                }
                Source::L2 => state.l2.put(entry),
                Source::Flight => {}
            }
        }
        state.standby = if bounds.failover { state.database } else { state.standby };
        state.flushed = if bounds.server_crash { state.database.members } else { state.flushed };
        state
    }

    pub(crate) fn cached(&self, at: usize, from: Source, key: Key) -> Option<Entry> {
        match from {
            Source::L1 => self.instances[at].l1.get(key),
            Source::L2 => self.l2.get(key),
            Source::Flight => None,
        }
    }

    /// Judges an answer: of the value alone, or of the part and what the origin says of the rest now.
    pub(crate) fn answer(&self, at: usize, source: Source, entry: &Entry, asked: Set, protocol: &Protocol) -> Self {
        let composed = entry.key == Key::Ban;
        let granted = || self.database.snapshot(&protocol.bounds.writers).revoked.is_empty();
        let allow = if composed { !entry.holds && granted() } else { entry.holds };
        let writers = (0..).zip(&protocol.bounds.writers);
        let taken = writers.filter(|(writer, change)| **change != Change::Bystands && asked.has(*writer)).count() > 0;
        let first_lives = protocol.bounds.roles.iter().filter(|role| role.start == Phase::Joined).count();
        let rejoined = usize::from(self.instances[at].incarnation) >= first_lives;
        let stale_allow = allow && taken;
        // All wrong answers are one state: the way to it that is printed is then a shortest one.
        let answered = match stale_allow {
            true => Answered { source: Source::L1, allow, composed: false, rejoined: false, stale_allow },
            false => Answered { source, allow, composed, rejoined, stale_allow },
        };
        Self { answered: Some(answered), ..Self::new(&protocol.bounds) }
    }

    /// Everything before this statement is on the disk.
    pub(crate) fn flush(&mut self, protocol: &Protocol) {
        if protocol.bounds.server_crash && !self.crashed {
            self.flushed = self.database.members;
        }
    }

    pub(crate) fn flush_unless(&mut self, careless: Mistake, protocol: &Protocol) {
        if !protocol.makes(careless) {
            self.flush(protocol);
        }
    }

    /// What a failover lost can't be held against an answer: whoever wants that not to happen waits for the standby at each commit.
    pub(crate) fn forget_lost_acknowledgements(&mut self) {
        let kept = self.database.writers();
        self.acknowledged = self.acknowledged.common(kept);
        if let Some(Call::Asking { acknowledged, .. } | Call::Loading { follower: Some(acknowledged), .. }) =
            &mut self.call
        {
            *acknowledged = acknowledged.common(kept);
        }
    }
}
