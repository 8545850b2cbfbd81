//! Bulk loading: relationships come in by COPY, in a few large transactions, each of which is told as one change of the whole store.

use bytes::Bytes;
use cache_core::Revision;
use futures_util::SinkExt as _;
use pg_log::Exclusive;

use super::super::batch::context_text;
use super::super::columns::{IdText, NONE, TupleColumns};
use super::super::{Committed, StoreError, StoreId};
use super::job::Job;
use super::origin::PostgresStore;
use super::transaction::{Refusal, take_time};
use crate::relation::Relationship;

const OPERATION: &str = "loading relationships";
/// Relationships of one transaction.
const CHUNK: usize = 50_000;
/// Bytes that are sent at a time.
const PIECE: usize = 64 << 10;

/// How far a load has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LoadProgress {
    /// Relationships that were read so far.
    pub read: usize,
    /// Those of them that were new.
    pub added: usize,
}

impl PostgresStore {
    /// Adds many relationships to a store; those that exist already stay as they are, under the condition that they have. The caller has
    /// checked them against the model.
    ///
    /// Each 50,000 of them are one transaction, told to every instance as one change of the whole store. Other writes get their turn in between. A
    /// load that fails keeps the parts before, and may be repeated as a whole.
    ///
    /// # Errors
    /// As those of a write.
    pub async fn load<I>(
        &self,
        store: StoreId,
        tuples: I,
        mut progress: impl FnMut(LoadProgress),
    ) -> Result<(LoadProgress, Committed), StoreError>
    where
        I: IntoIterator<Item: Into<Relationship>>,
    {
        let mut tuples = tuples.into_iter();
        let mut total = LoadProgress::default();
        let mut committed = Committed { revision: Revision::ZERO };
        loop {
            let part: Vec<Relationship> = tuples.by_ref().take(CHUNK).map(Into::into).collect();
            // An empty load still finds out whether there is such a store.
            if part.is_empty() && total.read > 0 {
                return Ok((total, committed));
            }
            let contexts = part.iter().map(context_text).collect::<Result<Vec<_>, _>>()?;
            let read = part.len();
            let added = self.submit(Job::Load(store, part, contexts)).await.map_err(|error| match error {
                StoreError::NotApplied { cause, .. } | StoreError::FateUnknown { cause, .. } => {
                    let remedy = "what was sent so far may be stored, and the rest is not; load the whole again";
                    StoreError::Unavailable { operation: OPERATION, cause, remedy }
                }
                other => other,
            })?;
            committed = added.1;
            total.read += read;
            total.added += added.0;
            progress(total);
            if read < CHUNK {
                return Ok((total, committed));
            }
        }
    }
}

/// Adds a part, with its history, and one row of the log that stands for all of it. Returns how many relationships were new.
pub(super) async fn load(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    part: &[Relationship],
    contexts: &[String],
    now: u64,
) -> Result<usize, Refusal> {
    let id = IdText::of(store.0);
    let id = id.as_str();
    take_time(connection, OPERATION).await?;
    super::writes::require(connection, schema, store).await?;
    // The table is the session's own, and empty again at the end of each transaction.
    let begin = format!(
        "SELECT {schema}.begin_store_bulk('{id}');
         CREATE TEMPORARY TABLE IF NOT EXISTS tiergate_load (
             object_type text, object_id text, relation text, subject_type text, subject_relation text, subject_id text,
             condition text, condition_context text) ON COMMIT DELETE ROWS"
    );
    connection.batch_execute(&begin).await.map_err(Refusal::of(OPERATION))?;
    copy(connection, part, contexts).await?;
    let sql = format!(
        "WITH added AS (
             INSERT INTO {schema}.tuples (store, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                                          written_at, condition, condition_context)
             SELECT $1, object_type, object_id, relation, subject_type, subject_relation, subject_id, $2, condition, condition_context
             FROM pg_temp.tiergate_load
             ON CONFLICT DO NOTHING
             RETURNING *)
         INSERT INTO {schema}.changes (store, inserted, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                                       condition, condition_context, at)
         SELECT store, true, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                condition, condition_context, written_at
         FROM added"
    );
    let now = super::super::columns::signed(now);
    let added = connection.execute(&sql, &[&id, &now]).await.map_err(Refusal::of(OPERATION))?;
    Ok(usize::try_from(added).unwrap_or(usize::MAX))
}

async fn copy(connection: &Exclusive, part: &[Relationship], contexts: &[String]) -> Result<(), Refusal> {
    let sink = connection
        .copy_in::<_, Bytes>("COPY pg_temp.tiergate_load FROM STDIN")
        .await
        .map_err(Refusal::of(OPERATION))?;
    let mut sink = std::pin::pin!(sink);
    let mut piece = String::with_capacity(PIECE * 2);
    for (relationship, context) in part.iter().zip(contexts) {
        let key = TupleColumns::of(NONE, &relationship.tuple);
        let condition = relationship.condition.as_ref().map_or(NONE, |condition| &*condition.name);
        let columns = [
            key.object_type,
            key.object_id,
            key.relation,
            key.subject_type,
            key.subject_relation,
            key.subject_id,
            condition,
            context,
        ];
        for (at, column) in columns.into_iter().enumerate() {
            if at > 0 {
                piece.push('\t');
            }
            escape(&mut piece, column);
        }
        piece.push('\n');
        if piece.len() >= PIECE {
            let bytes = Bytes::from(std::mem::take(&mut piece));
            sink.send(bytes).await.map_err(Refusal::of(OPERATION))?;
        }
    }
    if !piece.is_empty() {
        sink.send(Bytes::from(piece)).await.map_err(Refusal::of(OPERATION))?;
    }
    sink.finish().await.map(drop).map_err(Refusal::of(OPERATION))
}

/// As COPY reads text (PostgreSQL documentation, COPY, "Text Format").
fn escape(piece: &mut String, column: &str) {
    for c in column.chars() {
        match c {
            '\\' => piece.push_str("\\\\"),
            '\t' => piece.push_str("\\t"),
            '\n' => piece.push_str("\\n"),
            '\r' => piece.push_str("\\r"),
            plain => piece.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_copy_would_read_as_its_own_is_escaped() {
        let mut piece = String::new();
        escape(&mut piece, "a\\N\tb\r\nc");
        assert_eq!(piece, "a\\\\N\\tb\\r\\nc");
    }
}
