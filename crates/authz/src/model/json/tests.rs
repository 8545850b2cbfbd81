//! What the JSON form accepts, what it says of what it doesn't, and what it writes.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::model::bounds::{
    MAX_CONDITIONS, MAX_DSL_BYTES, MAX_EXPRESSION_BYTES, MAX_JSON_BYTES, MAX_NESTING, MAX_OPERANDS,
    MAX_PARAMETER_NESTING, MAX_PARAMETERS, MAX_RELATIONS, MAX_TYPES,
};
use crate::model::{ConditionDefinition, Model, ModelErrorKind};

/// A model with one relation `r` of `doc`.
fn with(rewrite: Value, information: Value) -> Value {
    json!({
        "schema_version": "1.1",
        "type_definitions": [
            { "type": "user" },
            { "type": "doc", "relations": { "r": rewrite }, "metadata": { "relations": { "r": information } } },
        ],
    })
}

fn refused(value: &Value) -> String {
    Model::from_value(value).unwrap_err().to_string()
}

/// Each document with what is said of it, for a snapshot.
fn said(documents: impl IntoIterator<Item = Value>) -> String {
    documents.into_iter().fold(String::new(), |mut all, document| {
        let answer = match Model::from_value(&document) {
            Ok(_) => "fine".to_owned(),
            Err(errors) => errors.to_string(),
        };
        write!(all, "{document}\n=> {}\n\n", answer.replace('\n', "\n=> ")).unwrap();
        all
    })
}

#[test]
fn both_cases_and_every_way_to_say_nothing_are_read() {
    let dsl = "model\nschema 1.1\ntype user\ntype doc\nrelations\n\
               define all: [user, user:*, doc#one] or one or all from parent\ndefine one: [user] but not two\n\
               define parent: [doc]\ndefine two: [user]";
    let expected = Model::from_dsl(dsl).unwrap().to_dsl();
    let snake = json!({
        "id": "",
        "schema_version": "1.1",
        "conditions": null,
        "type_definitions": [
            { "type": "user", "relations": {}, "metadata": null },
            {
                "type": "doc",
                "relations": {
                    "all": { "union": { "child": [
                        { "this": {}, "union": null },
                        { "computed_userset": { "object": "", "relation": "one" } },
                        { "tuple_to_userset": {
                            "tupleset": { "object": "", "relation": "parent" },
                            "computed_userset": { "object": "", "relation": "all" },
                        } },
                    ] } },
                    "one": { "difference": { "base": { "this": {} }, "subtract": { "computed_userset": { "relation": "two" } } } },
                    "parent": { "this": {} },
                    "two": { "this": {} },
                },
                "metadata": {
                    "module": "",
                    "source_info": { "file": "" },
                    "relations": {
                        "all": { "module": "", "source_info": null, "directly_related_user_types": [
                            { "type": "user", "condition": "" },
                            { "type": "user", "wildcard": {}, "relation": null },
                            { "type": "doc", "relation": "one", "wildcard": null },
                        ] },
                        "one": { "directly_related_user_types": [{ "type": "user", "relation": "" }] },
                        "parent": { "directly_related_user_types": [{ "type": "doc" }] },
                        "two": { "directly_related_user_types": [{ "type": "user" }] },
                        "nobody": null,
                    },
                },
            },
        ],
    });
    let camel = snake
        .to_string()
        .replace("schema_version", "schemaVersion")
        .replace("type_definitions", "typeDefinitions")
        .replace("computed_userset", "computedUserset")
        .replace("tuple_to_userset", "tupleToUserset")
        .replace("source_info", "sourceInfo")
        .replace("directly_related_user_types", "directlyRelatedUserTypes");
    for text in [snake.to_string(), camel] {
        let model = Model::from_json(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        model.validate().unwrap();
        assert_eq!(model.to_dsl(), expected);
    }
}

#[test]
fn what_is_written_is_what_the_http_api_writes() {
    let dsl = "model\nschema 1.1\ntype user\ntype doc\nrelations\n\
               define parent: [doc]\ndefine banned: [user, user:*, doc#parent]\n\
               define a: ([user] or a from parent) but not banned\ndefine b: a and banned";
    insta::assert_json_snapshot!(Model::from_dsl(dsl).unwrap().to_json());
}

#[test]
fn joining_one_thing_is_that_thing() {
    let rewrite = json!({ "union": { "child": [{ "intersection": { "child": [{ "computedUserset": { "relation": "x" } }] } }] } });
    let model = Model::from_value(&with(rewrite, Value::Null)).unwrap();
    assert!(model.to_dsl().ends_with("define r: x\n"));
}

#[test]
fn faults_are_told_with_their_path_and_remedy() {
    let direct = json!({ "this": {} });
    let listed = |entry: Value| with(direct.clone(), json!({ "directly_related_user_types": [entry] }));
    let rewritten = |rewrite: Value| with(rewrite, Value::Null);
    insta::assert_snapshot!(said([
        json!(null),
        json!([]),
        json!({}),
        json!({ "schema_version": 1.1, "type_definitions": {} }),
        json!({ "schema_version": "1.0", "type_definitions": [] }),
        json!({ "schema_version": "1.2", "type_definitions": [] }),
        json!({ "schema_version": "1.1", "type_definitions": [{}, { "type": 7 }, { "type": "a:b" }, "user"] }),
        json!({ "schema_version": "1.1", "type_definitions": [{ "type": "user" }, { "type": "user" }] }),
        json!({ "schema_version": "1.1", "type_definitions": [{ "type": "user", "metadata": { "module": "core" } }] }),
        json!({ "schema_version": "1.1", "type_definitions": [{ "type": "doc", "relations": { "a#b": { "this": {} } } }] }),
        json!({ "schema_version": "1.1", "type_definitions": [{ "type": "doc", "relations": [] }] }),
        rewritten(json!(null)),
        rewritten(json!({})),
        rewritten(json!({ "this": {}, "union": {} })),
        rewritten(json!({ "this": true })),
        rewritten(json!({ "computedUserset": {} })),
        rewritten(json!({ "computedUserset": { "relation": "" } })),
        rewritten(json!({ "tupleToUserset": { "tupleset": { "relation": "p" } } })),
        rewritten(json!({ "union": {} })),
        rewritten(
            json!({ "union": { "child": [{ "this": {} }, { "intersection": { "child": [{ "nothing": 1 }] } }] } })
        ),
        rewritten(json!({ "difference": { "base": { "this": {} } } })),
        listed(json!("user")),
        listed(json!({})),
        listed(json!({ "type": "user", "relation": "r", "wildcard": {} })),
        listed(json!({ "type": "user", "relation": "a b" })),
        listed(json!({ "type": "user", "condition": "in_office" })),
        with(direct.clone(), json!({ "module": "core", "directly_related_user_types": [{ "type": "user" }] })),
        with(direct.clone(), json!({ "directly_related_user_types": {} })),
    ]));
}

#[test]
fn faults_of_a_condition_are_told_with_their_path_and_remedy() {
    let of = |key: &str, definition: Value| json!({ "schema_version": "1.1", "type_definitions": [{ "type": "user" }], "conditions": { key: definition } });
    let with_parameter =
        |kind: Value| of("c", json!({ "name": "c", "expression": "true", "parameters": { "x": kind } }));
    let int = || json!({ "type_name": "TYPE_NAME_INT" });
    let documents = [
        json!({ "schema_version": "1.1", "type_definitions": [{ "type": "user" }], "conditions": [] }),
        of("c", json!(null)),
        of("c", json!({})),
        of("c", json!({ "name": "d", "expression": "true" })),
        of("c d", json!({ "name": "c d", "expression": "true" })),
        of("c", json!({ "name": "c" })),
        of("c", json!({ "name": "c", "expression": 7 })),
        of("c", json!({ "name": "c", "expression": "true", "parameters": [] })),
        of("c", json!({ "name": "c", "expression": "true", "parameters": { "x y": int() } })),
        of("c", json!({ "name": "c", "expression": "true", "metadata": { "module": 7 } })),
        with_parameter(json!({})),
        with_parameter(json!({ "type_name": 2 })),
        with_parameter(json!({ "type_name": "int" })),
        with_parameter(json!({ "type_name": "TYPE_NAME_UNSPECIFIED" })),
        with_parameter(json!({ "type_name": "TYPE_NAME_INT", "generic_types": [int()] })),
        with_parameter(json!({ "type_name": "TYPE_NAME_LIST" })),
        with_parameter(json!({ "type_name": "TYPE_NAME_MAP", "generic_types": [int(), int()] })),
        with_parameter(json!({ "type_name": "TYPE_NAME_LIST", "generic_types": [{}] })),
        with_parameter(json!({ "type_name": "TYPE_NAME_LIST", "generic_types": [int()] })),
        of("c", json!({ "name": "c", "expression": "true", "parameters": null, "metadata": null })),
    ];
    let said: Vec<String> = documents
        .iter()
        .map(|document| {
            let answer = Model::from_value(document).map_or_else(|errors| errors.to_string(), |_| "fine".to_owned());
            format!("{}\n=> {answer}", document["conditions"])
        })
        .collect();
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn a_fault_that_validation_finds_has_a_path() {
    let lets_in = json!({ "directly_related_user_types": [{ "type": "user", "condition": "c" }] });
    let document = json!({
        "schema_version": "1.1",
        "type_definitions": [
            { "type": "user" },
            { "type": "self" },
            {
                "type": "doc",
                "relations": { "r": { "this": {} }, "s": { "computedUserset": { "relation": "s" } } },
                "metadata": { "relations": { "r": lets_in } },
            },
        ],
        "conditions": { "d": { "name": "d", "expression": "true" } },
    });
    insta::assert_snapshot!(Model::from_value(&document).unwrap().validate().unwrap_err(), @r#"
    type_definitions[1]: a type is called `self`, which is a reserved word; choose another name
    type_definitions[2].relations.r: the relation `r` of `doc` lets in `user with c`, but there is no condition `c`; did you mean `d`?
    type_definitions[2].relations.s: the relation `s` of `doc` is computed from itself: `s` from `s`; take one of the steps away
    "#);
}

#[test]
fn conditions_and_modules_are_written_as_the_http_api_writes_them() {
    let model = Model::from_modules([
        ("core.fga", "module core\ntype user\ntype doc\ncondition c(x: int, l: list<string>) {\n  x < 1\n}"),
        (
            "wiki/pages.fga",
            "module wiki\nextend type doc\nrelations\ndefine viewer: [user with c, user:*, doc#viewer with c]",
        ),
    ]);
    insta::assert_json_snapshot!(model.unwrap().to_json());
}

#[test]
fn bounds_are_kept_and_named() {
    let nested = |levels: usize| {
        let leaf = || json!({ "computedUserset": { "relation": "x" } });
        let rewrite = (0..levels).fold(leaf(), |inner, _| json!({ "union": { "child": [inner, leaf()] } }));
        with(rewrite, Value::Null)
    };
    let joined = |count: usize| with(json!({ "union": { "child": vec![json!({ "this": {} }); count] } }), Value::Null);
    let types = |count: usize| {
        let types: Vec<_> = (0..count).map(|n| json!({ "type": format!("t{n}") })).collect();
        json!({ "schema_version": "1.1", "type_definitions": types })
    };
    let relations = |count: usize| {
        let relations: serde_json::Map<_, _> = (0..count).map(|n| (format!("r{n}"), json!({ "this": {} }))).collect();
        json!({ "schema_version": "1.1", "type_definitions": [{ "type": "t", "relations": relations }] })
    };
    for (document, most) in [
        (&nested as &dyn Fn(usize) -> Value, MAX_NESTING),
        (&joined, MAX_OPERANDS),
        (&types, MAX_TYPES),
        (&relations, MAX_RELATIONS),
    ] {
        let read = Model::from_value(&document(most)).unwrap();
        assert_eq!(Model::from_dsl(&read.to_dsl()).unwrap().to_dsl(), read.to_dsl(), "both forms have the same bounds");
        let errors = Model::from_value(&document(most + 1)).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().kind, ModelErrorKind::TooLarge, "{errors}");
    }
    assert!(Model::from_json(&" ".repeat(MAX_JSON_BYTES + 1)).unwrap_err().to_string().contains("at most"));
}

/// A store keeps the JSON of models that were written in the DSL, and has to read them again.
#[test]
fn the_json_of_the_densest_dsl_is_within_its_bound() {
    let filled = |most: usize, unit: &dyn Fn(usize) -> String| {
        let mut text = "model\nschema 1.1\n".to_owned();
        for n in 0..most {
            let unit = unit(n);
            if text.len() + unit.len() > MAX_DSL_BYTES {
                return text;
            }
            text += &unit;
        }
        text
    };
    let type_every = |relations: usize, n: usize, definition: &str| match n % relations {
        0 => format!("type t{n}\nrelations\ndefine r:{definition}\n"),
        _ => format!("define r{n}:{definition}\n"),
    };
    let nested = format!("{}a{}", "(".repeat(MAX_NESTING - 1), " or a)".repeat(MAX_NESTING - 1)) + " or a";
    let either = vec!["a"; MAX_OPERANDS].join(" or ");
    let from = vec!["a from b"; MAX_OPERANDS].join(" or ");
    let listed = format!("[{}]", vec!["a"; MAX_OPERANDS].join(","));
    for definition in ["a", &nested, &either, &from, &listed] {
        let model = Model::from_dsl(&filled(usize::MAX, &|n| type_every(900, n, definition))).unwrap();
        let json = model.to_json().to_string();
        assert!(json.len() < MAX_JSON_BYTES, "{}", json.len());
        assert_eq!(Model::from_json(&json).unwrap().types.len(), model.types.len());
    }
    let maps = |levels: usize| format!("{}any{}", "map<".repeat(levels), ">".repeat(levels));
    let parameters = |kind: &str, count: usize| (0..count).map(|n| format!("{n}:{kind}")).collect::<Vec<_>>().join(",");
    let simple = format!("({}){{1}}", parameters("any", MAX_PARAMETERS));
    let nested = format!("({}){{1}}", parameters(&maps(MAX_PARAMETER_NESTING - 1), MAX_PARAMETERS));
    let invisible = format!("(){{{}}}", "\u{1}".repeat(MAX_EXPRESSION_BYTES));
    for definition in [simple, nested, invisible] {
        let model = Model::from_dsl(&filled(MAX_CONDITIONS, &|n| format!("condition c{n}{definition}\n"))).unwrap();
        let json = model.to_json().to_string();
        assert!(json.len() < MAX_JSON_BYTES, "{}", json.len());
        assert_eq!(
            Model::from_json(&json).unwrap_or_else(|errors| panic!("{errors}")).conditions,
            without_places(model)
        );
    }
}

fn without_places(model: Model) -> Vec<ConditionDefinition> {
    let unplaced = |mut condition: ConditionDefinition| {
        condition.parameters.sort_by(|left, right| left.name.cmp(&right.name));
        ConditionDefinition { place: None, expression_place: None, ..condition }
    };
    let mut conditions: Vec<_> = model.conditions.into_iter().map(unplaced).collect();
    conditions.sort_by(|left, right| left.name.cmp(&right.name));
    conditions
}

#[test]
fn hostile_texts_are_answered() {
    let deep = |opening: &str, closing: &str, count: usize| opening.repeat(count) + &closing.repeat(count);
    for text in [
        String::new(),
        "\0".to_owned(),
        "{".to_owned(),
        "{\"type_definitions\":[".to_owned(),
        deep("[", "]", 100_000),
        deep("{\"union\":{\"child\":[", "]}}", 30_000),
        format!("{{\"schema_version\":\"{}\"}}", "9".repeat(900_000)),
    ] {
        let errors = Model::from_json(&text).unwrap_err();
        assert!(errors.to_string().len() < 10_000, "an answer must stay small");
    }
    let long = with(json!({ "computedUserset": { "relation": "x".repeat(100_000) } }), Value::Null);
    assert!(refused(&long).len() < 1_000);
}
