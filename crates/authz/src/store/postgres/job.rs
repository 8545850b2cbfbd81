//! The kinds of writes, as values: a transaction that others got in the way of does the same job again.

use pg_log::Exclusive;

use super::super::columns::{IdText, TupleColumns};
use super::super::{InvalidationScope, ModelId, OnConflict, StoreId, UnixMillis, WriteBatch};
use super::transaction::Refusal;
use super::{load, writes};
use crate::relation::{Object, Relationship};

/// What a transaction is to do.
pub(super) enum Job {
    /// With the texts of the values of each write's condition.
    Write(StoreId, WriteBatch, Vec<String>),
    /// With its name and the time of its creation.
    CreateStore(StoreId, String, UnixMillis),
    DeleteStore(StoreId),
    WriteModel(StoreId, ModelId, String),
    WriteAssertions(StoreId, ModelId, String),
    /// Each with the text of its properties.
    WriteProperties(StoreId, Vec<(Object, String)>),
    Append(InvalidationScope),
    /// As a write, by COPY.
    Load(StoreId, Vec<Relationship>, Vec<String>),
}

impl Job {
    /// In words, as errors name it.
    pub(super) const fn operation(&self) -> &'static str {
        match self {
            Self::Write(..) => "writing relationships",
            Self::CreateStore(..) => "creating a store",
            Self::DeleteStore(_) => "deleting a store",
            Self::WriteModel(..) => "writing a model",
            Self::WriteAssertions(..) => "writing assertions",
            Self::WriteProperties(..) => "writing properties",
            Self::Append(_) => "writing an invalidation",
            Self::Load(..) => "loading relationships",
        }
    }

    /// Whether its statements write the history and the log themselves, so that no trigger has to: that takes a third of the time.
    pub(super) const fn keeps_books(&self) -> bool {
        matches!(self, Self::Write(..))
    }

    /// The row of the log that tells of it again where nothing had to be changed, because somebody else had changed it before: its kind, and its fields.
    /// None where that can't be.
    pub(super) fn retold(&self) -> Option<(&'static str, Vec<String>)> {
        match self {
            Self::Write(store, batch, _) => {
                // Whoever asks to ignore nothing is refused where something was changed before.
                let gone = batch.deletes.first().filter(|_| batch.on_missing == OnConflict::Ignore);
                let there = batch.writes.first().filter(|_| batch.on_duplicate == OnConflict::Ignore);
                let added = there.map(|write| ("inserted", &write.tuple));
                let (kind, tuple) = gone.map(|tuple| ("deleted", tuple)).or(added)?;
                let id = IdText::of(store.0);
                let TupleColumns {
                    store,
                    object_type,
                    object_id,
                    relation,
                    subject_type,
                    subject_relation,
                    subject_id,
                } = TupleColumns::of(id.as_str(), tuple);
                let fields = [store, object_type, object_id, relation, subject_type, subject_relation, subject_id];
                Some((kind, fields.map(str::to_owned).into()))
            }
            Self::WriteProperties(store, given) => {
                let (object, _) = given.first()?;
                Some(("properties", vec![store.0.to_string(), object.type_name.to_string(), object.id.to_string()]))
            }
            _ => None,
        }
    }

    /// Does it, in the open transaction. Returns how many things were deleted or loaded, where that is asked for.
    pub(super) async fn run(&self, connection: &Exclusive, schema: &str, now: u64) -> Result<usize, Refusal> {
        match self {
            Self::Write(store, batch, contexts) => {
                writes::write(connection, schema, *store, batch, contexts, now).await.map(|()| 0)
            }
            Self::CreateStore(id, name, at) => {
                writes::create_store(connection, schema, *id, name, *at).await.map(|()| 0)
            }
            Self::DeleteStore(id) => writes::delete_store(connection, schema, *id).await.map(usize::from),
            Self::WriteModel(store, id, body) => {
                writes::write_model(connection, schema, *store, *id, body).await.map(|()| 0)
            }
            Self::WriteAssertions(store, model, body) => {
                writes::write_assertions(connection, schema, *store, *model, body).await.map(|()| 0)
            }
            Self::WriteProperties(store, given) => {
                writes::write_properties(connection, schema, *store, given).await.map(|()| 0)
            }
            Self::Append(scope) => writes::append(connection, schema, scope).await.map(|()| 0),
            Self::Load(store, part, contexts) => load::load(connection, schema, *store, part, contexts, now).await,
        }
    }
}
