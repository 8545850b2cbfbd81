//! Models.

use authz::model::Model;
use serde_json::{Map, Value, json};

use super::{assert_fault, store};
use crate::support::MODEL;

#[tokio::test]
async fn a_model_is_written_with_201_and_read_back_with_its_id() {
    let (world, path) = store().await;
    let model = Model::from_dsl(MODEL).unwrap().to_json();
    let written = world.post(&format!("{path}/authorization-models"), &model).await;
    assert_eq!(written.status, 201, "{}", written.body);
    let id = written.body["authorization_model_id"].as_str().unwrap();
    assert_eq!(id.len(), 26);
    let read = world.get(&format!("{path}/authorization-models/{id}")).await;
    assert_eq!(read.status, 200);
    let read = &read.body["authorization_model"];
    assert_eq!((read["id"].as_str(), &read["schema_version"]), (Some(id), &json!("1.1")));
    assert_eq!(read["type_definitions"], model["type_definitions"]);
}

#[tokio::test]
async fn the_latest_model_is_first_in_the_list() {
    let (world, path) = store().await;
    let model = Model::from_dsl(MODEL).unwrap().to_json();
    let latest =
        world.post(&format!("{path}/authorization-models"), &model).await.body["authorization_model_id"].clone();
    let list = world.get(&format!("{path}/authorization-models?page_size=1")).await.body;
    assert_eq!(list["authorization_models"].as_array().unwrap().len(), 1);
    assert_eq!(list["authorization_models"][0]["id"], latest);
    let token = list["continuation_token"].as_str().unwrap();
    let rest = world.get(&format!("{path}/authorization-models?page_size=1&continuation_token={token}")).await.body;
    assert_ne!(rest["authorization_models"][0]["id"], latest);
    assert_eq!(rest["continuation_token"], "");
}

#[tokio::test]
async fn a_model_that_makes_no_sense_is_400_with_the_place_of_the_fault() {
    let (world, path) = store().await;
    let model = json!({
        "schema_version": "1.1",
        "type_definitions": [{"type": "document", "relations": {"viewer": {"computedUserset": {"relation": "editor"}}}}],
    });
    let reply = world.post(&format!("{path}/authorization-models"), &model).await;
    assert_fault(&reply, 400, "invalid_authorization_model");
    assert!(reply.body["message"].as_str().unwrap().contains("editor"), "{}", reply.body);
}

/// A model in which a relation is given under a condition, with a parameter of every type.
fn conditional() -> Value {
    let generic = |name: &str, of: &str| json!({"type_name": name, "generic_types": [{"type_name": of}]});
    json!({
        "schema_version": "1.1",
        "type_definitions": [
            {"type": "user"},
            {
                "type": "document",
                "relations": {"viewer": {"this": {}}},
                "metadata": {"relations": {"viewer": {"directly_related_user_types": [
                    {"type": "user"}, {"type": "user", "condition": "all"},
                ]}}},
            },
        ],
        "conditions": {"all": {
            "name": "all",
            "expression": "flag && n > 1",
            "parameters": {
                "any": {"type_name": "TYPE_NAME_ANY"}, "flag": {"type_name": "TYPE_NAME_BOOL"},
                "text": {"type_name": "TYPE_NAME_STRING"}, "n": {"type_name": "TYPE_NAME_INT"},
                "u": {"type_name": "TYPE_NAME_UINT"}, "d": {"type_name": "TYPE_NAME_DOUBLE"},
                "span": {"type_name": "TYPE_NAME_DURATION"}, "at": {"type_name": "TYPE_NAME_TIMESTAMP"},
                "ip": {"type_name": "TYPE_NAME_IPADDRESS"},
                "list": generic("TYPE_NAME_LIST", "TYPE_NAME_STRING"), "map": generic("TYPE_NAME_MAP", "TYPE_NAME_INT"),
            },
        }},
    })
}

#[tokio::test]
async fn a_model_keeps_its_conditions_and_a_faulty_one_is_told_with_its_path() {
    let (world, path) = store().await;
    let mut model = Model::from_dsl(MODEL).unwrap().to_json();
    model["conditions"] = json!({"c": {
        "name": "c", "expression": "x < 1", "parameters": {"x": {"type_name": "TYPE_NAME_INT", "generic_types": []}},
    }});
    let reply = world.post(&format!("{path}/authorization-models"), &model).await;
    assert_eq!(reply.status, 201);
    let id = reply.body["authorization_model_id"].as_str().unwrap();
    let reply = world.get(&format!("{path}/authorization-models/{id}")).await;
    assert_eq!(reply.body["authorization_model"]["conditions"], model["conditions"]);

    model["conditions"]["c"]["parameters"]["x"]["type_name"] = json!("TYPE_NAME_LIST");
    let reply = world.post(&format!("{path}/authorization-models"), &model).await;
    assert_fault(&reply, 400, "invalid_authorization_model");
    assert!(reply.body["message"].as_str().unwrap().contains("conditions.c.parameters.x.generic_types"));
}

#[tokio::test]
async fn a_model_with_conditions_reads_back_as_it_was_written() {
    let (world, path) = store().await;
    let written = world.post(&format!("{path}/authorization-models"), &conditional()).await;
    assert_eq!(written.status, 201, "{}", written.body);
    let id = written.body["authorization_model_id"].as_str().unwrap();
    let read = world.get(&format!("{path}/authorization-models/{id}")).await.body["authorization_model"].clone();
    assert_eq!(read["conditions"]["all"]["expression"], "flag && n > 1");
    assert_eq!(read["conditions"]["all"]["parameters"].as_object().unwrap().len(), 11);
    let types = &read["type_definitions"][1]["metadata"]["relations"]["viewer"]["directly_related_user_types"];
    assert_eq!(types[1]["condition"], "all");
    let listed = world.get(&format!("{path}/authorization-models?page_size=1")).await.body;
    assert_eq!(listed["authorization_models"][0]["conditions"], read["conditions"]);
    let again = world.post(&format!("{path}/authorization-models"), &read).await;
    assert_eq!(again.status, 201, "what was read can be written: {}", again.body);
}

#[tokio::test]
async fn a_condition_that_is_not_defined_or_not_readable_is_400() {
    let (world, path) = store().await;
    let mut undefined = conditional();
    undefined["conditions"] = json!({});
    let mut other_name = conditional();
    other_name["conditions"]["all"]["name"] = json!("other");
    let mut other_type = conditional();
    other_type["conditions"]["all"]["parameters"]["n"]["type_name"] = json!("TYPE_NAME_MOON");
    let mut no_object = conditional();
    no_object["conditions"]["all"] = json!("flag");
    for model in [undefined, other_name, other_type, no_object] {
        let reply = world.post(&format!("{path}/authorization-models"), &model).await;
        assert_fault(&reply, 400, "invalid_authorization_model");
    }
}

#[tokio::test]
async fn a_version_that_is_not_there_is_404_and_an_unknown_store_too() {
    let (world, path) = store().await;
    let unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let reply = world.get(&format!("{path}/authorization-models/{unknown}")).await;
    assert_fault(&reply, 404, "authorization_model_not_found");
    let reply = world.get(&format!("/stores/{unknown}/authorization-models")).await;
    assert_fault(&reply, 404, "store_id_not_found");
}

#[tokio::test]
async fn a_page_of_large_models_ends_early_and_goes_on_where_it_ended() {
    let (world, path) = store().await;
    let large = large_model();
    let mut written = Vec::new();
    for _ in 0..9 {
        let reply = world.post(&format!("{path}/authorization-models"), &large).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        written.push(reply.body["authorization_model_id"].clone());
    }
    written.reverse();
    let (mut listed, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = format!("{path}/authorization-models?page_size=100&continuation_token={token}");
        let page = world.get(&page).await;
        assert!(page.body.to_string().len() < 4 << 20);
        let models = page.body["authorization_models"].as_array().unwrap();
        assert!(!models.is_empty());
        listed.extend(models.iter().map(|model| model["id"].clone()));
        pages += 1;
        token = page.body["continuation_token"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert!(pages > 1);
    assert_eq!(listed[..9], written, "each once, newest first");
    assert_eq!(listed.len(), 10, "with the small one that was there before");
}

#[tokio::test]
async fn a_listed_model_is_the_one_that_is_read_alone() {
    let (world, path) = store().await;
    let list = world.get(&format!("{path}/authorization-models")).await.body;
    let listed = &list["authorization_models"][0];
    let id = listed["id"].as_str().unwrap();
    let alone = world.get(&format!("{path}/authorization-models/{id}")).await.body;
    assert_eq!(*listed, alone["authorization_model"]);
}

/// About half a megabyte: as many relations as a type may have, in several types.
fn large_model() -> Value {
    let related = json!({"directly_related_user_types": [{"type": "user"}]});
    let names = || (0..1_000).map(|at| format!("{}{at}", "r".repeat(40)));
    let relations: Map<_, _> = names().map(|name| (name, json!({"this": {}}))).collect();
    let metadata: Map<_, _> = names().map(|name| (name, related.clone())).collect();
    let document =
        |at| json!({"type": format!("document{at}"), "relations": relations, "metadata": {"relations": metadata}});
    let types: Vec<_> = (0..4).map(document).chain([json!({"type": "user"})]).collect();
    json!({"schema_version": "1.1", "type_definitions": types})
}
