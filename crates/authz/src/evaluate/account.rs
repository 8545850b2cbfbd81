//! The account of an answer: what it rests on, and so what kills it.
//!
//! The read set stays within its bound: first the predicates give way to whole relations, then everything to the store. It is never cut. The account
//! itself stays within the bound, too, however much is entered.

use cache_core::{Moment, ReadSet, Stamp, Tag, TypeSet, entity_tag};

use super::{Provenance, tags};
use crate::relation::Object;
use crate::store::{StoreId, TupleRead};

/// What an answer was found to rest on so far.
#[derive(Clone, Debug)]
pub struct Account {
    store: StoreId,
    max_read_set: usize,
    /// The predicates, the entities, and what cached parts brought; none once these are too many.
    exact: Option<ReadSet>,
    /// The same with whole relations in place of predicates, and without entities; none once these are too many.
    by_relation: Option<ReadSet>,
    stamp: Option<Stamp>,
    hard_expiry: Moment,
    types: TypeSet,
}

impl Account {
    /// Nothing yet. A read set of more than `max_read_set` tags is coarsened.
    #[must_use]
    pub fn new(store: StoreId, max_read_set: usize) -> Self {
        Self {
            store,
            max_read_set,
            exact: Some(ReadSet::new()),
            by_relation: Some(ReadSet::new()),
            stamp: None,
            hard_expiry: Moment::NEVER,
            types: TypeSet::default(),
        }
    }

    /// Enters a look-up, found or not.
    pub fn read(&mut self, read: &TupleRead) {
        let (store, max) = (self.store, self.max_read_set);
        enter(&mut self.exact, max, || tags::of_read(store, read));
        enter(&mut self.by_relation, max, || tags::coarser(store, read));
    }

    /// Enters a predicate, and what stands for it where there are too many.
    pub fn tag(&mut self, exact: Tag, coarser: Tag) {
        enter(&mut self.exact, self.max_read_set, || exact);
        enter(&mut self.by_relation, self.max_read_set, || coarser);
    }

    /// Enters an object that the answer's key does not name. An administrator's invalidation of it reaches the answer.
    pub fn entity(&mut self, object: &Object) {
        enter(&mut self.exact, self.max_read_set, || entity_tag(&object.type_name, &object.id));
        self.types = self.types.union(TypeSet::composed());
    }

    /// Enters cache types that the answer is made of.
    pub fn types(&mut self, types: TypeSet) {
        self.types = self.types.union(types);
    }

    /// Enters where a part came from.
    pub fn part(&mut self, provenance: &Provenance) {
        let Provenance { stamp, hard_expiry, tags, types } = provenance;
        for tag in tags {
            enter(&mut self.exact, self.max_read_set, || *tag);
            enter(&mut self.by_relation, self.max_read_set, || *tag);
        }
        self.stamp = Some(self.stamp.map_or(*stamp, |known| known.meet(*stamp)));
        self.end_by(*hard_expiry);
        self.types(*types);
    }

    /// Enters a moment from which on the answer may be another. The earliest one counts.
    pub fn end_by(&mut self, end: Moment) {
        self.hard_expiry = self.hard_expiry.min(end);
    }

    /// The lowest stamp of the parts; none where there was none.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// The earliest end.
    #[must_use]
    pub fn hard_expiry(&self) -> Moment {
        self.hard_expiry
    }

    /// The cache types.
    #[must_use]
    pub fn all_types(&self) -> TypeSet {
        self.types
    }

    /// The read set within its bound.
    #[must_use]
    pub fn read_set(&self) -> ReadSet {
        if let Some(exact) = &self.exact {
            return exact.clone();
        }
        if let Some(mut by_relation) = self.by_relation.clone() {
            by_relation.insert(tags::coarse());
            if by_relation.len() <= self.max_read_set {
                return by_relation;
            }
        }
        [tags::any(self.store), tags::coarse()].into_iter().collect()
    }
}

/// Adds a tag; what holds too many is given up, and costs nothing from then on.
fn enter(set: &mut Option<ReadSet>, max: usize, tag: impl FnOnce() -> Tag) {
    if let Some(known) = set
        && known.insert(tag())
        && known.len() > max
    {
        *set = None;
    }
}
