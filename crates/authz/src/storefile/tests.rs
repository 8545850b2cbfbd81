//! What a store file may hold, and what is said of one that holds something else.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

const MODEL: &str =
    "model: |\n  model\n    schema 1.1\n  type user\n  type doc\n    relations\n      define viewer: [user]\n";

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

fn load(files: &[(&str, &str)]) -> Result<StoreFile, StoreFileError> {
    let directory = directory(files);
    StoreFile::load(&directory.path().join("store.fga.yaml")).map_err(|mut error| {
        // The directory has another name in each run.
        let within = error.file.strip_prefix(directory.path()).map(PathBuf::from);
        error.file = within.unwrap_or(error.file);
        error
    })
}

fn loaded(files: &[(&str, &str)]) -> StoreFile {
    load(files).unwrap_or_else(|error| panic!("{error}"))
}

fn with_model(rest: &str) -> StoreFile {
    loaded(&[("store.fga.yaml", &format!("{MODEL}{rest}"))])
}

fn refused(rest: &str) -> String {
    load(&[("store.fga.yaml", &format!("{MODEL}{rest}"))]).unwrap_err().to_string()
}

fn shown(tuples: &[Tuple]) -> Vec<String> {
    tuples.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_holds_a_model_relationships_and_tests() {
    let file = with_model(
        "name: Documents
tuples:
  - user: user:ann
    relation: viewer
    object: doc:1
tests:
  - name: owners view
    description: for a start
    tuples: [{user: user:bea, relation: viewer, object: doc:2}]
    check:
      - user: user:ann
        object: doc:1
        assertions:
          viewer: true
  - check:
",
    );
    assert_eq!(file.name.as_deref(), Some("Documents"));
    file.model.as_ref().unwrap();
    assert_eq!(shown(&file.tuples), ["doc:1#viewer@user:ann"]);
    assert!(file.unsupported().is_empty());
    let [first, second] = &file.tests[..] else { panic!("{:?}", file.tests) };
    assert_eq!((first.name.as_str(), first.description.as_deref()), ("owners view", Some("for a start")));
    assert_eq!(shown(&first.tuples), ["doc:2#viewer@user:bea"]);
    let [check] = &first.checks[..] else { panic!("{:?}", first.checks) };
    assert_eq!(
        (check.subject.to_string(), &*check.relation, check.object.to_string(), check.expected, check.line),
        ("user:ann".to_owned(), "viewer", "doc:1".to_owned(), true, 18)
    );
    assert_eq!((second.name.as_str(), second.checks.len()), ("test 2", 0));
}

#[test]
fn lists_of_users_and_objects_are_multiplied_out() {
    let file = with_model(
        "tests: [{check: [{users: ['user:a', 'user:*'], objects: [doc:1, doc:2], assertions: {viewer: false, editor: true}}]}]",
    );
    let asked: Vec<String> = file.tests[0]
        .checks
        .iter()
        .map(|check| format!("{} {} {} {}", check.subject, check.relation, check.object, check.expected))
        .collect();
    assert_eq!(
        asked,
        [
            "user:a editor doc:1 true",
            "user:a viewer doc:1 false",
            "user:a editor doc:2 true",
            "user:a viewer doc:2 false",
            "user:* editor doc:1 true",
            "user:* viewer doc:1 false",
            "user:* editor doc:2 true",
            "user:* viewer doc:2 false",
        ]
    );
}

#[test]
fn named_files_are_found_beside_the_store_file_in_every_format() {
    let file = loaded(&[
        (
            "store.fga.yaml",
            "model_file: parts/model.fga\ntuple_file: ./a.yaml\ntuple_files: [b.json, parts/c.csv]\ntests: [{tuple_file: a.yaml}]",
        ),
        ("parts/model.fga", "model\n  schema 1.1\ntype user\n"),
        ("a.yaml", "- user: user:ann\n  relation: viewer\n  object: doc:1\n"),
        ("b.json", r#"[{"user": "user:bea", "relation": "viewer", "object": "doc:1", "condition": null}]"#),
        (
            "parts/c.csv",
            "user_type,user_id,user_relation,relation,object_type,object_id\nteam,9,member,viewer,doc,1\nuser,*,,viewer,doc,1\n",
        ),
    ]);
    file.model.unwrap();
    assert_eq!(
        shown(&file.tuples),
        ["doc:1#viewer@user:ann", "doc:1#viewer@user:bea", "doc:1#viewer@team:9#member", "doc:1#viewer@user:*"]
    );
    assert_eq!(shown(&file.tests[0].tuples), ["doc:1#viewer@user:ann"]);
}

#[test]
fn a_model_file_may_be_json() {
    let json = r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}]}"#;
    loaded(&[("store.fga.yaml", "model_file: model.json"), ("model.json", json)]).model.unwrap();
}

#[test]
fn a_faulty_model_is_a_part_of_the_result_and_not_for_want_of_support() {
    let file = loaded(&[(
        "store.fga.yaml",
        "model: |\n  model\n    schema 1.1\n  type doc\n    relations\n      define a: b\n",
    )]);
    assert!(file.model.as_ref().unwrap_err().to_string().starts_with("line 5, column 12: "), "{:?}", file.model);
    assert!(file.unsupported().is_empty());
}

#[test]
fn a_model_that_needs_conditions_or_modules_is_unsupported_by_name() {
    let conditions =
        "model: |\n  model\n    schema 1.1\n  type user\n  type doc\n    relations\n      define a: [user with c]\n";
    assert_eq!(Vec::from_iter(loaded(&[("store.fga.yaml", conditions)]).unsupported()), [Unsupported::Conditions]);
    let modules = [("store.fga.yaml", "model_file: fga.mod"), ("fga.mod", "schema: '1.2'\ncontents: [core.fga]")];
    assert_eq!(Vec::from_iter(loaded(&modules).unsupported()), [Unsupported::Modules]);
}

#[test]
fn what_cannot_be_asked_is_counted_by_name() {
    let file = with_model(
        "tests:
  - check:
      - {user: user:a, objects: [doc:1, doc:2], context: {now: 1}, assertions: {viewer: true}}
      - {user: user:a, object: doc:1, context: {}, assertions: {viewer: true}}
    list_objects:
      - {user: user:a, type: doc, assertions: {viewer: [doc:1], editor: []}}
    list_users:
      - {object: doc:1, user_filter: [{type: user}], assertions: {viewer: {users: [user:a]}}}
",
    );
    let test = &file.tests[0];
    assert_eq!(test.checks.len(), 1);
    let skipped: Vec<String> = test.skipped.iter().map(|(what, count)| format!("{count} {what}")).collect();
    assert_eq!(skipped, ["2 context", "2 list_objects", "1 list_users"]);
}

#[test]
fn a_relationship_under_a_condition_leaves_its_test_nothing_to_ask() {
    let conditional = "{user: user:a, relation: viewer, object: doc:1, condition: {name: c, context: {x: 1}}}";
    let check = "{user: user:a, object: doc:1, assertions: {viewer: true}}";
    let file = with_model(&format!("tests: [{{tuples: [{conditional}], check: [{check}]}}, {{check: [{check}]}}]"));
    assert_eq!(file.tests[0].skipped, Skipped::from([(Unsupported::Conditions, 1)]));
    assert!(file.tests[0].checks.is_empty());
    assert_eq!(file.tests[1].checks.len(), 1);

    let file = with_model(&format!("tuples: [{conditional}]"));
    assert_eq!(Vec::from_iter(file.unsupported()), [Unsupported::Conditions]);
}

#[test]
fn scalars_that_look_like_numbers_are_names_where_names_are_expected() {
    let file = with_model("name: 42\ntests: [{name: 2024-01-01}, {name: true}]");
    assert_eq!(file.name.as_deref(), Some("42"));
    assert_eq!((file.tests[0].name.as_str(), file.tests[1].name.as_str()), ("2024-01-01", "true"));
}

#[test]
fn faults_are_told_with_file_line_and_remedy() {
    let faults = [
        "tuples: 7",
        "tuple: []",
        "tuples:\n  - user: ann\n    relation: viewer\n    object: doc:1",
        "tuples:\n  - user: user:ann\n    relation: viewer\n    object: doc:1#viewer",
        "tuples:\n  - user: user:ann\n    relation: a b\n    object: doc:1",
        "tuples:\n  - user: user:ann\n    object: doc:1",
        "tests:\n  - check:\n      - user: user:ann\n        object: doc:1",
        "tests:\n  - check:\n      - object: doc:1\n        assertions: {viewer: true}",
        "tests:\n  - check:\n      - {user: user:a, users: [user:b], object: doc:1, assertions: {viewer: true}}",
        "tests:\n  - check:\n      - {user: user:a, object: doc:1, assertions: {viewer: perhaps}}",
        "tests:\n  - check:\n      - {user: user:a, object: doc:1, asertions: {viewer: true}}",
        "model_file: model.fga",
        "tuple_file: missing.yaml",
        "tuple_file: .",
        "name: [",
        "name: a\nname: b",
    ];
    let said: Vec<String> = faults.into_iter().map(|fault| format!("{fault}\n=> {}", refused(fault))).collect();
    insta::assert_snapshot!(said.join("\n\n"));
    insta::assert_snapshot!(
        [
            load(&[("store.fga.yaml", "")]),
            load(&[]),
            load(&[("store.fga.yaml", "tuple_file: a.txt\nmodel: x"), ("a.txt", "")]),
            load(&[("store.fga.yaml", "tuple_file: a.csv\nmodel: x"), ("a.csv", "user,relation\nuser:ann,viewer\n")]),
            load(&[("store.fga.yaml", "tuple_file: a.json\nmodel: x"), ("a.json", "[\n{\"user\": 7}]")]),
        ]
        .map(|result| result.unwrap_err().to_string())
        .join("\n")
    );
}

#[test]
fn hostile_files_are_refused() {
    let laughs = (1..12).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        let last = n - 1;
        text + &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{last}"); 10].join(", "))
    });
    let many = format!(
        "tests: [{{check: [{{users: [{0}], objects: [{0}], assertions: {{a: true}}}}]}}]",
        vec!["u:1"; 400].join(",")
    );
    for text in ["\0".repeat(100), "[".repeat(1 << 20), "- ".repeat(100_000), "a: ".repeat(100_000), laughs, many] {
        let error = refused(&text);
        assert!(error.len() < 10_000, "an answer must stay small");
    }
    let directory = directory(&[]);
    let path = directory.path().join("store.fga.yaml");
    std::fs::File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    assert!(StoreFile::load(&path).unwrap_err().what.starts_with("the file is larger than"));
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(StoreFile::load(&path).unwrap_err().what.starts_with("the file is not UTF-8"));
}
