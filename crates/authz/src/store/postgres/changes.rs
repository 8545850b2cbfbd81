//! Pages of the history, for readers of changes.
//!
//! Invariants: a page ends before the first transaction that may still be running, so that nothing comes in later before its end; and it looks at
//! [`MAX_CHANGES_LOOKED_AT`] rows at most, however little matches.

use std::time::Duration;

use pg_log::Shared;
use pg_log::tokio_postgres::Row;

use super::super::columns::{Conditions, signed, tuple_of, unsigned};
use super::super::{ChangeFilter, ChangePlace, MAX_CHANGES_LOOKED_AT, Page, PageRequest, StoreError, TupleChange};
use super::failure::{broken, failed};

const OPERATION: &str = "listing changes";
/// How often it is looked again where a change is committed and an older transaction, of whatever kind, was still running: most end at once.
const LOOKS: usize = 20;
/// The pause before it is looked again.
const PAUSE: Duration = Duration::from_millis(5);

/// Changes of relationships. The last place is always where to go on, also from the end.
pub(super) async fn page(
    client: &Shared,
    schema: &str,
    store: &str,
    filter: &ChangeFilter,
    page: &PageRequest<ChangePlace>,
) -> Result<Page<TupleChange, ChangePlace>, StoreError> {
    for look in 1.. {
        let found = look_at(client, schema, store, filter, page).await?;
        // It ends before something that is committed: whoever wrote that is answered, and would wonder.
        let is_whole = found.items.len() == page.bounded() || look == LOOKS;
        if is_whole || !is_held_up(client, schema, store, found.next).await? {
            return Ok(found);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Page { items: Vec::new(), next: page.after })
}

async fn look_at(
    client: &Shared,
    schema: &str,
    store: &str,
    filter: &ChangeFilter,
    page: &PageRequest<ChangePlace>,
) -> Result<Page<TupleChange, ChangePlace>, StoreError> {
    let after = page.after.unwrap_or_default();
    let since = signed(filter.since.unwrap_or(0));
    let wanted = filter.object_type.as_deref();
    let limit = page.bounded();
    // Those that are looked at, and of those the ones that match; the last one that was looked at comes behind them.
    let sql = format!(
        "WITH seen AS MATERIALIZED (
             SELECT * FROM {schema}.changes
             WHERE store = $1 AND (xid, id) > ($2, $3) AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
             ORDER BY xid, id LIMIT {MAX_CHANGES_LOOKED_AT})
         (SELECT xid, id, at, inserted, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                 condition, condition_context, true
          FROM seen WHERE at >= $4 AND ($5::text IS NULL OR object_type = $5) ORDER BY xid, id LIMIT $6)
         UNION ALL
         (SELECT xid, id, at, inserted, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                 condition, condition_context, false
          FROM seen OFFSET {} LIMIT 1)",
        MAX_CHANGES_LOOKED_AT - 1
    );
    let statement = client.prepared(&sql).await.map_err(super::failure::connecting(OPERATION))?;
    let count = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = client
        .query(&statement, &[&store, &signed(after.0), &signed(after.1), &since, &wanted, &count])
        .await
        .map_err(failed(OPERATION))?;
    let mut conditions = Conditions::default();
    let (mut items, mut looked_at) = (Vec::new(), None);
    for row in &rows {
        if row.get(12) {
            items.push(change(row, &mut conditions)?);
        } else {
            looked_at = Some(place(row));
        }
    }
    let last = items.last().map(|change| change.place);
    let next = if items.len() < limit { looked_at.or(last) } else { last };
    Ok(Page { items, next: next.or(page.after) })
}

/// Whether there is a change that a page may not end with yet.
async fn is_held_up(
    client: &Shared,
    schema: &str,
    store: &str,
    after: Option<ChangePlace>,
) -> Result<bool, StoreError> {
    let after = after.unwrap_or_default();
    let sql = format!("SELECT EXISTS (SELECT FROM {schema}.changes WHERE store = $1 AND (xid, id) > ($2, $3))");
    let row = client.query_one(&sql, &[&store, &signed(after.0), &signed(after.1)]).await.map_err(failed(OPERATION))?;
    Ok(row.get(0))
}

fn place(row: &Row) -> ChangePlace {
    ChangePlace(unsigned(row.get(0)), unsigned(row.get(1)))
}

fn change(row: &Row, conditions: &mut Conditions) -> Result<TupleChange, StoreError> {
    let column = |at: usize| row.get::<_, &str>(at);
    let inserted: bool = row.get(3);
    let condition = if inserted { conditions.read(column(10), column(11)).map_err(broken(OPERATION))? } else { None };
    Ok(TupleChange {
        inserted,
        tuple: tuple_of(column(4), column(5), column(6), column(7), column(8), column(9)),
        condition,
        at: unsigned(row.get(2)),
        place: place(row),
    })
}
