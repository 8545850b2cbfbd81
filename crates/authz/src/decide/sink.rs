//! From the origin's log to the horizon: changes become kills, and are in force before their writers get an answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use cache_core::{
    Delta, Error, ErrorKind, Horizon, Identity, Kill, KillSink, Lease, Log, Position, Revision, Stamp, entity_tag,
};

use super::types::CACHE_TYPES;
use crate::evaluate::tags;
use crate::store::{Change, ChangeSink, InvalidationScope, LoggedChange, Past};

/// Applies the origin's changes, and gives the chain the log that it needs: the origin's own.
pub(super) struct OriginLog {
    /// How long what the origin told may be trusted.
    lease: Arc<Lease>,
    /// None until the origin has joined its log.
    identity: OnceLock<Identity>,
    /// Every read that begins from now on has at least this stamp.
    stamp: AtomicU64,
    /// Another number whenever a store may have come or gone.
    stores: AtomicU64,
    horizon: OnceLock<Arc<Horizon>>,
    /// The chain, which tells its tiers whose history their content belongs to.
    chain: OnceLock<Weak<dyn KillSink>>,
}

impl OriginLog {
    pub(super) fn new(lease: Arc<Lease>) -> Self {
        Self {
            lease,
            identity: OnceLock::new(),
            stamp: AtomicU64::new(Stamp::OLDEST.get()),
            stores: AtomicU64::new(0),
            horizon: OnceLock::new(),
            chain: OnceLock::new(),
        }
    }

    /// Says which horizon to tell. Once, before the origin is attached.
    pub(super) fn bind(&self, horizon: &Arc<Horizon>) {
        let _ = self.horizon.set(Arc::clone(horizon));
    }

    /// Another number whenever a store may have come or gone. Ask the lease before.
    pub(super) fn stores(&self) -> u64 {
        self.stores.load(Ordering::Acquire)
    }

    fn stores_changed(&self) {
        self.stores.fetch_add(1, Ordering::AcqRel);
    }
}

/// Whether a store may have come or gone with a change. Of one whose whole content is another one nobody can tell.
fn concerns_stores(change: &LoggedChange) -> bool {
    matches!(change.change, Change::StoreReplaced(_) | Change::Invalidated(InvalidationScope::All))
}

impl ChangeSink for OriginLog {
    fn joined(&self, past: Past<'_>) {
        let Past { identity, floor, changes, stamp } = past;
        self.forget(floor);
        self.apply(changes);
        self.advance(stamp);
        // Last: what tiers hold from before is looked at only when everything that may have killed it is known.
        if self.identity.set(identity).is_ok()
            && let Some(chain) = self.chain.get().and_then(Weak::upgrade)
        {
            chain.bind(identity);
        }
    }

    fn advance(&self, stamp: Stamp) {
        self.stamp.fetch_max(stamp.get(), Ordering::AcqRel);
    }

    fn forget(&self, through: Revision) {
        self.stores_changed();
        if let Some(horizon) = self.horizon.get() {
            horizon.raise_floor(through);
        }
    }

    fn apply(&self, changes: &[LoggedChange]) {
        if changes.iter().any(concerns_stores) {
            self.stores_changed();
        }
        let Some(horizon) = self.horizon.get() else { return };
        let kills: Vec<(Revision, Vec<Kill>)> =
            changes.iter().map(|change| (change.revision, kills_of(&change.change))).collect();
        horizon.apply_all(kills.iter().map(|(revision, kills)| (*revision, kills.as_slice())));
    }

    fn lost(&self) {
        // An identity that nobody has. Without randomness the floor alone has to do.
        if let Ok(nobody) = Identity::random()
            && let Some(chain) = self.chain.get().and_then(Weak::upgrade)
        {
            chain.bind(nobody);
        }
    }
}

/// What a change kills, an administrator's invalidation included. A scope was read before it was logged; one that can't be read any more, by
/// another release, kills everything.
pub(super) fn kills_of(change: &Change) -> Vec<Kill> {
    match change {
        Change::Invalidated(scope) => scope_kills(scope).unwrap_or_else(|_| vec![Kill::All]),
        other => tags::kills(other),
    }
}

/// What a scope kills.
pub(super) fn scope_kills(scope: &InvalidationScope) -> Result<Vec<Kill>, String> {
    let kill = match scope {
        InvalidationScope::Subject { id } | InvalidationScope::Resource { id } => {
            let object = crate::relation::Object::parse(id).map_err(|error| error.to_string())?;
            Kill::Tag(entity_tag(&object.type_name, &object.id))
        }
        InvalidationScope::Type { name } => Kill::Type(super::types::cache_type(name).ok_or_else(|| {
            let known: Vec<_> = CACHE_TYPES.iter().map(|known| known.name()).collect();
            format!("{name:?} is no cache type; there are {}", known.join(", "))
        })?),
        InvalidationScope::Pattern { pattern } => {
            Kill::parse_pattern(pattern, &CACHE_TYPES).map_err(|error| error.to_string())?
        }
        InvalidationScope::All => Kill::All,
    };
    // Read sets that were coarsened no longer name their entities: one tag stands for all of them.
    let coarse = matches!(kill, Kill::Tag(_)).then(|| Kill::Tag(tags::coarse()));
    Ok(std::iter::once(kill).chain(coarse).collect())
}

#[async_trait]
impl Log for OriginLog {
    fn identity(&self) -> Option<Identity> {
        self.identity.get().copied()
    }

    fn stamp(&self) -> Stamp {
        Stamp::new(self.stamp.load(Ordering::Acquire))
    }

    fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    fn attach(&self, sink: Weak<dyn KillSink>) {
        let _ = self.chain.set(sink);
    }

    async fn append(&self, _: Vec<Kill>) -> Result<Revision, Error> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "origin log",
            "append",
            "kills follow from changes here: write to the origin, or append an invalidation scope to it",
        ))
    }

    async fn read(&self, _: Option<&Position>) -> Result<Delta, Error> {
        Err(Error::new(ErrorKind::Unsupported, "origin log", "read", "the origin pushes its changes to its sink"))
    }

    fn covers(&self, _: &Position, _: Revision) -> bool {
        // Nobody has a position of this log: reading it gives none. Those of the origin are compared by the origin.
        false
    }
}

impl std::fmt::Debug for OriginLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OriginLog({:?}, {:?})", self.identity(), self.stamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The identities that a chain was told.
    #[derive(Default)]
    struct Bound(std::sync::Mutex<Vec<Identity>>);

    impl KillSink for Bound {
        fn apply(&self, _: Revision, _: &[Kill]) {}

        fn bind(&self, identity: Identity) {
            self.0.lock().unwrap().push(identity);
        }
    }

    #[test]
    fn when_the_log_is_lost_shared_tiers_hear_of_an_identity_that_nobody_has() {
        let (log, bound) = (OriginLog::new(Arc::new(Lease::over())), Arc::<Bound>::default());
        let sink = Arc::downgrade(&bound);
        log.attach(sink as Weak<dyn KillSink>);
        let identity = Identity([7; 16]);
        log.joined(Past { identity, floor: Revision::ZERO, changes: &[], stamp: Stamp::OLDEST });
        log.lost();
        let told = bound.0.lock().unwrap().clone();
        assert!(told.len() == 2 && told[0] == identity && told[1] != identity, "{told:?}");
    }

    #[test]
    fn a_scope_that_names_an_entity_reaches_coarsened_values_too() {
        let kills = scope_kills(&InvalidationScope::Resource { id: "team:9".to_owned() }).unwrap();
        assert_eq!(kills, [Kill::Tag(entity_tag("team", "9")), Kill::Tag(tags::coarse())]);
        let pattern = InvalidationScope::Pattern { pattern: "*:team:9:*".to_owned() };
        assert_eq!(scope_kills(&pattern).unwrap(), kills);
    }

    #[test]
    fn a_scope_that_cannot_be_read_kills_everything() {
        let scope = InvalidationScope::Type { name: "of a later release".to_owned() };
        assert!(scope_kills(&scope).is_err());
        assert_eq!(kills_of(&Change::Invalidated(scope)), [Kill::All]);
    }
}
