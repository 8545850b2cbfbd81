//! The documentation of the administration.

use serde_json::{Value, json};

use super::cache::Cache;
use super::explain::{Answer, Question};
use super::invalidate::{Report, Scope};
use super::pools::Pools;
use super::properties::{Entities, Entity, PropertiesQuery, Write, Written};
use super::tiers::{Change, Changed};
use crate::acknowledge::WaitQuery;
use crate::acknowledge::docs::accepted;
use crate::openapi::{EXAMPLE_MODEL, Operation};
use crate::reload::Reloaded;

pub(crate) fn invalidate() -> Operation {
    let invalidate = Operation::administration("invalidate", "Stop using cached values")
        .query::<WaitQuery>()
        .about("In force on every instance when it is answered. Nothing is lost by it: what is asked for next is computed anew.")
        .takes::<Scope>(json!({"scope": "user", "id": "ann"}))
        .answers::<Report>(200, "It is in force on every instance.", json!({"revision": 7, "confirmed_by": 3, "errors": []}));
    accepted(invalidate)
}

pub(crate) fn reload() -> Operation {
    Operation::administration("reload", "Read the files of keys and of the certificate anew")
        .about(
            "Those that `auth.keys_file`, `keys.ring_file` and `tls.cert_file` name, on this instance, as SIGHUP does. All or nothing.",
        )
        .faults(&[400])
        .answers::<Reloaded>(200, "What is in use now.", json!({"ring": false, "certificate": false}))
}

pub(crate) fn explain() -> Operation {
    Operation::administration("explain", "Decide, and say why")
        .about("With the path to the decision, what each tier had, and the tags that the decision rests on.")
        .takes::<Question>(
            json!({"subject": "user:ann", "relation": "can_view", "object": "generation:teaser", "consistency": "full"}),
        )
        .answers::<Answer>(
            200,
            "The decision with its reasons; where there is none, the error.",
            json!({
                "decision": true,
                "source": "origin",
                "stamp": 7,
                "model": EXAMPLE_MODEL,
                "cache_type": "generation_rights",
                "tiers": [{"tier": "l1", "reason": "absent"}],
                "path": {
                    "operator": "relation",
                    "value": true,
                    "text": "user:ann is can_view of generation:teaser",
                    "children": [],
                },
                "path_stamp": 7,
                "tags": ["1f0c3b6e9a2d4c58"],
                "holds_for_ms": 60000,
            }),
        )
}

pub(crate) fn cache() -> Operation {
    Operation::administration("cache", "What the caches have counted")
        .about("Since the process began.")
        .answers::<Cache>(
            200,
            "The counts.",
            json!({
                "tiers": [{
                    "name": "l1",
                    "enabled": true,
                    "entries": 2,
                    "weight_bytes": 512,
                    "capacity_bytes": 67108864,
                    "hit_rate_percent": 50.0,
                    "probes": {
                        "hit": 2, "stale_hit": 0, "negative_hit": 0, "miss": 2, "expired": 0, "rejected": 0, "error": 0,
                    },
                    "stored": 2,
                    "too_large": 0,
                    "fill_errors": 0,
                }],
                "origin": {"loads": 2, "failed": 0, "shared": 0},
                "fills_refused": 0,
                "fills_dropped": 0,
                "uncacheable": 0,
                "untrusted": 0,
                "invalidations": 1,
                "horizon": {"tags": 1, "rules": 0, "bytes": 64, "floor": 0},
            }),
        )
}

pub(crate) fn pools() -> Operation {
    let connections = json!({
        "connections": 16, "in_use": 2, "most_in_use": 9, "waiting": 0, "lent": 120000, "waited": 310, "mean_wait_us": 180,
        "longest_wait_us": 4100, "refused": 0, "opened": 9, "closed": 0, "open_failures": 0, "discarded": 0,
        "advice": "nothing to change",
    });
    Operation::administration("pools", "What was waited for at PostgreSQL and Redis, and what follows from that")
        .about("Since the process began. `advice` names the setting that should be changed, if one should.")
        .answers::<Pools>(
            200,
            "The counts.",
            json!({
                "postgres": connections,
                "views": {
                    "connections": connections, "rows": 51000, "absent": 900, "unanswered": 12, "unready": 40, "foreign": 0, "refused": 0,
                    "timeouts": 0, "round_trips": 8200,
                },
                "redis": {
                    "connections": 4, "made": 4, "failed": 0, "condemned": 0, "breaker": "closed", "breaker_opened": 0, "waits": 0,
                    "retries": 0, "retries_denied": 0, "out_of_memory": 0, "too_large": 0, "stored_bytes": 1048576,
                    "failures": {"timeout": 1}, "unreadable": {"seal": 0}, "advice": "nothing to change",
                },
                "access_log": {"written": 1200, "dropped": 0, "failed": 0},
            }),
        )
}

pub(crate) fn change_tier() -> Operation {
    Operation::administration("changeTier", "Switch a tier on or off, or resize the memory tier")
        .about("While the server runs, and until it ends. What is left out stays as it is.")
        .path("name", "The tier.", "l1")
        .takes::<Change>(json!({"enabled": true}))
        .answers::<Changed<'_>>(200, "What was changed.", json!({"name": "l1", "enabled": true}))
        .faults(&[404])
}

pub(crate) fn write_properties() -> Operation {
    let write = Operation::administration("writeProperties", "Store properties of subjects and resources")
        .about(
            "For conditions, where a question does not bring them. They replace the properties of an entity as a whole; `{}` removes them. \
             All of a request or none of it, and in force on every instance when it is answered.",
        )
        .of_store()
        .query::<WaitQuery>()
        .takes::<Write>(json!({"entities": [ann()]}))
        .answers::<Written>(200, "They are in force on every instance.", json!({"revision": 8}));
    accepted(write)
}

pub(crate) fn list_properties() -> Operation {
    Operation::administration("listProperties", "List the entities that have stored properties")
        .of_store()
        .query::<PropertiesQuery>()
        .answers::<Entities>(
            200,
            "A page of entities, in the order of type and id.",
            json!({"entities": [ann()], "continuation_token": ""}),
        )
}

pub(crate) fn get_properties() -> Operation {
    of_entity("getProperties", "Read the stored properties of an entity").answers::<Entity>(200, "The entity.", ann())
}

pub(crate) fn delete_properties() -> Operation {
    let delete = of_entity("deleteProperties", "Remove the stored properties of an entity").query::<WaitQuery>();
    accepted(delete.answers_nothing(204, "They are gone, on every instance."))
}

fn of_entity(id: &str, summary: &str) -> Operation {
    Operation::administration(id, summary).of_store().path("type", "The entity's type.", "user").path(
        "id",
        "The entity's id.",
        "ann",
    )
}

fn ann() -> Value {
    json!({"type": "user", "id": "ann", "properties": {"department": "design"}})
}
