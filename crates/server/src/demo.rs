//! The world that a new data directory is filled with, and how to try it out.
//!
//! Invariant: only a data directory that this process has just begun is filled, or one in which filling was begun and not ended, because the process died
//! meanwhile: a file beside the data says so. What somebody else made is never written into.

use std::net::SocketAddr;
use std::path::PathBuf;

use authz::decide::{CheckError, DecisionPoint};
use authz::demo::{STORE_NAME, Size, Tour, World, model, tour};
use authz::relation::Tuple;
use authz::store::{PageRequest, StoreId, TupleFilter};
use serde::Serialize;

use crate::config::{Demo, Settings};
use crate::open::{self, Origin};
use crate::progress::Progress;

/// What to type to see the server at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// A question with the answer yes.
    pub allow: Curl,
    /// A question with the answer no.
    pub deny: Curl,
    /// A revocation, after which the first question has the answer no; or, where it was revoked, a grant.
    pub change: Curl,
    /// Whether the first question has the answer yes now.
    pub granted: bool,
}

/// A command line, ready to be pasted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curl(pub String);

/// Lies in the data directory while the demo world is being filled.
const MARKER: &str = "demo.incomplete";

/// Whether the demo world is to be filled.
pub struct Plan {
    marker: PathBuf,
    fill: Fill,
}

/// When to fill.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    Never,
    /// The data directory is new, or filling it was begun.
    Begun,
    /// Where there is no store.
    Empty,
}

impl Plan {
    /// Made before the data file is opened, because opening creates it.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let marker = settings.data.directory.join(MARKER);
        let is_shared = settings.postgres.url.is_some();
        let fill = match settings.data.demo {
            Demo::On if is_shared => Fill::Empty,
            Demo::Auto | Demo::On if !is_shared && (!open::data_file(settings).exists() || marker.exists()) => {
                Fill::Begun
            }
            // A database that others share is never filled unasked.
            Demo::Auto | Demo::On | Demo::Off => Fill::Never,
        };
        Self { fill, marker }
    }

    /// Fills the world if that is the plan, and finds the demo's store. None where there is nothing to show. Dropped half way it goes on where it
    /// was at the next start.
    ///
    /// # Errors
    /// Where the world can't be read or written.
    pub async fn carry_out(&self, decisions: &DecisionPoint, origin: &Origin) -> Result<Option<StoreId>, PrepareError> {
        let page = match decisions.stores(PageRequest { after: None, limit: 1 }).await {
            Ok(page) => page,
            // It joins later, and a server without it is no use to look at.
            Err(error) if matches!(origin, Origin::Postgres(_)) => {
                tracing::warn!(%error, "started without postgres; it joins as soon as it answers");
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let is_empty = page.items.is_empty();
        let found = page.items.into_iter().find(|store| store.name == STORE_NAME).map(|store| store.id);
        if self.fill == Fill::Empty && is_empty {
            let store = decisions.create_store(STORE_NAME).await?.id;
            fill(decisions, origin, store).await?;
            return Ok(Some(store));
        }
        if self.fill == Fill::Begun {
            std::fs::write(&self.marker, "the demo world is being filled; it goes on at the next start\n")?;
            let store = match found {
                Some(store) => store,
                None => decisions.create_store(STORE_NAME).await?.id,
            };
            fill(decisions, origin, store).await?;
            std::fs::remove_file(&self.marker)?;
            return Ok(Some(store));
        }
        match found {
            Some(store) if is_whole(decisions, store).await? => Ok(Some(store)),
            _ => Ok(None),
        }
    }
}

/// Why the demo world can't be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The decision point refused.
    #[error(transparent)]
    Decide(#[from] CheckError),
    /// The file that marks a world as unfinished can't be written or removed.
    #[error("{0}; check the permissions of the data directory")]
    Marker(#[from] std::io::Error),
}

/// Whether the store has the demo world's model: somebody else's store may have its name.
async fn is_whole(decisions: &DecisionPoint, store: StoreId) -> Result<bool, CheckError> {
    let models = decisions.models(store, PageRequest { after: None, limit: 1 }).await?;
    let Some((id, _)) = models.items.first() else { return Ok(false) };
    Ok(decisions.model(store, *id).await?.to_dsl() == model().to_dsl())
}

/// Loads the relationships, in large transactions; those that are there already stay.
async fn fill(decisions: &DecisionPoint, origin: &Origin, store: StoreId) -> Result<StoreId, CheckError> {
    let world = World::new(Size::FULL);
    let total = world.tuples().count();
    let begin = format!("creating the demo world: {total} relationships, once");
    let mut progress = Progress::new("creating the demo world", total, &begin);
    origin.load(store, world.tuples(), |read| progress.show(read)).await?;
    decisions.write_model(store, &model()).await?;
    progress.end();
    Ok(store)
}

impl Summary {
    /// The tour through the demo's store, at an address. Whoever took it before finds the way back.
    ///
    /// # Errors
    /// Where the demo's own question has no answer.
    pub async fn new(decisions: &DecisionPoint, address: SocketAddr, store: StoreId) -> Result<Self, CheckError> {
        let Tour { allowed, denied, action, resource, revoked } = tour();
        let ask = |subject| {
            let question = Question {
                subject: Entity::of(subject),
                action: Action { name: action },
                resource: Entity::of(resource),
            };
            // With the store in the path it stays true when there are other stores.
            Curl::post(&format!("http://{address}/stores/{}/access/v1/evaluation", store.0), &question)
        };
        let Tuple { object, relation, subject } = &revoked;
        let filter = TupleFilter {
            object_type: Some(object.type_name.clone()),
            object_id: Some(object.id.clone()),
            relation: Some(relation.clone()),
            subject: Some(subject.clone()),
        };
        let found = decisions.read_tuples(store, filter, PageRequest { after: None, limit: 1 }).await?;
        let key = Key { user: subject.to_string(), relation, object: object.to_string() };
        let keys = Keys { tuple_keys: [key] };
        let granted = !found.items.is_empty();
        let change = if granted {
            Change { deletes: Some(keys), writes: None }
        } else {
            Change { writes: Some(keys), deletes: None }
        };
        Ok(Self {
            allow: ask(allowed),
            deny: ask(denied),
            change: Curl::post(&format!("http://{address}/stores/{}/write", store.0), &change),
            granted,
        })
    }

    /// The lines that are printed at the start.
    #[must_use]
    pub fn lines(&self) -> [(&'static str, &str); 3] {
        let (first, change) = if self.granted {
            ("allowed", "revoke what the first one rests on; from now on the first line is denied")
        } else {
            ("denied since it was revoked", "grant it again; from now on the first line is allowed")
        };
        [(first, &self.allow.0), ("denied", &self.deny.0), (change, &self.change.0)]
    }
}

impl Curl {
    fn post(url: &str, body: &impl Serialize) -> Self {
        // Text always serializes.
        let body = serde_json::to_string(body).unwrap_or_default();
        Self(format!("curl -sw '\\n' {url} -H 'content-type: application/json' -d '{body}'"))
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
struct Change<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    writes: Option<Keys<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletes: Option<Keys<'a>>,
}

#[derive(Serialize)]
struct Keys<'a> {
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
