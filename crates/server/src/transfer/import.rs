//! Import: batches in parallel, each all or nothing, counted in order.
//!
//! A batch that the server refuses is sent again one by one, so that the faulty relationship is named and the others are not lost with it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use authz::relation::Relationship;
use authz::store::MAX_WRITE_BATCH;
use axum::http::Method;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::input::{Input, InputError};
use super::journal::{Entry, Journal};
use super::pool::Pool;
use super::tuple_key;
use crate::client::{ClientError, Reply, Server};
use crate::progress::Progress;

/// How often the journal is written.
const JOURNAL_EVERY: Duration = Duration::from_millis(500);
/// Refused relationships that are named; the others are counted.
pub(super) const MAX_NAMED: usize = 20;
/// The name of a store where nobody gives one.
pub(super) const DEFAULT_NAME: &str = "imported";

/// What to import, and how.
#[derive(Clone, Debug)]
pub struct Import {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The server.
    pub server: Server,
    /// The store; a new one is created without.
    pub store: Option<String>,
    /// The name of a new store.
    pub name: Option<String>,
    /// Batches that are under way at the same time.
    pub parallel: usize,
    /// Where to remember how far it came.
    pub journal: Option<PathBuf>,
    /// Let another model become the store's latest one.
    pub replace_model: bool,
    /// Go on where a relationship is refused.
    pub skip_refused: bool,
}

/// What was imported.
#[derive(Debug)]
pub struct Imported {
    /// The store.
    pub store: String,
    /// Relationships that the server took, or had already.
    pub taken: usize,
    /// Those of them that an earlier run had brought.
    pub resumed_at: usize,
    /// The first of those that it refused, each with the reason.
    pub refused: Vec<String>,
    /// How many it refused.
    pub refused_count: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// Why an import ended early. What was acknowledged stays, and the journal knows how far that is.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The files can't be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Relationships alone, and no store to put them into.
    #[error(
        "these files bring no model; name the store that they belong to with --store, or import a store file (.fga.yaml) with its model"
    )]
    NoStore,
    /// The store has another model.
    #[error(
        "store {0} has another model than the store file; nothing was imported; pass --replace-model to make the file's model its latest one, or import the relationships alone"
    )]
    OtherModel(String),
    /// The server can't be reached.
    #[error("{0}; run the same command again, and it goes on where it stopped")]
    Client(#[from] ClientError),
    /// The server said no to something else than a relationship.
    #[error("the server refused {what} ({status}): {message}")]
    Refused {
        /// What was sent.
        what: &'static str,
        /// The status.
        status: u16,
        /// What the server said.
        message: String,
    },
    /// A relationship that the server refuses.
    #[error("the server refused {0}; mend it and run the same command again, or pass --skip-refused")]
    Relationship(String),
    /// The journal can't be written.
    #[error("the journal {path} can't be written: {cause}; name another place with --journal")]
    Journal {
        /// Where.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
}

impl Import {
    /// Imports.
    ///
    /// # Errors
    /// See [`ImportError`].
    #[expect(clippy::disallowed_methods, reason = "a person is told how long it took")]
    pub async fn run(&self) -> Result<Imported, ImportError> {
        let begin = Instant::now();
        let input = Input::read(&self.files)?;
        if input.model.is_none() && self.store.is_none() {
            return Err(ImportError::NoStore);
        }
        let first = self.files.first().map_or(Path::new("import"), PathBuf::as_path);
        let journal = Journal::new(self.journal.as_deref(), first);
        let pool = Pool::new(&self.server);
        let mut entry = self.begin(&pool, &journal, &input).await?;
        if let Some(model) = &input.model
            && entry.done == 0
        {
            self.write_model(&pool, &entry.store, model.to_json()).await?;
        }
        let resumed_at = entry.done;
        let mut sent = Sent { journal, written: begin, refused: Vec::new(), refused_count: 0 };
        sent.remember(&entry)?;
        self.send(&pool, &input.relationships, &mut entry, &mut sent).await?;
        sent.journal.remove().map_err(|cause| sent.failed(cause))?;
        let Sent { refused, refused_count, .. } = sent;
        let taken = entry.done - refused_count;
        Ok(Imported { store: entry.store, taken, resumed_at, refused, refused_count, elapsed: begin.elapsed() })
    }

    /// The store, and where to begin: where an earlier run of the same import stopped, or at the beginning.
    async fn begin(&self, pool: &Pool, journal: &Journal, input: &Input) -> Result<Entry, ImportError> {
        let digest = format!("{:016x}", input.digest());
        let is_same = |entry: &Entry| {
            entry.url == self.server.url()
                && entry.input == digest
                && entry.done <= input.relationships.len()
                && self.store.as_ref().is_none_or(|store| *store == entry.store)
        };
        if let Some(entry) = journal.read().filter(is_same) {
            let reply = pool.send(&Method::GET, &format!("/stores/{}", entry.store), None).await?;
            if reply.status == 200 {
                return Ok(entry);
            }
        }
        let store = match &self.store {
            Some(store) => {
                let reply = pool.send(&Method::GET, &format!("/stores/{store}"), None).await?;
                expect(&reply, 200, "the store")?;
                store.clone()
            }
            None => {
                let name = self.name.as_ref().or(input.name.as_ref()).map_or(DEFAULT_NAME, String::as_str);
                // Once, whatever comes of it: another request would make another store. What follows goes to the server that knows this one.
                let reply = pool.once(&Method::POST, "/stores?wait=none", Some(&json!({"name": name}))).await?;
                made(&reply, "the store")?["id"].as_str().unwrap_or_default().to_owned()
            }
        };
        Ok(Entry { url: self.server.url().to_owned(), store, input: digest, done: 0 })
    }

    /// Writes the model, unless the store's latest one is the same.
    async fn write_model(&self, pool: &Pool, store: &str, model: Value) -> Result<(), ImportError> {
        let path = format!("/stores/{store}/authorization-models");
        let latest = pool.send(&Method::GET, &format!("{path}?page_size=1"), None).await?;
        let mut known = expect(&latest, 200, "the question for its model")?["authorization_models"][0].clone();
        if let Some(known) = known.as_object_mut() {
            known.remove("id");
        }
        if known != model {
            if !known.is_null() && !self.replace_model {
                return Err(ImportError::OtherModel(store.to_owned()));
            }
            let reply = pool.send(&Method::POST, &format!("{path}?wait=none"), Some(&model)).await?;
            made(&reply, "the model")?;
        }
        Ok(())
    }

    async fn send(
        &self,
        pool: &Pool,
        relationships: &[Relationship],
        entry: &mut Entry,
        sent: &mut Sent,
    ) -> Result<(), ImportError> {
        let total = relationships.len();
        let begin = match entry.done {
            0 => format!("importing {total} relationships into store {}", entry.store),
            done => format!("going on at {done} of {total} relationships in store {}", entry.store),
        };
        let mut progress = Progress::new("importing", total, &begin);
        let path = format!("/stores/{}/write", entry.store);
        let batches = stream::iter(relationships[entry.done..].chunks(MAX_WRITE_BATCH))
            .map(|batch| {
                let path = &path;
                async move { (batch.len(), send_batch(pool, path, batch, self.skip_refused).await) }
            })
            .buffered(self.parallel.max(1));
        let mut batches = std::pin::pin!(batches);
        while let Some((length, result)) = batches.next().await {
            let refused = match result {
                Ok(refused) => refused,
                Err(error) => {
                    progress.end();
                    sent.remember(entry)?;
                    return Err(error);
                }
            };
            entry.done += length;
            sent.count(refused);
            sent.remember_now_and_then(entry)?;
            progress.show(entry.done);
        }
        progress.end();
        Ok(())
    }
}

/// What is known of an import under way.
struct Sent {
    journal: Journal,
    written: Instant,
    refused: Vec<String>,
    refused_count: usize,
}

impl Sent {
    fn count(&mut self, refused: Vec<String>) {
        self.refused_count += refused.len();
        let room = MAX_NAMED.saturating_sub(self.refused.len());
        self.refused.extend(refused.into_iter().take(room));
    }

    fn remember_now_and_then(&mut self, entry: &Entry) -> Result<(), ImportError> {
        if self.written.elapsed() < JOURNAL_EVERY {
            return Ok(());
        }
        self.remember(entry)
    }

    #[expect(clippy::disallowed_methods, reason = "how often a file is written is nobody's answer")]
    fn remember(&mut self, entry: &Entry) -> Result<(), ImportError> {
        self.written = Instant::now();
        self.journal.write(entry).map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: std::io::Error) -> ImportError {
        ImportError::Journal { path: self.journal.path().display().to_string(), cause }
    }
}

/// Sends a batch; the relationships of it that the server refuses, where that is to be borne.
async fn send_batch(
    pool: &Pool,
    path: &str,
    batch: &[Relationship],
    skip_refused: bool,
) -> Result<Vec<String>, ImportError> {
    let reply = write(pool, path, batch).await?;
    if reply.status == 200 {
        return Ok(Vec::new());
    }
    if reply.status != 400 {
        return Err(refused(&reply, "the relationships"));
    }
    let mut refused = Vec::new();
    for one in batch {
        let reply = write(pool, path, std::slice::from_ref(one)).await?;
        if reply.status == 200 {
            continue;
        }
        let why = format!("{one}: {}", message(&reply));
        if !skip_refused {
            return Err(ImportError::Relationship(why));
        }
        refused.push(why);
    }
    Ok(refused)
}

async fn write(pool: &Pool, path: &str, batch: &[Relationship]) -> Result<Reply, ImportError> {
    let keys: Vec<Value> = batch.iter().map(tuple_key).collect();
    let body = json!({"writes": {"tuple_keys": keys, "on_duplicate": "ignore"}});
    Ok(pool.send(&Method::POST, path, Some(&body)).await?)
}

fn expect<'r>(reply: &'r Reply, status: u16, what: &'static str) -> Result<&'r Value, ImportError> {
    if reply.status == status { Ok(&reply.body) } else { Err(refused(reply, what)) }
}

/// What was made, whether or not the other instances know it already.
fn made<'r>(reply: &'r Reply, what: &'static str) -> Result<&'r Value, ImportError> {
    expect(reply, if reply.status == 202 { 202 } else { 201 }, what)
}

fn refused(reply: &Reply, what: &'static str) -> ImportError {
    ImportError::Refused { what, status: reply.status, message: message(reply) }
}

fn message(Reply { body, .. }: &Reply) -> String {
    body["message"].as_str().or(body.as_str()).unwrap_or("no reason was given").to_owned()
}
