//! A database for each test, copied from a template that is built once for each content.
//!
//! Whoever uses a database holds an advisory lock with its number, on a connection of its own. PostgreSQL releases it
//! however the test ends, so that a lock which can be taken means a database that nobody uses any more: the next test
//! drops it. A template gets its final name last: what was built halfway is never copied.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::backend::shared_postgres;
use crate::error::Error;
use crate::port;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a statement may take, and how long one waits for a template that another process builds.
const STATEMENT: &str = "SET statement_timeout = '120s'";
/// Names of the databases of tests, and of templates, begin with these.
const TEST: &str = "tiergate_test_";
const TEMPLATE: &str = "tiergate_template_";

type Build<'a> = Box<dyn FnOnce(&str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send + 'a>;

/// What a database holds at first.
pub struct Template<'a> {
    number: u64,
    build: Build<'a>,
}

impl<'a> Template<'a> {
    /// Nothing.
    pub fn empty() -> Self {
        Self::sql("")
    }

    /// What these statements make.
    pub fn sql(statements: &'a str) -> Self {
        Self::built(statements, move |url| Ok(run(url, statements).map(|_| ())?))
    }

    /// What a function makes in the empty database whose URL it gets. `content` stands for all that it makes: for the same
    /// content the function is not called again while the server lives.
    pub fn built<F>(content: &str, build: F) -> Self
    where
        F: FnOnce(&str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send + 'a,
    {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self { number: hasher.finish(), build: Box::new(build) }
    }
}

impl<'a> From<&'a str> for Template<'a> {
    fn from(statements: &'a str) -> Self {
        Self::sql(statements)
    }
}

/// A database of one test; dropped, with whoever is still connected, when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    done: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl TestDatabase {
    /// A database on the shared server, or `None` and a line `SKIPPED …` where there is none; with `CI` set a panic.
    ///
    /// # Panics
    ///
    /// When there is a server and the database could not be made.
    pub fn create<'a>(template: impl Into<Template<'a>>) -> Option<Self> {
        let url = shared_postgres()?;
        Some(Self::create_on(&url, template).unwrap_or_else(|error| panic!("{error}")))
    }

    /// A database on a server of one's own. It blocks for some tens of milliseconds, and may be called within async code.
    ///
    /// # Errors
    ///
    /// When the server does not answer or the template can't be built.
    pub fn create_on<'a>(server: &str, template: impl Into<Template<'a>>) -> Result<Self, Error> {
        let number = u64::from_le_bytes(port::random()?);
        let name = format!("{TEST}{number:016x}");
        let url = with_database(server, &name)?;
        let template = template.into();
        let template = on_a_thread(|| ensure(server, template))?;
        let (done, wait) = mpsc::channel();
        let (made, result) = mpsc::channel();
        let (server, of) = (server.to_owned(), name.clone());
        let keeper = std::thread::spawn(move || keep(&server, &of, number, &template, &made, &wait));
        result.recv().map_err(|_| Error::failed(format!("the thread that makes {name} ended early")))??;
        Ok(Self { name, url, done: Some(done), keeper: Some(keeper) })
    }

    /// What a client connects to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements on a connection of their own, as `psql` would, and returns the rows of all of them as text.
    ///
    /// # Errors
    ///
    /// When one of them fails.
    pub fn psql(&self, statements: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        psql(&self.url, statements)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Runs statements in the database of a URL on a connection of their own, as `psql` would, and returns the rows of all of
/// them as text. It may be called within async code, which it blocks.
///
/// # Errors
///
/// When the server does not answer or a statement fails.
pub fn psql(url: &str, statements: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
    on_a_thread(|| run(url, statements))
}

/// A session as that of a `psql` which stays open: opened when it is needed, and again when it has failed. Not for async code, which it would block.
pub struct Session {
    url: String,
    connection: Option<Connection>,
}

impl Session {
    /// Connects to nothing yet.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), connection: None }
    }

    /// Runs statements, and returns the rows of all of them as text.
    ///
    /// # Errors
    ///
    /// When the server does not answer or a statement fails.
    pub fn psql(&mut self, statements: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.url)?,
        };
        let rows = connection.rows(statements)?;
        self.connection = Some(connection);
        Ok(rows)
    }
}

/// A connection, and the runtime that moves it while somebody waits.
struct Connection {
    runtime: Runtime,
    client: Client,
    at: String,
}

impl Connection {
    fn open(url: &str) -> Result<Self, Error> {
        let mut config: Config = url.parse().map_err(|error| Error::failed(format!("a URL of PostgreSQL: {error}")))?;
        config.connect_timeout(CONNECT).application_name("tiergate-test-services");
        let at = format!("{:?} port {:?}", config.get_hosts(), config.get_ports());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::failed(format!("no runtime for tests could be made: {error}")))?;
        let connected = runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(STATEMENT).await?;
            Ok(client)
        });
        let client = connected.map_err(|error: tokio_postgres::Error| {
            Error::failed(format!("postgres at {at} did not take a connection: {}", whole(&error)))
        })?;
        Ok(Self { runtime, client, at })
    }

    fn rows(&self, statements: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let messages = self.runtime.block_on(self.client.simple_query(statements)).map_err(|error| {
            Error::failed(format!("postgres at {}, asked to `{}`: {}", self.at, shortened(statements), whole(&error)))
        })?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }

    fn holds(&self, question: &str) -> Result<bool, Error> {
        Ok(self.rows(question)?.first().and_then(|row| row.first()?.as_deref()) == Some("t"))
    }
}

fn run(url: &str, statements: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
    Connection::open(url)?.rows(statements)
}

/// Makes the template if it is not there, and returns its name.
fn ensure(server: &str, template: Template<'_>) -> Result<String, Error> {
    let name = format!("{TEMPLATE}{:016x}", template.number);
    let connection = Connection::open(server)?;
    let there = format!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')");
    if connection.holds(&there)? {
        return Ok(name);
    }
    connection.rows(&format!("SELECT pg_advisory_lock({})", key(template.number)))?;
    if connection.holds(&there)? {
        return Ok(name);
    }
    let half = format!("{name}_half");
    connection.rows(&format!("DROP DATABASE IF EXISTS {half} WITH (FORCE)"))?;
    connection.rows(&format!("CREATE DATABASE {half}"))?;
    (template.build)(&with_database(server, &half)?)
        .map_err(|error| Error::failed(format!("the template of a test's database could not be built: {error}")))?;
    // Whoever connected to a template would keep others from copying it, also the builder's connections that still close.
    connection.rows(&format!("ALTER DATABASE {half} WITH ALLOW_CONNECTIONS false"))?;
    connection.rows(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{half}'"))?;
    connection.rows(&format!("ALTER DATABASE {half} RENAME TO {name}"))?;
    Ok(name)
}

/// Makes the database, says so, waits until nobody needs it, and drops it.
fn keep(
    server: &str,
    name: &str,
    number: u64,
    template: &str,
    made: &mpsc::Sender<Result<(), Error>>,
    done: &mpsc::Receiver<()>,
) {
    let make = || {
        let connection = Connection::open(server)?;
        connection.rows(&format!("SELECT pg_advisory_lock({})", key(number)))?;
        sweep(&connection);
        connection.rows(&format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        Ok(connection)
    };
    match make() {
        Ok(connection) => {
            let _ = made.send(Ok(()));
            let _ = done.recv();
            if let Err(error) = connection.rows(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")) {
                // A server that the test has stopped takes its databases with it.
                eprintln!("warning: {name} was left behind, for the next test to drop: {error}");
            }
        }
        Err(error) => _ = made.send(Err(error)),
    }
}

/// Drops the databases of tests that are dead. Whatever fails here, the next test tries again.
fn sweep(connection: &Connection) {
    let names = connection.rows(&format!("SELECT datname FROM pg_database WHERE datname LIKE '{TEST}%'"));
    for name in names.unwrap_or_default().into_iter().flatten().flatten() {
        let Some(number) = name.strip_prefix(TEST).and_then(|number| u64::from_str_radix(number, 16).ok()) else {
            continue;
        };
        let key = key(number);
        // A lock is counted: our own would be given a second time.
        let free = format!(
            "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() \
             AND ((classid::bigint << 32) | objid::bigint) = {key}) AND pg_try_advisory_lock({key})"
        );
        if connection.holds(&free).unwrap_or(false) {
            let _ = connection.rows(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
            let _ = connection.rows(&format!("SELECT pg_advisory_unlock({key})"));
        }
    }
}

/// A number as PostgreSQL writes it.
fn key(number: u64) -> i64 {
    number.cast_signed()
}

/// The same server's URL for another database.
fn with_database(url: &str, name: &str) -> Result<String, Error> {
    let odd = || Error::failed("a URL of PostgreSQL has the form postgres://user:password@host:port/database");
    let (scheme, rest) = url.split_once("://").ok_or_else(odd)?;
    let (before, query) = rest.split_once('?').map_or((rest, String::new()), |(a, b)| (a, format!("?{b}")));
    let authority = before.split('/').next().unwrap_or_default();
    Ok(format!("{scheme}://{authority}/{name}{query}"))
}

/// Runs something that blocks on a runtime of its own where perhaps another one runs already.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// An error with what it came from: the first line of tokio-postgres' errors is only `db error`.
fn whole(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => said.to_string(),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), |from| format!("{error}: {from}")),
    }
}

fn shortened(statements: &str) -> String {
    const MOST: usize = 200;
    let short: String = statements.chars().take(MOST).collect();
    if short.len() < statements.len() { short + " …" } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_all_but_its_database() {
        let other = |url| with_database(url, "x").expect("it is a URL");
        assert_eq!(other("postgres://u:p@h:1/postgres?sslmode=disable"), "postgres://u:p@h:1/x?sslmode=disable");
        assert_eq!(other("postgresql://h"), "postgresql://h/x");
        assert!(with_database("host=h user=u", "x").is_err());
    }
}
