//! What the tests of this crate share: a database of one's own on a real server.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod process;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cache_core::{Identity, Revision, Stamp};
use pg_log::{COMPONENT, LogReader, LogRow, LogSink, Pg, PgConfig, attach_sql, migrate, migrations};
use test_services::{Postgres, Template, TestDatabase};
use tokio_postgres::{Client, NoTls};

/// A database that no other test knows.
pub(crate) struct Database {
    pub(crate) url: String,
    _database: TestDatabase,
}

impl Database {
    /// An empty one, or `None` where there is no server.
    pub(crate) fn empty() -> Option<Self> {
        TestDatabase::create(Template::empty()).map(Self::of)
    }

    /// An empty one on a server of the test's own.
    pub(crate) fn on(server: &Postgres) -> Self {
        Self::of(TestDatabase::create_on(&server.url(), Template::empty()).unwrap())
    }

    /// One with the log, and a table `things (name, owner, note)` attached to it.
    pub(crate) fn with_log() -> Option<Self> {
        TestDatabase::create(with_log()).map(Self::of)
    }

    /// The same on a server of the test's own.
    pub(crate) fn with_log_on(server: &Postgres) -> Self {
        Self::of(TestDatabase::create_on(&server.url(), with_log()).unwrap())
    }

    pub(crate) fn of(database: TestDatabase) -> Self {
        Self { url: database.url().to_owned(), _database: database }
    }

    pub(crate) fn config(&self) -> PgConfig {
        PgConfig::new(&self.url)
    }

    pub(crate) fn pg(&self) -> Pg {
        Pg::new(self.config()).unwrap()
    }

    /// A client that is none of ours: like psql.
    pub(crate) async fn foreign(&self) -> Client {
        connect(&self.url).await
    }
}

/// One that trims as soon as it can.
pub(crate) fn brief(database: &Database, change: impl FnOnce(&mut PgConfig)) -> Pg {
    let mut config = database.config();
    config.log.retention = Duration::from_millis(200);
    config.log.history = Duration::from_millis(400);
    change(&mut config);
    Pg::new(config).unwrap()
}

/// A bound for what has to happen at all.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Waits for something that can only be asked for.
pub(crate) async fn until(what: &str, mut happened: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !happened().await {
        assert!(tokio::time::Instant::now() < deadline, "it did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Remembers what it was told.
#[derive(Default)]
pub(crate) struct Recorder {
    told: Mutex<Told>,
}

#[derive(Default, Clone)]
pub(crate) struct Told {
    pub(crate) joined: Vec<Identity>,
    pub(crate) rows: Vec<LogRow>,
    pub(crate) floor: u64,
    pub(crate) stamp: u64,
}

impl Recorder {
    pub(crate) fn told(&self) -> Told {
        self.told.lock().unwrap().clone()
    }

    /// As long as this lives, whoever tells something waits.
    pub(crate) fn stuck(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// The first field of each row, in order and once.
    pub(crate) fn fields(&self) -> Vec<String> {
        let mut fields: Vec<_> =
            self.told().rows.iter().filter_map(|row| row.fields.first().cloned().flatten()).collect();
        fields.sort();
        fields.dedup();
        fields
    }

    pub(crate) fn knows(&self, field: &str) -> bool {
        self.told.lock().unwrap().rows.iter().any(|row| row.fields.first().is_some_and(|f| f.as_deref() == Some(field)))
    }
}

impl LogSink for Recorder {
    fn joined(&self, identity: Identity, stamp: Stamp) {
        let mut told = self.told.lock().unwrap();
        told.joined.push(identity);
        told.stamp = told.stamp.max(stamp.get());
    }

    fn apply(&self, rows: &[LogRow]) {
        self.told.lock().unwrap().rows.extend_from_slice(rows);
    }

    fn forget(&self, through: Revision) {
        let mut told = self.told.lock().unwrap();
        told.floor = told.floor.max(through.get());
    }

    fn advance(&self, stamp: Stamp) {
        let mut told = self.told.lock().unwrap();
        told.stamp = told.stamp.max(stamp.get());
    }
}

const THINGS: &str = "CREATE TABLE things (name text, owner text, note text)";

fn with_log() -> Template<'static> {
    let attach = attach_sql("tiergate", "things", "thing", &["name", "owner"]).unwrap();
    let content: Vec<_> = migrations().iter().map(|migration| migration.sql).chain([THINGS, &attach]).collect();
    Template::built(&content.join(";"), move |url| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut client = connect(url).await;
            migrate(&mut client, "tiergate", COMPONENT, migrations()).await?;
            client.batch_execute(&format!("{THINGS}; {attach}")).await?;
            Ok(())
        })
    })
}

/// A client that is none of ours, at a URL of one's own.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A reader that has joined, and what it told.
pub(crate) async fn reader(pg: &Pg) -> (Arc<LogReader>, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let reader = LogReader::start(pg.clone(), recorder.clone());
    tokio::time::timeout(SOON, reader.joined()).await.unwrap_or_else(|_| panic!("not joined: {:?}", reader.trouble()));
    (reader, recorder)
}

/// The number of the current transaction.
pub(crate) async fn xid(client: &(impl tokio_postgres::GenericClient + Sync)) -> u64 {
    let row = client.query_one("SELECT pg_current_xact_id()::text", &[]).await.unwrap();
    row.get::<_, &str>(0).parse().unwrap()
}

/// Goes on as somebody who has what `grant` gives to the role `clerk`, and no more.
pub(crate) async fn become_clerk(psql: &Client, grant: &str) {
    psql.batch_execute(&format!(
        "DO $$ BEGIN CREATE ROLE clerk; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         {grant}; SET ROLE clerk"
    ))
    .await
    .unwrap();
}

/// A database whose log belongs to a user without privileges, and that user's way to it. `before` runs before the log is made.
pub(crate) async fn plain(server: &Postgres, before: &str) -> (Database, Pg) {
    let database = Database::of(TestDatabase::create_on(&server.url(), Template::empty()).unwrap());
    let psql = database.foreign().await;
    psql.batch_execute(&format!(
        "CREATE ROLE plain LOGIN PASSWORD 'plain';
         DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO plain', current_database()); END $$; {before}"
    ))
    .await
    .unwrap();
    let (_, place) = database.url.rsplit_once('@').unwrap();
    let pg = Pg::new(PgConfig::new(format!("postgres://plain:plain@{place}"))).unwrap();
    let mut client = pg.exclusive().await.unwrap();
    migrate(&mut client, "tiergate", COMPONENT, migrations()).await.unwrap();
    (database, pg)
}

/// Runs a test with a mistake planted, and demands that it fails. The mistake is one of the whole process, so that each of these wants its own, as
/// nextest gives it.
#[cfg(feature = "mistakes")]
pub(crate) fn finds(mistake: cache_core::Mistake, test: fn()) {
    if test_services::shared_postgres().is_none() {
        return;
    }
    let planted = cache_core::plant(mistake);
    let passed = std::panic::catch_unwind(test).is_ok();
    drop(planted);
    assert!(!passed, "{mistake} was not found");
}
