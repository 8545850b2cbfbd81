//! Between relationships and arrays of columns: a statement takes many at once, one array for each column.

use pg_log::tokio_postgres::types::ToSql;

use crate::relation::{Relationship, Tuple};
use crate::store::columns::{NONE, TupleColumns};

/// The columns of many relationships' keys.
#[derive(Default)]
pub(super) struct TupleArrays<'a> {
    object_type: Vec<&'a str>,
    object_id: Vec<&'a str>,
    relation: Vec<&'a str>,
    subject_type: Vec<&'a str>,
    subject_relation: Vec<&'a str>,
    subject_id: Vec<&'a str>,
}

impl<'a> TupleArrays<'a> {
    pub(super) fn of(tuples: impl IntoIterator<Item = &'a Tuple>) -> Self {
        let mut arrays = Self::default();
        for tuple in tuples {
            let key = TupleColumns::of(NONE, tuple);
            arrays.object_type.push(key.object_type);
            arrays.object_id.push(key.object_id);
            arrays.relation.push(key.relation);
            arrays.subject_type.push(key.subject_type);
            arrays.subject_relation.push(key.subject_relation);
            arrays.subject_id.push(key.subject_id);
        }
        arrays
    }

    /// As the parameters of a statement, in the order of the key.
    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 6] {
        [
            &self.object_type,
            &self.object_id,
            &self.relation,
            &self.subject_type,
            &self.subject_relation,
            &self.subject_id,
        ]
    }
}

/// The names of the conditions of relationships.
pub(super) fn condition_names(writes: &[Relationship]) -> Vec<&str> {
    writes.iter().map(|write| write.condition.as_ref().map_or(NONE, |condition| &*condition.name)).collect()
}
