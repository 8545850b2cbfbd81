//! The invalidation log: what gives changes their revisions, and reads their stamps.
//!
//! A change of the origin is committed first and appended after. So whoever takes a stamp after an append reads a state that contains
//! the change, and whoever read before it has a stamp that does not claim to.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;

use crate::sync::{Exclusive, Std, SyncFamily};
use crate::{Error, ErrorKind, Horizon, Kill, Lease, Revision, Stamp};

/// Which log it is. Two histories never share an identity, also where one was restored from a copy of the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(pub [u8; 16]);

impl Identity {
    /// An identity that no other log has.
    ///
    /// # Errors
    /// Where the operating system has no randomness to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What a reader of a log has applied. Only its log can read it: for one log it is a number, for another a whole snapshot.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Position(Box<[u8]>);

impl Position {
    /// A position as its log wrote it.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({:02x?})", self.0)
    }
}

/// What happened after a position.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The changes.
    pub changes: Vec<(Revision, Arc<[Kill]>)>,
    /// Everything up to here may be missing from the changes: raise the floor to it.
    pub floor: Option<Revision>,
    /// The position after them.
    pub position: Position,
}

/// Who applies what a log brings.
pub trait KillSink: Send + Sync + 'static {
    /// Applies one change, before whoever appended it gets an answer.
    fn apply(&self, revision: Revision, kills: &[Kill]);

    /// Learns whose history counts from now on: what outlives the process and was written under another identity means nothing any more. An
    /// identity that nobody else has stands for "nothing that is out there can be trusted".
    fn bind(&self, identity: Identity) {
        let _ = identity;
    }
}

impl<S: SyncFamily> KillSink for Horizon<S> {
    fn apply(&self, revision: Revision, kills: &[Kill]) {
        Self::apply(self, revision, kills);
    }
}

/// An invalidation log.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Which one it is; none as long as its backend has not said so. Tiers that outlive the process have nothing until then: see
    /// [`KillSink::bind`].
    fn identity(&self) -> Option<Identity>;

    /// A lower bound for the stamp of a read that begins after this call.
    fn stamp(&self) -> Stamp;

    /// Registers a horizon. When this returns it has been told of every change that is retained, and of every change from now on it is told
    /// before the change's writer gets an answer. A tier may hold values from before: without the past they would pass for usable.
    ///
    /// A log whose identity can change, or is learnt late, binds the sink to it now and whenever it changes.
    fn attach(&self, sink: Weak<dyn KillSink>);

    /// Appends what a change kills, after the origin has committed the change. When this returns, every attached horizon has applied it.
    async fn append(&self, kills: Vec<Kill>) -> Result<Revision, Error>;

    /// What happened after a position; everything that is retained, without one.
    async fn read(&self, after: Option<&Position>) -> Result<Delta, Error>;

    /// How long what it told may be trusted without hearing from it. Where that is unlimited, what is cached lives on while the log can't be reached.
    /// The same for as long as the log lives.
    fn lease(&self) -> Arc<Lease> {
        Arc::new(Lease::unlimited())
    }

    /// Whether a position contains a change.
    fn covers(&self, position: &Position, revision: Revision) -> bool;
}

/// The most changes that an [`InProcessLog`] retains for readers.
pub const RETAINED_CHANGES: usize = 4_096;

/// A log in this process: a counter. It ends with the process, so that nothing that outlives the process may be cached under it
/// without its identity, which is drawn anew at each start.
pub struct InProcessLog<S: SyncFamily = Std> {
    identity: Identity,
    state: S::Exclusive<State>,
}

struct State {
    last: Revision,
    retained: VecDeque<(Revision, Arc<[Kill]>)>,
    forgotten: Revision,
    sinks: Vec<Weak<dyn KillSink>>,
}

impl<S: SyncFamily> InProcessLog<S> {
    /// An empty log.
    ///
    /// # Errors
    /// Where the operating system has no randomness for its identity.
    pub fn new() -> Result<Self, Error> {
        let identity = Identity::random()
            .map_err(|cause| Error::new(ErrorKind::Unavailable, "in-process log", "start", cause.to_string()))?;
        Ok(Self::with_identity(identity))
    }

    /// An empty log with a given identity, for tests that must repeat.
    #[must_use]
    pub fn with_identity(identity: Identity) -> Self {
        let state =
            State { last: Revision::ZERO, retained: VecDeque::new(), forgotten: Revision::ZERO, sinks: Vec::new() };
        Self { identity, state: S::Exclusive::new(state) }
    }

    /// [`Log::append`], which this log can do without waiting.
    pub fn append_now(&self, kills: Vec<Kill>) -> Revision {
        let kills: Arc<[Kill]> = kills.into();
        let (revision, sinks) = self.state.with(|state| {
            state.last = Revision::new(state.last.get() + 1);
            if state.retained.len() == RETAINED_CHANGES
                && let Some((revision, _)) = state.retained.pop_front()
            {
                state.forgotten = revision;
            }
            state.retained.push_back((state.last, Arc::clone(&kills)));
            state.sinks.retain(|sink| sink.strong_count() > 0);
            (state.last, state.sinks.clone())
        });
        // Outside of the lock: a ticket that is taken now has a stamp that contains the change, which is committed; two appends may
        // apply in either order, because applying takes the maximum.
        for sink in sinks {
            if let Some(sink) = sink.upgrade() {
                sink.apply(revision, &kills);
            }
        }
        revision
    }
}

#[async_trait]
impl<S: SyncFamily> Log for InProcessLog<S> {
    fn identity(&self) -> Option<Identity> {
        Some(self.identity)
    }

    fn stamp(&self) -> Stamp {
        self.state.with(|state| state.last.stamp_after())
    }

    fn attach(&self, sink: Weak<dyn KillSink>) {
        let Some(newcomer) = sink.upgrade() else { return };
        let (forgotten, retained) = self.state.with(|state| {
            state.sinks.push(sink);
            (state.forgotten, state.retained.clone())
        });
        // What is no longer retained may have killed anything. A change that is appended meanwhile may be applied before these, or twice:
        // applying takes the maximum.
        if forgotten > Revision::ZERO {
            newcomer.apply(forgotten, &[Kill::All]);
        }
        for (revision, kills) in retained {
            newcomer.apply(revision, &kills);
        }
    }

    async fn append(&self, kills: Vec<Kill>) -> Result<Revision, Error> {
        Ok(self.append_now(kills))
    }

    async fn read(&self, after: Option<&Position>) -> Result<Delta, Error> {
        let after = after.map(number).transpose()?.unwrap_or(Revision::ZERO);
        Ok(self.state.with(|state| Delta {
            changes: state.retained.iter().filter(|(revision, _)| *revision > after).cloned().collect(),
            floor: (state.forgotten > after).then_some(state.forgotten),
            position: Position::from_bytes(state.last.get().to_be_bytes()),
        }))
    }

    fn covers(&self, position: &Position, revision: Revision) -> bool {
        number(position).is_ok_and(|last| revision <= last)
    }
}

impl<S: SyncFamily> fmt::Debug for InProcessLog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InProcessLog({:?})", self.identity)
    }
}

fn number(position: &Position) -> Result<Revision, Error> {
    let bytes = position.as_bytes().try_into().map_err(|_| {
        Error::new(
            ErrorKind::Unsupported,
            "in-process log",
            "read",
            "the position was written by a log of another kind",
        )
    })?;
    Ok(Revision::new(u64::from_be_bytes(bytes)))
}
