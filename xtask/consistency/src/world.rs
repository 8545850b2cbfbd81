//! A store in which whoever is in an inner team may view fifty documents by way of an outer one, unless banned.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::history::{Endpoint, Key, Kind, Way};
use crate::http::{Answer, Client};

/// Documents that whoever has access may view: as many as one batch may ask for.
pub(crate) const DOCUMENTS: u32 = 50;

/// How often, and after what pause, a server is asked to make it.
const ATTEMPTS: usize = 50;
const AGAIN: Duration = Duration::from_millis(200);

/// A store, and the schema that it lies in.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) store: String,
    pub(crate) schema: String,
    /// Questions in one batch.
    batch: u32,
}

/// What somebody was told.
pub(crate) struct Asked {
    /// 0 where no answer came.
    pub(crate) status: u16,
    /// Allows, denies, and decisions that were none.
    pub(crate) counts: [u32; 3],
    /// Those that were, by who made them.
    pub(crate) sources: [u32; 5],
}

impl World {
    /// Writes the model and the relationships that never change.
    pub(crate) fn create(cluster: &Cluster<'_>, batch: u32) -> Result<Self, String> {
        let mut client = Client::default();
        let at = cluster.instances[0].public();
        // Everything here may be made twice. Leases may have to be taken first.
        let mut post = |path: &str, body: &Value| {
            let mut said = String::new();
            for _ in 0..ATTEMPTS {
                match client.post(at, path, &body.to_string()) {
                    Ok(answer) if answer.status == 200 || answer.status == 201 => return Ok(answer.body),
                    Ok(answer) => said = format!("{} {}", answer.status, answer.body),
                    Err(error) => said = error.to_string(),
                }
                std::thread::sleep(AGAIN);
            }
            Err(format!("{path}: {said}"))
        };
        let made = post("/stores", &json!({"name": "consistency"}))?;
        let store = made["id"].as_str().unwrap_or_default().to_owned();
        post(&format!("/stores/{store}/authorization-models"), &model())?;
        let mut keys = vec![tuple("team:inner#member", "member", "team:outer")];
        for document in 0..DOCUMENTS {
            keys.push(tuple("team:outer#member", "viewer", &format!("document:{document}")));
        }
        for document in 0..DOCUMENTS {
            keys.push(tuple("org:all", "org", &format!("document:{document}")));
        }
        for keys in keys.chunks(100) {
            post(
                &format!("/stores/{store}/write"),
                &json!({"writes": {"tuple_keys": keys, "on_duplicate": "ignore"}}),
            )?;
        }
        Ok(Self { store, schema: cluster.schema.clone(), batch })
    }

    /// The body of a change. Doing twice what was done is no fault: whoever does not know the fate of a change sends it again.
    pub(crate) fn change(&self, keys: &[Key], kind: Kind, way: Way) -> String {
        let tuples: Vec<_> = keys
            .iter()
            .map(|key| match way {
                Way::Ban => tuple(&format!("user:u{key}"), "banned", "org:all"),
                Way::Member | Way::Sql => tuple(&format!("user:u{key}"), "member", "team:inner"),
            })
            .collect();
        match (kind, way) {
            (Kind::Grant, Way::Member | Way::Sql) | (Kind::Revoke, Way::Ban) => {
                json!({"writes": {"tuple_keys": tuples, "on_duplicate": "ignore"}})
            }
            _ => json!({"deletes": {"tuple_keys": tuples, "on_missing": "ignore"}}),
        }
        .to_string()
    }

    /// The statements that make or end a membership past every instance, and say in which transaction.
    pub(crate) fn sql(&self, key: Key, kind: Kind) -> String {
        let Self { store, schema, .. } = self;
        let change = match kind {
            Kind::Grant => format!(
                "INSERT INTO {schema}.tuples (store, object_type, object_id, relation, subject_type, subject_relation, subject_id) \
                 VALUES ('{store}', 'team', 'inner', 'member', 'user', '', 'u{key}') ON CONFLICT DO NOTHING"
            ),
            Kind::Revoke => format!(
                "DELETE FROM {schema}.tuples WHERE store = '{store}' AND subject_type = 'user' AND subject_id = 'u{key}'"
            ),
        };
        format!("BEGIN; {change}; SELECT pg_current_xact_id(); COMMIT")
    }

    /// How many instances have not said that they applied a transaction.
    pub(crate) fn lagging(&self, transaction: &str) -> String {
        let schema = &self.schema;
        format!(
            "SELECT count(*) FROM {schema}.members m LEFT JOIN {schema}.positions p USING (incarnation) WHERE NOT m.fenced
             AND NOT coalesce(p.seen_in = {schema}.incarnation() AND pg_visible_in_snapshot('{transaction}', p.seen::pg_snapshot), false)"
        )
    }

    /// Asks whether a subject may view, at one endpoint.
    pub(crate) fn ask(&self, client: &mut Client, at: SocketAddr, endpoint: Endpoint, key: Key, full: bool) -> Asked {
        let document = key % u64::from(DOCUMENTS);
        let user = format!("user:u{key}");
        let consistency = if full { "HIGHER_CONSISTENCY" } else { "MINIMIZE_LATENCY" };
        let context = json!({"consistency": if full { "full" } else { "minimize_latency" }});
        let subject = json!({"type": "user", "id": format!("u{key}")});
        let action = json!({"name": "can_view"});
        let resource = |document: u64| json!({"type": "document", "id": document.to_string()});
        let (path, body, many) = match endpoint {
            Endpoint::Single => (
                "access/v1/evaluation",
                json!({"subject": subject, "action": action, "resource": resource(document), "context": context}),
                1,
            ),
            Endpoint::Batch => {
                let items: Vec<_> =
                    (0..u64::from(self.batch)).map(|document| json!({"resource": resource(document)})).collect();
                let body = json!({"subject": subject, "action": action, "context": context, "evaluations": items});
                ("access/v1/evaluations", body, self.batch)
            }
            Endpoint::Check => {
                let asked = tuple(&user, "can_view", &format!("document:{document}"));
                ("check", json!({"tuple_key": asked, "consistency": consistency}), 1)
            }
            Endpoint::List => (
                "list-objects",
                json!({"type": "document", "relation": "can_view", "user": user, "consistency": consistency}),
                1,
            ),
            Endpoint::Search => (
                "access/v1/search/resource",
                json!({"subject": subject, "action": action, "resource": {"type": "document"}, "context": context}),
                1,
            ),
        };
        match client.post(at, &format!("/stores/{}/{path}", self.store), &body.to_string()) {
            Ok(Answer { status: 200, body }) => {
                let (counts, sources) = read(endpoint, &body, many);
                Asked { status: 200, counts, sources }
            }
            Ok(Answer { status, .. }) => Asked { status, counts: [0, 0, many], sources: [0; 5] },
            Err(_) => Asked { status: 0, counts: [0, 0, many], sources: [0; 5] },
        }
    }
}

fn read(endpoint: Endpoint, body: &Value, many: u32) -> ([u32; 3], [u32; 5]) {
    let (mut counts, mut sources) = ([0; 3], [0; 5]);
    let mut one = |decision: Option<bool>, context: &Value| {
        let failed = decision.is_none() || context.get("error").is_some();
        counts[if failed { 2 } else { usize::from(decision == Some(false)) }] += 1;
        if !failed {
            let source = context["source"].as_str().unwrap_or_default();
            let at = crate::history::SOURCES.iter().position(|known| *known == source);
            sources[at.unwrap_or(crate::history::SOURCES.len() - 1)] += 1;
        }
    };
    let decided = |value: &Value| value["decision"].as_bool();
    match endpoint {
        Endpoint::Single => one(decided(body), &body["context"]),
        Endpoint::Batch => match body["evaluations"].as_array() {
            Some(items) => items.iter().for_each(|item| one(decided(item), &item["context"])),
            None => counts[2] = many,
        },
        Endpoint::Check => one(body["allowed"].as_bool(), &Value::Null),
        Endpoint::List => one(body["objects"].as_array().map(|found| !found.is_empty()), &Value::Null),
        Endpoint::Search => one(body["results"].as_array().map(|found| !found.is_empty()), &Value::Null),
    }
    (counts, sources)
}

fn tuple(user: &str, relation: &str, object: &str) -> Value {
    json!({"user": user, "relation": relation, "object": object})
}

fn model() -> Value {
    let this = json!({"this": {}});
    let of = |relations: Value, types: Value| json!({"relations": relations, "metadata": {"relations": types}});
    let types = |all: Value| json!({"directly_related_user_types": all});
    let team = of(
        json!({"member": this}),
        json!({"member": types(json!([{"type": "user"}, {"type": "team", "relation": "member"}]))}),
    );
    let org = of(json!({"banned": this}), json!({"banned": types(json!([{"type": "user"}]))}));
    let document = of(
        json!({
            "org": this,
            "viewer": this,
            "can_view": {"difference": {
                "base": {"computedUserset": {"relation": "viewer"}},
                "subtract": {"tupleToUserset": {
                    "tupleset": {"relation": "org"},
                    "computedUserset": {"relation": "banned"},
                }},
            }},
        }),
        json!({
            "org": types(json!([{"type": "org"}])),
            "viewer": types(json!([{"type": "user"}, {"type": "team", "relation": "member"}])),
        }),
    );
    let named = |name: &str, of: &Value| {
        let mut definition = of.clone();
        definition["type"] = json!(name);
        definition
    };
    json!({"schema_version": "1.1", "type_definitions": [
        {"type": "user"}, named("team", &team), named("org", &org), named("document", &document),
    ]})
}
