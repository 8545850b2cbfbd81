//! The account of an answer: what it rests on, and so what kills it.
//!
//! The read set stays within its bound: first one tag stands for all entities, then the predicates give way to whole relations, then everything to the
//! store. It is never cut. The account itself stays within the bound, too, however much is entered.

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
    /// The same without entities; none once these are too many.
    by_predicate: Option<ReadSet>,
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
            by_predicate: Some(ReadSet::new()),
            by_relation: Some(ReadSet::new()),
            stamp: None,
            hard_expiry: Moment::NEVER,
            types: TypeSet::default(),
        }
    }

    /// Enters a look-up, found or not.
    pub fn read(&mut self, read: &TupleRead) {
        let (store, max) = (self.store, self.max_read_set);
        for set in [&mut self.exact, &mut self.by_predicate] {
            enter(set, max, || tags::of_read(store, read));
        }
        enter(&mut self.by_relation, max, || tags::coarser(store, read));
    }

    /// Enters a predicate, and what stands for it where there are too many.
    pub fn tag(&mut self, exact: Tag, coarser: Tag) {
        for set in [&mut self.exact, &mut self.by_predicate] {
            enter(set, self.max_read_set, || exact);
        }
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
            for set in [&mut self.exact, &mut self.by_predicate, &mut self.by_relation] {
                enter(set, self.max_read_set, || *tag);
            }
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
        // Without the entities, one tag stands for all of them: an administrator's invalidation of any kills it.
        for coarser in [&self.by_predicate, &self.by_relation].into_iter().flatten() {
            let mut coarser = coarser.clone();
            coarser.insert(tags::coarse());
            if coarser.len() <= self.max_read_set {
                return coarser;
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

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::relation::Tuple;

    const STORE: StoreId = StoreId(Ulid(7));

    fn point(id: usize) -> TupleRead {
        TupleRead::Point(Tuple::parse(&format!("doc:{id}"), "viewer", "user:ann").unwrap())
    }

    /// An account with so many predicates of one relation, and entities, and no more than four tags.
    fn tags_of(predicates: usize, entities: usize) -> Vec<Tag> {
        let mut account = Account::new(STORE, 4);
        (0..predicates).for_each(|id| account.read(&point(id)));
        (0..entities).for_each(|id| account.entity(&Object::parse(&format!("doc:{id}")).unwrap()));
        let mut tags = account.read_set().tags().to_vec();
        tags.sort_unstable();
        tags
    }

    fn sorted(tags: impl IntoIterator<Item = Tag>) -> Vec<Tag> {
        let mut tags: Vec<Tag> = tags.into_iter().collect();
        tags.sort_unstable();
        tags
    }

    #[test]
    fn entities_give_way_before_predicates_do_and_predicates_before_the_store() {
        let read = |id: usize| tags::of_read(STORE, &point(id));
        let entity = |id: usize| entity_tag("doc", &id.to_string());
        assert_eq!(tags_of(2, 2), sorted([read(0), read(1), entity(0), entity(1)]));
        assert_eq!(tags_of(3, 2), sorted([read(0), read(1), read(2), tags::coarse()]));
        assert_eq!(tags_of(3, 1_000), tags_of(3, 2));
        assert_eq!(tags_of(4, 1), sorted([tags::relation(STORE, "doc", "viewer"), tags::coarse()]));
        let mut many = Account::new(STORE, 4);
        for relation in ["a", "b", "c", "d"] {
            (0..2).for_each(|id| {
                many.read(&TupleRead::Point(Tuple::parse(&format!("doc:{id}"), relation, "user:ann").unwrap()))
            });
        }
        assert_eq!(sorted(many.read_set().tags().iter().copied()), sorted([tags::any(STORE), tags::coarse()]));
    }

    #[test]
    fn what_parts_bring_is_kept_where_entities_give_way() {
        let mut account = Account::new(STORE, 4);
        let brought = entity_tag("team", "9");
        (0..9).for_each(|id| account.entity(&Object::parse(&format!("doc:{id}")).unwrap()));
        let types = TypeSet::default();
        let stamp = cache_core::Revision::ZERO.stamp_after();
        account.part(&Provenance { stamp, hard_expiry: Moment::NEVER, tags: vec![brought], types });
        assert_eq!(sorted(account.read_set().tags().iter().copied()), sorted([brought, tags::coarse()]));
    }
}
