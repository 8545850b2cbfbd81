//! A database with a small application in it: users with names, one view over them, and a log whose changes the test makes itself.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::testing::{FixedEntropy, TestClock};
use cache_core::{
    CacheKey, CacheType, CacheValue, Chain, Clock, Delta, Error, Identity, KeyEncoder, Kill, KillSink, Log, Lookup,
    Position, ReadSet, Revision, RowKey, RowValue, Stamp, Tag, tag,
};
use cache_pg::{RefreshConfig, Refreshed, Refresher, View, ViewConfig, ViewHandle, Views};
use pg_log::tokio_postgres::{Client, NoTls};
use pg_log::{COMPONENT, Pg, PgConfig, migrate, migrations, read_identity};
use test_services::{Template, TestDatabase};

/// The application's table.
const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name text);
    INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 1000) i";

/// The type of the values.
pub(crate) const USER: CacheType = CacheType::new(0, "user");

/// A user's name; none where there is no such user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User(pub(crate) Option<String>);

impl CacheValue for User {
    fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, String::capacity)
    }

    fn is_negative(&self) -> bool {
        self.0.is_none()
    }
}

impl RowValue for User {
    fn from_row(key: &RowKey, row: Option<&str>) -> Option<(Self, ReadSet)> {
        Some((Self(row.map(Into::into)), [user_tag(&key.columns[0])].into_iter().collect()))
    }
}

pub(crate) fn user_tag(id: &str) -> Tag {
    tag!("user", id)
}

/// The key of a user; what it is looked for in is up to the test.
#[derive(Clone, Debug)]
pub(crate) struct UserKey {
    pub(crate) id: String,
    pub(crate) view: Option<&'static str>,
}

pub(crate) fn user(id: impl ToString) -> UserKey {
    UserKey { id: id.to_string(), view: Some("users") }
}

impl CacheKey for UserKey {
    fn cache_type(&self) -> CacheType {
        USER
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        let Self { id, view: _ } = self;
        encoder.text(id);
    }

    fn row(&self) -> Option<RowKey> {
        let view = self.view?;
        Some(RowKey { view, columns: [self.id.clone().into()].into_iter().collect(), asked: Default::default() })
    }
}

/// A log whose changes are transactions of the test. They are applied when the test says so.
pub(crate) struct TestLog {
    identity: Identity,
    sinks: Mutex<Vec<Weak<dyn KillSink>>>,
    told: Mutex<Vec<(Revision, Vec<Kill>)>>,
}

impl TestLog {
    pub(crate) fn apply(&self, revision: Revision, kills: &[Kill]) {
        self.told.lock().unwrap().push((revision, kills.to_vec()));
        for sink in self.sinks.lock().unwrap().iter().filter_map(Weak::upgrade) {
            sink.apply(revision, kills);
        }
    }
}

#[async_trait]
impl Log for TestLog {
    fn identity(&self) -> Option<Identity> {
        Some(self.identity)
    }

    fn stamp(&self) -> Stamp {
        Stamp::OLDEST
    }

    fn attach(&self, sink: Weak<dyn KillSink>) {
        for (revision, kills) in &*self.told.lock().unwrap() {
            if let Some(sink) = sink.upgrade() {
                sink.apply(*revision, kills);
            }
        }
        self.sinks.lock().unwrap().push(sink);
    }

    async fn append(&self, _: Vec<Kill>) -> Result<Revision, Error> {
        unreachable!("the test makes the changes")
    }

    async fn read(&self, _: Option<&Position>) -> Result<Delta, Error> {
        unreachable!("nobody reads this log")
    }

    fn covers(&self, _: &Position, _: Revision) -> bool {
        unreachable!("nobody asks this log")
    }
}

/// A database of its own, with the application's table in `public`, and the log.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) pg: Pg,
    pub(crate) identity: Identity,
    pub(crate) log: Arc<TestLog>,
    /// The time of refreshes.
    pub(crate) clock: Arc<TestClock>,
    /// The time of look-ups.
    pub(crate) look_ups: Arc<TestClock>,
    _database: TestDatabase,
}

impl Database {
    /// None where there is no server, which was said then.
    pub(crate) async fn new() -> Option<Self> {
        let content: Vec<_> = migrations().iter().map(|migration| migration.sql).chain([USERS]).collect();
        let database = TestDatabase::create(Template::built(&content.join(";"), |url| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut client = connect(url).await;
                migrate(&mut client, "tiergate", COMPONENT, migrations()).await?;
                client.batch_execute(USERS).await?;
                Ok(())
            })
        }))?;
        let url = database.url().to_owned();
        let (client, pg) = (connect(&url).await, Pg::new(PgConfig::new(&url)).unwrap());
        let identity = read_identity(&client, pg.schema()).await.unwrap();
        let log = TestLog { identity, sinks: Mutex::default(), told: Mutex::default() };
        Some(Self {
            url,
            client,
            pg,
            identity,
            log: Arc::new(log),
            clock: Arc::default(),
            look_ups: Arc::default(),
            _database: database,
        })
    }

    pub(crate) async fn another_client(&self) -> Client {
        connect(&self.url).await
    }

    /// The view over the users.
    pub(crate) fn users() -> View {
        View::new("users", "SELECT id, name FROM public.users").key("id").value("name")
    }

    /// The view over the users, created and refreshed.
    pub(crate) async fn views(&self) -> Views {
        self.views_of(vec![Self::users()]).await
    }

    pub(crate) async fn views_of(&self, views: Vec<View>) -> Views {
        let views = Views::new(self.pg.clone(), views).unwrap();
        views.migrate().await.unwrap();
        views
    }

    pub(crate) fn refresher(&self, views: &Views) -> Refresher {
        self.refresher_with(views, RefreshConfig::default())
    }

    pub(crate) fn refresher_with(&self, views: &Views, config: RefreshConfig) -> Refresher {
        views.refresher(config, Arc::clone(&self.clock) as Arc<dyn Clock>, Arc::new(FixedEntropy(0))).unwrap()
    }

    pub(crate) fn time(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.look_ups) as Arc<dyn Clock>
    }

    /// A chain of the views alone.
    pub(crate) fn chain(&self, views: &Views) -> (Chain<User>, ViewHandle) {
        let layer = views.layer::<User>(ViewConfig::default(), self.time()).unwrap();
        let handle = layer.handle();
        let chain = Chain::builder().tier(layer).log(Arc::clone(&self.log) as _).clock(self.time()).build().unwrap();
        (chain, handle)
    }

    /// Changes the tables in one transaction; the change's revision. Nobody is told yet.
    pub(crate) async fn change(&self, sql: &str) -> Revision {
        change_by(&self.client, sql).await
    }
}

/// Changes the tables; the revision.
pub(crate) async fn change_by(client: &Client, sql: &str) -> Revision {
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute(sql).await.unwrap();
    let revision = revision_of(client).await;
    client.batch_execute("COMMIT").await.unwrap();
    revision
}

/// The revision of the transaction that is under way.
pub(crate) async fn revision_of(client: &Client) -> Revision {
    let row = client.query_one("SELECT pg_current_xact_id()::text", &[]).await.unwrap();
    Revision::new(row.get::<_, String>(0).parse().unwrap())
}

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = pg_log::tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    // For the tables of both.
    client.batch_execute("SET search_path = public, tiergate; SET client_min_messages = warning").await.unwrap();
    client
}

/// The name that a look-up found, with `-` for a user who is known not to be; none for a miss.
pub(crate) async fn name(chain: &Chain<User>, id: impl ToString) -> Option<String> {
    match chain.get(&user(id)).await {
        Lookup::Hit(hit) => hit.value().0.clone(),
        Lookup::NegativeHit(hit) => {
            assert_eq!(hit.value(), &User(None));
            Some("-".to_owned())
        }
        Lookup::Miss => None,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn stamp_of(refreshed: Refreshed) -> Stamp {
    match refreshed {
        Refreshed::Done { as_of, .. } => as_of,
        other => panic!("it was to be refreshed here: {other:?}"),
    }
}

/// Waits until something holds, which something else brings about.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("not within 20 s: {what}"));
}
