//! The kinds of writes, as values: a transaction that others got in the way of does the same job again.

use pg_log::Exclusive;

use super::super::{InvalidationScope, ModelId, StoreId, UnixMillis, WriteBatch};
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
