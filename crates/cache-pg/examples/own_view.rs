//! A view of one's own as a tier: no authorization, no server, just a table, a query over it, and whoever changes the table.
//!
//! ```text
//! cargo run -p tiergate-cache-pg --example own_view                          # on the PostgreSQL of `cargo xtask up`
//! cargo run -p tiergate-cache-pg --example own_view -- postgres://…/scratch  # on one of yours, in a database without these tables
//! ```
#![allow(clippy::print_stdout, reason = "an example is a program whose output is for people")]

use std::sync::Arc;

use cache_core::{
    CacheKey, CacheType, CacheValue, Chain, KeyEncoder, Kill, LoadError, ReadSet, RowKey, RowValue, Source,
    SystemClock, SystemEntropy, tag,
};
use cache_l1::{MemoryConfig, MemoryLayer};
use cache_pg::{RefreshConfig, Refreshed, View, ViewConfig, Views};
use pg_log::tokio_postgres::{self, NoTls};
use pg_log::{COMPONENT, LogRow, Pg, PgConfig, PgError, PgLog, attach_sql, migrate, migrations};
use test_services::{Template, TestDatabase};

const SHELF: CacheType = CacheType::new(0, "shelf");

/// What a category of the shop holds: how many products, and what they cost together.
#[derive(Clone, Debug)]
struct Shelf {
    products: i64,
    cents: i64,
}

impl CacheValue for Shelf {
    fn heap_bytes(&self) -> usize {
        0
    }

    fn is_negative(&self) -> bool {
        self.products == 0
    }
}

/// A category.
struct ShelfKey(&'static str);

impl CacheKey for ShelfKey {
    fn cache_type(&self) -> CacheType {
        SHELF
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        let Self(category) = self;
        encoder.text(category);
    }

    /// The row that answers it.
    fn row(&self) -> Option<RowKey> {
        Some(RowKey { view: "shelves", columns: [self.0.into()].into_iter().collect(), asked: Default::default() })
    }
}

impl RowValue for Shelf {
    /// What a row says, and what it was computed from: all products of the category, also where there is none.
    fn from_row(key: &RowKey, row: Option<&str>) -> Option<(Self, ReadSet)> {
        let (products, cents) = row.unwrap_or("0 0").split_once(' ')?;
        let shelf = Self { products: products.parse().ok()?, cents: cents.parse().ok()? };
        Some((shelf, [tag!("category", &*key.columns[0])].into_iter().collect()))
    }
}

/// What a change of the table kills: whatever was computed from the category that the product is in, or was in.
fn killed(row: &LogRow) -> Vec<Kill> {
    let category = row.fields.first().and_then(Option::as_deref).unwrap_or_default();
    vec![Kill::Tag(tag!("category", category))]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scratch = match std::env::args().nth(1) {
        Some(_) => None,
        None => match TestDatabase::create(Template::empty()) {
            Some(scratch) => Some(scratch),
            None => return Ok(()),
        },
    };
    let url = scratch.as_ref().map_or_else(|| std::env::args().nth(1).unwrap_or_default(), |one| one.url().to_owned());

    // The application's table, and the log of its changes: from now on whoever changes it is noticed.
    let (mut psql, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    migrate(&mut psql, "tiergate", COMPONENT, migrations()).await?;
    psql.batch_execute(
        "CREATE TABLE products (name text PRIMARY KEY, category text NOT NULL, cents bigint NOT NULL);
         INSERT INTO products SELECT 'tea ' || n, 'tea', n FROM generate_series(1, 1000) n;
         INSERT INTO products SELECT 'pot ' || n, 'pots', n * 10 FROM generate_series(1, 50) n",
    )
    .await?;
    psql.batch_execute(&attach_sql("tiergate", "public.products", "product", &["category"])?).await?;

    // The view, and the chain: memory, then the view, then whatever the loader asks.
    let query = "SELECT category, count(*) AS products, sum(cents) AS cents FROM public.products GROUP BY category";
    let view = View::new("shelves", query).key("category").value("q.products || ' ' || q.cents");
    let pg = Pg::new(PgConfig::new(&url))?;
    let views = Views::new(pg.clone(), vec![view])?;
    views.migrate().await?;
    let log = PgLog::start_with(pg.clone(), vec![SHELF], killed);
    let chain = Chain::builder()
        .tier(MemoryLayer::new(MemoryConfig::default())?)
        .tier(views.layer::<Shelf>(ViewConfig::default(), Arc::new(SystemClock))?)
        .log(log.clone())
        .build()?;
    log.reader().leased().await;
    // An application calls `refresher.start()`, and whichever instance is elected keeps the view young. Here it is refreshed by hand.
    let refresher = views.refresher(RefreshConfig::default(), Arc::new(SystemClock), Arc::new(SystemEntropy))?;

    let ask = async |when: &str, category| -> Result<(), cache_core::Error> {
        let load = |load: cache_core::Load| {
            let pg = pg.clone();
            async move {
                load.read(tag!("category", category)); // before the query, found or not
                compute(&pg, category).await
            }
        };
        let answer = chain.get_or_load(&ShelfKey(category), load).await?;
        let from = match answer.source {
            Source::Tier(name) => name,
            _ => "the origin",
        };
        let Shelf { products, cents } = answer.value();
        println!("{when:<34} {category:<5} {products:>5} products, {cents:>7} cents, from {from}");
        Ok(())
    };

    ask("before the first refresh", "tea").await?;
    refresh(&refresher).await?;
    // What was loaded before is in memory; what was not comes from the view, and is in memory then.
    for (when, category) in [("after it", "pots"), ("once more", "pots"), ("what there is none of", "hats")] {
        ask(when, category).await?;
    }

    let change = "UPDATE products SET category = 'hats' WHERE name = 'tea 7' RETURNING pg_current_xact_id()::text";
    let xid: String = psql.query_one(change, &[]).await?.try_get(0)?;
    log.reader().applied(xid.parse()?).await?;
    println!("-- psql: UPDATE products SET category = 'hats' WHERE name = 'tea 7';");
    for category in ["tea", "hats", "pots"] {
        ask("after a change by psql", category).await?;
    }
    chain.clear_tiers().await;
    println!("-- memory is emptied; the view is as old as before");
    for category in ["tea", "hats", "pots"] {
        ask("the view, where it can be used", category).await?;
    }
    chain.clear_tiers().await;
    refresh(&refresher).await?;
    for category in ["tea", "hats"] {
        ask("after a refresh", category).await?;
    }
    Ok(())
}

/// What the loader does: the same from the table itself.
async fn compute(pg: &Pg, category: &str) -> Result<Shelf, LoadError> {
    let client = pg.shared().await?;
    let sql = "SELECT count(*), coalesce(sum(cents), 0)::bigint FROM products WHERE category = $1";
    let statement = client.prepared(sql).await?;
    let row = client.query_one(&statement, &[&category]).await?;
    Ok(Shelf { products: row.try_get(0)?, cents: row.try_get(1)? })
}

async fn refresh(refresher: &cache_pg::Refresher) -> Result<(), PgError> {
    if let Refreshed::Done { as_of, took } = refresher.refresh_now("shelves").await? {
        println!("-- the view was refreshed as of transaction {}, in about {} ms", as_of.get(), took.as_millis());
    }
    Ok(())
}
