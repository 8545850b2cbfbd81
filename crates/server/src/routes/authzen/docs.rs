//! The documentation of AuthZEN's interface. Each operation is there twice: for the default store, and for the one that the path names.

use serde_json::{Value, json};

use super::answer::{Answer, Answers};
use super::evaluations::Evaluations;
use super::metadata::Metadata;
use super::question::Question;
use super::search::Answer as SearchAnswer;
use super::search::action::{ActionSearch, Found as FoundAction};
use super::search::resource::{Found as FoundResource, ResourceSearch};
use super::search::subject::{Found as FoundSubject, SubjectSearch};
use crate::openapi::{EXAMPLE_STORE, EXAMPLE_TOKEN, Operation};

const ID: &str = "01JADEMP00000000000000DECN";

/// Which store an operation asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Default,
    Store,
}

pub(crate) fn evaluation(of: Of) -> Operation {
    of.operation("evaluation", "May the subject do this to the resource?")
        .limited()
        .decides()
        .about("What the model doesn't know (a type, an action) is a deny, and no error.")
        .takes::<Question<'_>>(question())
        .answers::<Answer>(200, "The decision.", alone(true))
}

pub(crate) fn evaluations(of: Of) -> Operation {
    of.operation("evaluations", "Many evaluations at once").limited()
        .decides()
        .about(
            "What an item leaves out is taken from beside the items, part by part. Up to `http.max_batch` of them. An item without an answer \
             is a deny with an error in its context. A request without items is one evaluation, and is answered as one.",
        )
        .takes::<Evaluations<'_>>(json!({
            "action": {"name": "can_view"},
            "resource": teaser(),
            "evaluations": [{"subject": {"type": "user", "id": "ann"}}, {"subject": {"type": "user", "id": "bob"}}],
            "options": {"evaluations_semantic": "execute_all"},
        }))
        .answers::<Answers>(
            200,
            "The decisions, in the order of the items.",
            json!({"evaluations": [decision(true), decision(false)]}),
        )
}

pub(crate) fn search_subject(of: Of) -> Operation {
    of.operation("searchSubject", "Which subjects of a type may do this to the resource?").limited()
        .decides()
        .about("All that an evaluation would allow. Where everybody of the type may, nobody is listed for that; the context says so.")
        .takes::<SubjectSearch<'_>>(json!({
            "subject": {"type": "user"},
            "action": {"name": "can_view"},
            "resource": teaser(),
            "page": {"limit": 10},
        }))
        .answers_of::<SearchAnswer<FoundSubject<'_>>, FoundSubject<'_>>(
            "SubjectSearchResponse",
            "A page of subjects.",
            found(&json!([{"type": "user", "id": "ann"}, {"type": "user", "id": "lee"}])),
        )
}

pub(crate) fn search_resource(of: Of) -> Operation {
    of.operation("searchResource", "To which resources of a type may the subject do this?")
        .limited()
        .decides()
        .takes::<ResourceSearch<'_>>(json!({
            "subject": {"type": "user", "id": "ann"},
            "action": {"name": "can_view"},
            "resource": {"type": "project"},
            "page": {"limit": 10},
        }))
        .answers_of::<SearchAnswer<FoundResource<'_>>, FoundResource<'_>>(
            "ResourceSearchResponse",
            "A page of resources.",
            found(&json!([{"type": "project", "id": "launch"}])),
        )
}

pub(crate) fn search_action(of: Of) -> Operation {
    of.operation("searchAction", "What may the subject do to the resource?")
        .limited()
        .decides()
        .takes::<ActionSearch<'_>>(json!({"subject": {"type": "user", "id": "ann"}, "resource": teaser()}))
        .answers_of::<SearchAnswer<FoundAction>, FoundAction>(
            "ActionSearchResponse",
            "A page of actions.",
            found(&json!([{"name": "can_view"}])),
        )
}

pub(crate) fn metadata(of: Of) -> Operation {
    let base = match of {
        Of::Default => "http://127.0.0.1:8080".to_owned(),
        Of::Store => format!("http://127.0.0.1:8080/stores/{EXAMPLE_STORE}"),
    };
    of.operation("metadata", "Where to find what").about("Its URLs begin with `http.public_url`.").answers::<Metadata>(
        200,
        "The metadata document.",
        json!({
            "policy_decision_point": base,
            "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
            "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
            "search_subject_endpoint": format!("{base}/access/v1/search/subject"),
            "search_resource_endpoint": format!("{base}/access/v1/search/resource"),
            "search_action_endpoint": format!("{base}/access/v1/search/action"),
        }),
    )
}

impl Of {
    fn operation(self, id: &str, summary: &str) -> Operation {
        match self {
            Self::Default => Operation::authzen(id, summary),
            Self::Store => {
                let mut chars = id.chars();
                let first = chars.next().map(|first| first.to_ascii_uppercase());
                let id: String = "store".chars().chain(first).chain(chars).collect();
                Operation::authzen(&id, summary).of_store()
            }
        }
    }
}

fn question() -> Value {
    json!({"subject": {"type": "user", "id": "ann"}, "action": {"name": "can_view"}, "resource": teaser()})
}

fn teaser() -> Value {
    json!({"type": "generation", "id": "teaser"})
}

fn decision(allowed: bool) -> Value {
    json!({"decision": allowed, "context": {"id": ID, "source": "origin"}})
}

/// Of one question alone.
fn alone(allowed: bool) -> Value {
    let mut decision = decision(allowed);
    decision["context"]["token"] = EXAMPLE_TOKEN.into();
    decision
}

fn found(results: &Value) -> Value {
    let count = results.as_array().map_or(0, Vec::len);
    json!({
        "page": {"next_token": "", "count": count, "total": count},
        "context": {"id": ID, "source": "origin", "token": EXAMPLE_TOKEN},
        "results": results,
    })
}
