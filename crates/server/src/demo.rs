//! The world that an empty data directory is filled with, and how to try it out.
//!
//! Invariant: where there is a store already, nothing is written, but into a demo world that was begun and not finished because the process died
//! meanwhile. It can be told by its model, which is written last.

use std::io::{IsTerminal, Write as _};
use std::net::SocketAddr;

use authz::decide::{CheckError, DecisionPoint};
use authz::demo::{STORE_NAME, Size, Tour, World, model, tour};
use authz::relation::Tuple;
use authz::store::sqlite::SqliteStore;
use authz::store::{PageRequest, StoreId};
use serde::Serialize;

use crate::config::Demo;

/// What to type to see the server at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// A question with the answer yes.
    pub allow: Curl,
    /// A question with the answer no.
    pub deny: Curl,
    /// A revocation, after which the first question has the answer no.
    pub revoke: Curl,
}

/// A command line, ready to be pasted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curl(pub String);

/// Fills an empty world if the settings say so, and finds the demo's store. None where there is nothing to show.
///
/// # Errors
/// Where the world can't be read or written.
pub async fn prepare(
    decisions: &DecisionPoint,
    origin: &SqliteStore,
    demo: Demo,
) -> Result<Option<StoreId>, CheckError> {
    let page = decisions.stores(PageRequest { after: None, limit: 1 }).await?;
    match (page.items.first(), demo) {
        (None, Demo::Auto) => {
            let store = decisions.create_store(STORE_NAME).await?.id;
            fill(decisions, origin, store).await.map(Some)
        }
        (None, Demo::Off) => Ok(None),
        (Some(store), _) if store.name != STORE_NAME => Ok(None),
        (Some(store), demo) => {
            let begun = decisions.models(store.id, PageRequest { after: None, limit: 1 }).await?.items.is_empty();
            match (begun, demo) {
                (true, Demo::Auto) => fill(decisions, origin, store.id).await.map(Some),
                (true, Demo::Off) => Ok(None),
                (false, _) => Ok(Some(store.id)),
            }
        }
    }
}

/// Loads the relationships, in large transactions; those that are there already stay.
async fn fill(decisions: &DecisionPoint, origin: &SqliteStore, store: StoreId) -> Result<StoreId, CheckError> {
    let world = World::new(Size::FULL);
    let total = world.tuples().count();
    let mut progress = Progress::new(total);
    origin.load(store, world.tuples(), |loaded| progress.show(loaded.read)).await?;
    decisions.write_model(store, &model()).await?;
    progress.end();
    Ok(store)
}

/// Tells a person how far the filling has come: on one line of a terminal, or else now and then.
struct Progress {
    total: usize,
    shown_percent: usize,
    terminal: bool,
}

impl Progress {
    fn new(total: usize) -> Self {
        let progress = Self { total, shown_percent: 0, terminal: std::io::stderr().is_terminal() };
        progress.print(&format!("creating the demo world: {total} relationships, once"));
        progress
    }

    fn show(&mut self, done: usize) {
        let percent = done * 100 / self.total.max(1);
        let step = if self.terminal { 1 } else { 25 };
        if percent >= self.shown_percent + step {
            self.shown_percent = percent;
            self.print(&format!("creating the demo world: {percent:>3} %"));
        }
    }

    fn end(&self) {
        if self.terminal {
            let _ = writeln!(std::io::stderr());
        }
    }

    fn print(&self, text: &str) {
        let mut out = std::io::stderr();
        // Where nobody reads, nobody misses it.
        let _ = if self.terminal { write!(out, "\r{text}\x1b[K") } else { writeln!(out, "{text}") };
        let _ = out.flush();
    }
}

impl Summary {
    /// The tour through the demo's store, at an address.
    #[must_use]
    pub fn new(address: SocketAddr, store: StoreId) -> Self {
        let Tour { allowed, denied, action, resource, revoked } = tour();
        let ask = |subject| {
            let question = Question {
                subject: Entity::of(subject),
                action: Action { name: action },
                resource: Entity::of(resource),
            };
            Curl::post(&format!("http://{address}/access/v1/evaluation"), &question)
        };
        let Tuple { object, relation, subject } = &revoked;
        let key = Key { user: subject.to_string(), relation, object: object.to_string() };
        let revoke = Write { deletes: Deletes { tuple_keys: [key] } };
        Self {
            allow: ask(allowed),
            deny: ask(denied),
            revoke: Curl::post(&format!("http://{address}/stores/{}/write", store.0), &revoke),
        }
    }

    /// The lines that are printed at the start.
    #[must_use]
    pub fn lines(&self) -> [(&'static str, &str); 3] {
        [
            ("allowed", &self.allow.0),
            ("denied", &self.deny.0),
            ("revoke what the first one rests on; from now on the first line is denied", &self.revoke.0),
        ]
    }
}

impl Curl {
    fn post(url: &str, body: &impl Serialize) -> Self {
        // Text always serializes.
        let body = serde_json::to_string(body).unwrap_or_default();
        Self(format!("curl -s {url} -H 'content-type: application/json' -d '{body}'"))
    }
}

// The bodies, with their keys in the order in which people read them.

#[derive(Serialize)]
struct Question {
    subject: Entity,
    action: Action,
    resource: Entity,
}

#[derive(Serialize)]
struct Entity {
    #[serde(rename = "type")]
    type_name: &'static str,
    id: &'static str,
}

#[derive(Serialize)]
struct Action {
    name: &'static str,
}

#[derive(Serialize)]
struct Write<'a> {
    deletes: Deletes<'a>,
}

#[derive(Serialize)]
struct Deletes<'a> {
    tuple_keys: [Key<'a>; 1],
}

#[derive(Serialize)]
struct Key<'a> {
    user: String,
    relation: &'a str,
    object: String,
}

impl Entity {
    fn of((type_name, id): (&'static str, &'static str)) -> Self {
        Self { type_name, id }
    }
}
