//! Between relationships and the columns they are stored in.

use diesel::prelude::*;

use super::super::{StoreId, StoreRecord, StoredTuple};
use super::schema::tuples;
pub(super) use crate::store::columns::{
    Conditions, IdText, NO_RELATION, NONE, TupleColumns, WILDCARD, id_of, model_id, properties_of, signed, tuple_of,
    unsigned,
};

/// A relationship as it was read.
#[derive(Queryable, QueryableByName)]
#[diesel(table_name = tuples)]
pub(super) struct TupleRow {
    pub(super) object_type: String,
    pub(super) object_id: String,
    pub(super) relation: String,
    pub(super) subject_type: String,
    pub(super) subject_relation: String,
    pub(super) subject_id: String,
    pub(super) written_at: i64,
    pub(super) condition: String,
    pub(super) condition_context: String,
}

impl TupleRow {
    pub(super) fn stored(self, conditions: &mut Conditions) -> QueryResult<StoredTuple> {
        let tuple = tuple_of(
            self.object_type,
            self.object_id,
            self.relation,
            self.subject_type,
            self.subject_relation,
            self.subject_id,
        );
        let condition = conditions.read(&self.condition, &self.condition_context)?;
        Ok(StoredTuple { tuple, condition, written_at: unsigned(self.written_at) })
    }
}

/// A store as it was read.
#[derive(Queryable)]
pub(super) struct StoreRow {
    id: String,
    name: String,
    created_at: i64,
}

impl From<StoreRow> for StoreRecord {
    fn from(row: StoreRow) -> Self {
        Self { id: StoreId(id_of(&row.id)), name: row.name, created_at: unsigned(row.created_at) }
    }
}
