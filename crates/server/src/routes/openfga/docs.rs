//! The documentation of OpenFGA's interface. The examples work in the demo store, in the order in which they stand here.

use serde_json::json;

use super::assertions::{Assertions, Write as WriteAssertions};
use super::batch_check::{Answer as BatchAnswer, BatchCheck};
use super::changes::{Changes, ChangesQuery};
use super::check::{Answer as CheckAnswer, Check};
use super::expand::{Answer as ExpandAnswer, Expand};
use super::list_objects::{Line, ListObjects, Objects};
use super::list_users::{ListUsers, Users};
use super::model_shape::AuthorizationModel;
use super::models::{Models, ModelsQuery, OneModel, Written};
use super::read::{Read, Tuples};
use super::stores::{NewStore, Store, Stores, StoresQuery};
use super::write::{Nothing, Write};
use crate::acknowledge::WaitQuery;
use crate::acknowledge::docs::accepted;
use crate::openapi::{EXAMPLE_MODEL, EXAMPLE_STORE, Operation};

const TIME: &str = "2026-01-31T12:00:00Z";

pub(crate) fn create_store() -> Operation {
    let create = Operation::openfga("createStore", "Create a store")
        .about("A store is a world of its own: models and relationships of one never meet those of another.")
        .query::<WaitQuery>()
        .takes::<NewStore>(json!({"name": "notes"}))
        .answers::<Store>(201, "The store, which every instance knows.", store("notes"));
    accepted(create)
}

pub(crate) fn list_stores() -> Operation {
    Operation::openfga("listStores", "List stores").query::<StoresQuery>().answers::<Stores>(
        200,
        "A page of stores.",
        json!({"stores": [store("demo")], "continuation_token": ""}),
    )
}

pub(crate) fn get_store() -> Operation {
    Operation::openfga("getStore", "Read a store").of_store().answers::<Store>(200, "The store.", store("demo"))
}

pub(crate) fn delete_store() -> Operation {
    let delete = Operation::openfga("deleteStore", "Delete a store")
        .about("With its models and relationships. There is no way back.")
        .of_store()
        .query::<WaitQuery>()
        .answers_nothing(204, "It is gone, on every instance.");
    accepted(delete)
}

pub(crate) fn write_model() -> Operation {
    let write = Operation::openfga("writeAuthorizationModel", "Write a version of the model")
        .about("From now on it is what questions without an `authorization_model_id` are asked under. A version never changes.")
        .of_store()
        .query::<WaitQuery>()
        .takes::<AuthorizationModel>(model())
        .answers::<Written>(201, "The version's id.", json!({"authorization_model_id": EXAMPLE_MODEL}));
    accepted(write)
}

pub(crate) fn list_models() -> Operation {
    Operation::openfga("readAuthorizationModels", "List the versions of the model, the latest first")
        .of_store()
        .query::<ModelsQuery>()
        .answers::<Models<'_>>(
            200,
            "A page of versions.",
            json!({"authorization_models": [model_with_id()], "continuation_token": ""}),
        )
}

pub(crate) fn get_model() -> Operation {
    Operation::openfga("readAuthorizationModel", "Read a version of the model")
        .of_store()
        .of_model()
        .answers::<OneModel>(200, "The version.", json!({"authorization_model": model_with_id()}))
}

pub(crate) fn check() -> Operation {
    Operation::openfga("check", "Does the user stand in the relation to the object?")
        .of_store()
        .decides()
        .limited()
        .takes::<Check<'_>>(json!({"tuple_key": viewer("user:ann")}))
        .answers::<CheckAnswer>(200, "Whether it is so.", json!({"allowed": true, "resolution": ""}))
}

pub(crate) fn batch_check() -> Operation {
    Operation::openfga("batchCheck", "Many checks at once")
        .about("Up to `http.max_batch` of them. What is wrong with one check is its own answer; the others are answered all the same.")
        .of_store()
        .decides()
        .takes::<BatchCheck<'_>>(json!({"checks": [
            {"tuple_key": viewer("user:ann"), "correlation_id": "ann"},
            {"tuple_key": viewer("user:bob"), "correlation_id": "bob"},
        ]}))
        .answers::<BatchAnswer<'_>>(
            200,
            "An answer for each check.",
            json!({"result": {"ann": {"allowed": true}, "bob": {"allowed": false}}}),
        )
}

pub(crate) fn write() -> Operation {
    let write = Operation::openfga("write", "Write and delete relationships")
        .about("All of a request or none of it, and in force on every instance when it is answered: no decision that is asked for after it rests on what was deleted.")
        .of_store()
        .query::<WaitQuery>()
        .takes::<Write<'_>>(json!({
            "writes": {"tuple_keys": [member("user:eve")], "on_duplicate": "ignore"},
            "deletes": {"tuple_keys": [member("user:kim")], "on_missing": "ignore"},
        }))
        .answers::<Nothing>(200, "It is in force on every instance.", json!({}));
    accepted(write)
}

pub(crate) fn read() -> Operation {
    Operation::openfga("read", "Read relationships as they were written")
        .of_store()
        .takes::<Read<'_>>(json!({"tuple_key": {"object": "team:studio"}, "page_size": 10}))
        .answers::<Tuples<'_>>(
            200,
            "A page of relationships.",
            json!({"tuples": [{"key": member("user:ann"), "timestamp": TIME}], "continuation_token": ""}),
        )
}

pub(crate) fn changes() -> Operation {
    Operation::openfga("readChanges", "Follow what is written and deleted")
        .of_store()
        .query::<ChangesQuery>()
        .answers::<Changes<'_>>(
            200,
            "A page of changes, the oldest first.",
            json!({
                "changes": [{"tuple_key": member("user:ann"), "operation": "TUPLE_OPERATION_WRITE", "timestamp": TIME}],
                "continuation_token": "nLFO3HvpmscAAAAAAAAAAQ",
            }),
        )
}

pub(crate) fn list_objects() -> Operation {
    Operation::openfga("listObjects", "To which objects of a type does the user stand in the relation?")
        .about("Up to `limits.list_results` of them.")
        .of_store()
        .decides()
        .limited()
        .takes::<ListObjects<'_>>(objects_of_ann())
        .answers::<Objects>(200, "The objects.", json!({"objects": ["project:launch"]}))
}

pub(crate) fn streamed_list_objects() -> Operation {
    Operation::openfga("streamedListObjects", "The same, all of them, one JSON object a line")
        .of_store()
        .decides()
        .limited()
        .takes::<ListObjects<'_>>(objects_of_ann())
        .answers::<Line>(
            200,
            "A line for each object; none where there is none.",
            json!({"result": {"object": "project:launch"}}),
        )
}

pub(crate) fn list_users() -> Operation {
    Operation::openfga("listUsers", "Who stands in the relation to the object?")
        .about("Up to `limits.list_results` of them.")
        .of_store()
        .decides()
        .limited()
        .takes::<ListUsers<'_>>(json!({
            "object": {"type": "project", "id": "launch"},
            "relation": "can_edit",
            "user_filters": [{"type": "user"}],
        }))
        .answers::<Users<'_>>(200, "The users.", json!({"users": [{"object": {"type": "user", "id": "lee"}}]}))
}

pub(crate) fn expand() -> Operation {
    Operation::openfga("expand", "How is a relation of an object computed?")
        .about("One level of it; usersets among its leaves can be expanded in turn.")
        .of_store()
        .decides()
        .limited()
        .takes::<Expand<'_>>(json!({"tuple_key": {"relation": "member", "object": "team:studio"}}))
        .answers::<ExpandAnswer<'_>>(
            200,
            "The tree.",
            json!({"tree": {"root": {"name": "team:studio#member", "leaf": {"users": {"users": ["user:ann"]}}}}}),
        )
}

pub(crate) fn write_assertions() -> Operation {
    Operation::openfga("writeAssertions", "Keep questions with the answers that are expected")
        .about("In place of those that were kept before, for one version of the model.")
        .of_store()
        .of_model()
        .takes::<WriteAssertions<'_>>(json!({"assertions": [assertion()]}))
        .answers_nothing(204, "They are kept.")
}

pub(crate) fn read_assertions() -> Operation {
    Operation::openfga("readAssertions", "Read the questions that are kept")
        .of_store()
        .of_model()
        .answers::<Assertions>(
            200,
            "The assertions; none where none were ever written.",
            json!({"authorization_model_id": EXAMPLE_MODEL, "assertions": [assertion()]}),
        )
}

fn store(name: &str) -> serde_json::Value {
    json!({"id": EXAMPLE_STORE, "name": name, "created_at": TIME, "updated_at": TIME})
}

fn viewer(user: &str) -> serde_json::Value {
    json!({"user": user, "relation": "can_view", "object": "generation:teaser"})
}

fn member(user: &str) -> serde_json::Value {
    json!({"user": user, "relation": "member", "object": "team:studio"})
}

fn objects_of_ann() -> serde_json::Value {
    json!({"type": "project", "relation": "can_view", "user": "user:ann"})
}

fn assertion() -> serde_json::Value {
    json!({"tuple_key": viewer("user:ann"), "expectation": true})
}

fn model() -> serde_json::Value {
    json!({
        "schema_version": "1.1",
        "type_definitions": [
            {"type": "user"},
            {
                "type": "note",
                "relations": {
                    "owner": {"this": {}},
                    "viewer": {"union": {"child": [{"this": {}}, {"computedUserset": {"relation": "owner"}}]}},
                },
                "metadata": {"relations": {
                    "owner": {"directly_related_user_types": [{"type": "user"}]},
                    "viewer": {"directly_related_user_types": [{"type": "user"}, {"type": "user", "wildcard": {}}]},
                }},
            },
        ],
    })
}

fn model_with_id() -> serde_json::Value {
    let mut model = model();
    model["id"] = EXAMPLE_MODEL.into();
    model
}
