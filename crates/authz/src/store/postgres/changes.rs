//! Pages of the history, for readers of changes.
//!
//! Invariants: what a [`Place`] says was told is never told again, and whatever else is in the state comes after it; and a page looks at
//! [`MAX_CHANGES_LOOKED_AT`] rows of the store's history at most, however little matches.

use cache_core::Identity;
use futures_util::future::join;
use pg_log::tokio_postgres::Row;
use pg_log::tokio_postgres::types::ToSql;
use pg_log::{Exclusive, PgSnapshot};

use super::super::columns::{Conditions, signed, tuple_of, unsigned};
use super::super::{
    CLOCK_SLACK, ChangeFilter, ChangePlace, MAX_CHANGES_LOOKED_AT, Page, PageRequest, StoreError, StoreId, TupleChange,
    UnixMillis,
};
use super::failure::{broken, connecting, failed};
use super::place::{MAX_OPEN, Place};

const OPERATION: &str = "listing changes";
/// One state for all that a page asks.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_seqscan = off";

/// Changes of relationships. The last place is always where to go on, also from the end.
pub(super) async fn page(
    client: &Exclusive,
    schema: &str,
    store: (StoreId, &str),
    identity: Identity,
    filter: &ChangeFilter,
    page: &PageRequest<ChangePlace>,
) -> Result<Page<TupleChange, ChangePlace>, StoreError> {
    let given = page.after.as_ref().map(Place::read).transpose()?;
    let history = History { client, schema, store: store.1, identity };
    let now = history.begin(store.0).await?;
    let mut reading = Reading { filter, limit: page.bounded(), looked_at: 0, items: Vec::new() };
    let mut place = match given {
        Some(given) if given.history != identity => return Err(StoreError::UnknownPlace),
        // What it has seen is still to come here: the history was set back, and nobody has said so.
        Some(given) if given.batch.xmax() > now.xmax() => return Err(StoreError::UnknownPlace),
        Some(given) => given,
        None => history.first(&now, filter.since).await?,
    };
    loop {
        if let Some(next) = reading.read(&history, &place).await? {
            return Ok(Page { items: reading.items, next: Some(next) });
        }
        if place.batch == now {
            break;
        }
        let Some(batch) = history.next(place.batch, &now).await? else { break };
        place = batch;
    }
    let next = reading.items.last().map(|change| change.place.clone()).or_else(|| page.after.clone());
    Ok(Page { items: reading.items, next })
}

/// The history of one store, in one state.
struct History<'a> {
    client: &'a Exclusive,
    schema: &'a str,
    store: &'a str,
    identity: Identity,
}

impl History<'_> {
    async fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        let statement = self.client.prepared(sql).await.map_err(connecting(OPERATION))?;
        self.client.query(&statement, params).await.map_err(failed(OPERATION))
    }

    /// The state that is read from here on.
    async fn begin(&self, store: StoreId) -> Result<PgSnapshot, StoreError> {
        let sql =
            format!("SELECT EXISTS (SELECT FROM {}.stores WHERE id = $1), pg_current_snapshot()::text", self.schema);
        let params: [&(dyn ToSql + Sync); 1] = [&self.store];
        let (begun, rows) = join(self.client.batch_execute(BEGIN), self.rows(&sql, &params)).await;
        begun.map_err(failed(OPERATION))?;
        let rows = rows?;
        let (exists, now): (bool, &str) = rows.first().map_or((false, ""), |row| (row.get(0), row.get(1)));
        if !exists {
            return Err(StoreError::UnknownStore(store));
        }
        let now: PgSnapshot = now.parse().map_err(connecting(OPERATION))?;
        if now.xip().len() > MAX_OPEN {
            return Err(StoreError::Busy { what: "too many transactions are open in PostgreSQL to list changes" });
        }
        Ok(now)
    }

    /// The first batch is all that there is. Where a time is given, what lies before is passed over: by halving the ids in between.
    ///
    /// Times are not ordered as ids are, but whatever is found, a row that is too old lies right before it, or none does.
    async fn first(&self, now: &PgSnapshot, since: Option<UnixMillis>) -> Result<Place, StoreError> {
        let schema = self.schema;
        // What lies up to `old` is not looked at; the first row after `young` is not too old, or is none.
        let sql = format!(
            "WITH RECURSIVE ends AS (SELECT coalesce(max(id), 0) AS last FROM {schema}.changes WHERE store = $1),
             halves (old, young) AS (
                 SELECT 0::bigint, CASE WHEN $2::bigint > 0 THEN last ELSE 0 END FROM ends
                 UNION ALL
                 SELECT CASE WHEN row.at < $2 THEN row.id ELSE h.old END, CASE WHEN row.at < $2 THEN h.young ELSE middle.id END
                 FROM halves h
                 CROSS JOIN LATERAL (SELECT h.old + (h.young - h.old) / 2) AS middle (id)
                 LEFT JOIN LATERAL (
                     SELECT id, at FROM {schema}.changes WHERE store = $1 AND id > middle.id ORDER BY id LIMIT 1) row ON true
                 WHERE h.old < h.young)
             SELECT last, (SELECT max(old) FROM halves) FROM ends"
        );
        let since = since.map_or(0, |since| signed(since.saturating_sub(CLOCK_SLACK)));
        let rows = self.rows(&sql, &[&self.store, &since]).await?;
        let (last, after): (i64, i64) = rows.first().map_or((0, 0), |row| (row.get(0), row.get(1)));
        Ok(Place {
            told: None,
            batch: now.clone(),
            last: unsigned(last),
            after: unsigned(after),
            history: self.identity,
        })
    }

    /// The batch after one; none where nothing has come to light.
    async fn next(&self, told: PgSnapshot, now: &PgSnapshot) -> Result<Option<Place>, StoreError> {
        // Not by the first id: it would be looked for from the beginning of the store's history.
        let sql = format!(
            "SELECT min(id), max(id) FROM (
                 SELECT id FROM {}.changes WHERE store = $1 AND xid >= $2 AND (xid >= $3 OR xid = ANY ($4)) OFFSET 0) unseen",
            self.schema
        );
        let Unseen { from, xmax, xip } = Unseen::of(Some(&told));
        let rows = self.rows(&sql, &[&self.store, &from, &xmax, &xip]).await?;
        let ends: Option<(i64, i64)> = rows.first().and_then(|row| Some((row.get::<_, Option<i64>>(0)?, row.get(1))));
        Ok(ends.map(|(first, last)| Place {
            told: Some(told),
            batch: now.clone(),
            last: unsigned(last),
            after: unsigned(first).saturating_sub(1),
            history: self.identity,
        }))
    }

    /// What is asked of a batch: its rows after a place, in the order of their ids, and not more of them than may be looked at.
    fn batch(&self) -> String {
        format!(
            "SELECT * FROM {}.changes
             WHERE store = $1 AND id > $2 AND id <= $3 AND (xid >= $4 OR xid = ANY ($5)) AND xid < $6 AND xid <> ALL ($7)
             ORDER BY id LIMIT $8",
            self.schema
        )
    }
}

/// Which rows a snapshot does not see, as parameters.
struct Unseen {
    from: i64,
    xmax: i64,
    xip: Vec<i64>,
}

impl Unseen {
    fn of(snapshot: Option<&PgSnapshot>) -> Self {
        let xip = |snapshot: &PgSnapshot| snapshot.xip().iter().map(|xid| signed(*xid)).collect();
        snapshot.map_or(Self { from: 0, xmax: 0, xip: Vec::new() }, |snapshot| Self {
            from: signed(snapshot.xmin()),
            xmax: signed(snapshot.xmax()),
            xip: xip(snapshot),
        })
    }
}

/// A page while it fills.
struct Reading<'a> {
    filter: &'a ChangeFilter,
    limit: usize,
    looked_at: usize,
    items: Vec<TupleChange>,
}

impl Reading<'_> {
    /// Reads on in the batch of a place. Returns where the page ends, if it does before the batch.
    async fn read(&mut self, history: &History<'_>, place: &Place) -> Result<Option<ChangePlace>, StoreError> {
        if place.after >= place.last {
            return Ok(None);
        }
        let batch = history.batch();
        let may_look_at = MAX_CHANGES_LOOKED_AT - self.looked_at;
        let (told, seen) = (Unseen::of(place.told.as_ref()), Unseen::of(Some(&place.batch)));
        let (after, last) = (signed(place.after), signed(place.last));
        let most = i64::try_from(may_look_at).unwrap_or(i64::MAX);
        let bounds: [&(dyn ToSql + Sync); 8] =
            [&history.store, &after, &last, &told.xmax, &told.xip, &seen.xmax, &seen.xip, &most];
        let matching = format!(
            "SELECT id, xid, at, inserted, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                    condition, condition_context
             FROM ({batch}) looked_at WHERE at >= $9 AND ($10::text IS NULL OR object_type = $10) ORDER BY id LIMIT $11"
        );
        let since = signed(self.filter.since.unwrap_or(0));
        let wanted = self.filter.object_type.as_deref();
        let room = i64::try_from(self.limit - self.items.len()).unwrap_or(i64::MAX);
        let mut params = bounds.to_vec();
        params.extend([&since as &(dyn ToSql + Sync), &wanted, &room]);
        let rows = history.rows(&matching, &params).await?;
        let mut conditions = Conditions::default();
        for row in &rows {
            self.items.push(change(row, place, &mut conditions)?);
        }
        if self.items.len() == self.limit {
            return Ok(self.items.last().map(|change| change.place.clone()));
        }
        // Only now: a page that is full has looked at few.
        let looked = history.rows(&format!("SELECT count(*), max(id) FROM ({batch}) looked_at"), &bounds).await?;
        let (count, through): (i64, Option<i64>) = looked.first().map_or((0, None), |row| (row.get(0), row.get(1)));
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.looked_at += count;
        Ok(through.filter(|_| count >= may_look_at).map(|through| place.at(unsigned(through)).write()))
    }
}

fn change(row: &Row, place: &Place, conditions: &mut Conditions) -> Result<TupleChange, StoreError> {
    let column = |at: usize| row.get::<_, &str>(at);
    let inserted: bool = row.get(3);
    let condition = if inserted { conditions.read(column(10), column(11)).map_err(broken(OPERATION))? } else { None };
    Ok(TupleChange {
        inserted,
        tuple: tuple_of(column(4), column(5), column(6), column(7), column(8), column(9)),
        condition,
        at: unsigned(row.get(2)),
        place: place.at(unsigned(row.get(0))).write(),
    })
}
