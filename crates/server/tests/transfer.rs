//! Import and export, through the binary and a running server.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::child::{Server, run, spawn};

const STORE: &str = "name: papers\nmodel: |\n  model\n    schema 1.1\n  type user\n  type team\n    relations\n      define member: [user]\n  \
                     type doc\n    relations\n      define viewer: [user, user:*, team#member, user with until]\n  \
                     condition until(current_time: timestamp, end: timestamp) {\n    current_time < end\n  }\n\
                     tuples:\n  - {user: 'user:ann', relation: member, object: 'team:9'}\n  - {user: 'team:9#member', relation: viewer, object: 'doc:a,b'}\n  \
                     - {user: 'user:*', relation: viewer, object: 'doc:public'}\n  \
                     - {user: 'user:bob', relation: viewer, object: 'doc:soon', condition: {name: until, context: {end: '2030-01-01T00:00:00Z'}}}\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn url(server: &Server) -> String {
    format!("http://{}", server.public)
}

/// The store that an import says it went into.
fn store_of(said: &str) -> String {
    said.split_once("store ").and_then(|(_, rest)| rest.split_once(':')).map(|(id, _)| id.to_owned()).unwrap()
}

fn import(server: &Server, arguments: &[&str]) -> (Option<i32>, String, String) {
    let url = url(server);
    let output = run(&[&["import"], arguments, &["--url", &url]].concat());
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn export(server: &Server, store: &str, output: &Path) -> String {
    let (url, path) = (url(server), output.to_str().unwrap());
    let exported = run(&["export", "--store", store, "--output", path, "--url", &url]);
    assert_eq!(exported.status.code(), Some(0), "{}", text(&exported.stderr));
    std::fs::read_to_string(output).unwrap()
}

#[test]
fn what_is_exported_can_be_imported_and_is_the_same() {
    let (server, directory) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("papers.fga.yaml"), STORE).unwrap();
    let (code, said, error) = import(&server, &[at("papers.fga.yaml").to_str().unwrap()]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("4 relationships"), "{said}");
    let first = store_of(&said);
    let whole = export(&server, &first, &at("whole.fga.yaml"));
    insta::assert_snapshot!(whole);
    // Both forms of relationships alone bring the same into a store with the same model.
    let (_, said, _) = import(&server, &[at("whole.fga.yaml").to_str().unwrap(), "--name", "again"]);
    assert_eq!(export(&server, &store_of(&said), &at("again.csv")), export(&server, &first, &at("first.csv")));
    for name in ["first.csv", "first.json"] {
        export(&server, &first, &at(name));
        let (code, said, error) = import(&server, &[at(name).to_str().unwrap(), "--store", &first]);
        assert_eq!(code, Some(0), "{error}");
        assert!(said.contains("4 relationships"), "{said}");
    }
    assert!(!at("first.csv.import-journal").exists(), "the journal goes with the import");
}

fn many(count: usize) -> String {
    let mut text = "user_type,user_id,user_relation,relation,object_type,object_id\n".to_owned();
    for number in 0..count {
        writeln!(text, "user,u{},,viewer,doc,d{number}", number % 100).unwrap();
    }
    text
}

#[test]
fn an_import_that_was_killed_goes_on_where_it_stopped() {
    let (server, directory) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("papers.fga.yaml"), STORE).unwrap();
    let (_, said, _) = import(&server, &[at("papers.fga.yaml").to_str().unwrap()]);
    let store = store_of(&said);
    const COUNT: usize = 40_000;
    std::fs::write(at("many.csv"), many(COUNT)).unwrap();
    let (path, url) = (at("many.csv"), url(&server));
    let arguments = ["import", path.to_str().unwrap(), "--store", &store, "--parallel", "1", "--url", &url];
    let journal = at("many.csv.import-journal");
    let done = || -> usize {
        let read = std::fs::read(&journal).unwrap_or_default();
        let entry: serde_json::Value = serde_json::from_slice(&read).unwrap_or_default();
        entry["done"].as_u64().unwrap_or(0) as usize
    };
    let mut child = spawn(&arguments);
    while done() == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let stopped_at = done();
    assert!(stopped_at > 0 && stopped_at < COUNT, "{stopped_at}");
    let (code, said, error) = import(&server, &[path.to_str().unwrap(), "--store", &store]);
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains(&format!("{COUNT} relationships, {stopped_at} of them by an earlier run")), "{said}");
    let exported = export(&server, &store, &at("all.csv"));
    assert_eq!(exported.lines().count(), 1 + COUNT + 4, "nothing is lost, nothing stands twice");
}

#[test]
fn a_relationship_that_is_refused_is_named_and_the_others_are_not_lost() {
    let (server, directory) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("papers.fga.yaml"), STORE).unwrap();
    let (_, said, _) = import(&server, &[at("papers.fga.yaml").to_str().unwrap()]);
    let store = store_of(&said);
    let lines = format!("{}team,9,,viewer,doc,wrong\nuser,last,,viewer,doc,good\n", many(150));
    std::fs::write(at("some.csv"), lines).unwrap();
    let path = at("some.csv");
    let (code, _, error) = import(&server, &[path.to_str().unwrap(), "--store", &store]);
    assert_eq!(code, Some(2));
    assert!(error.contains("doc:wrong#viewer@team:9") && error.contains("--skip-refused"), "{error}");
    let (code, said, _) = import(&server, &[path.to_str().unwrap(), "--store", &store, "--skip-refused"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("151 relationships") && said.contains("refused doc:wrong#viewer@team:9: "), "{said}");
}

#[test]
fn faulty_input_imports_nothing_and_says_where_the_fault_is() {
    let (server, directory) = (Server::start(&[]), tempfile::tempdir().unwrap());
    let at = |name: &str| directory.path().join(name);
    let cases = [
        (
            "bad.csv",
            "user_type,user_id,user_relation,relation,object_type,object_id\nuser,a b,,viewer,doc,1\n",
            "bad.csv:2",
        ),
        ("bad.yaml", "- {user: 'user:ann', relation: viewer}\n", "bad.yaml:1"),
        ("bad.json", "[{\"user\": \"user:ann\", \"relation\": \"viewer\", \"object\": \"doc\"}]", "bad.json"),
        (
            "bad.fga.yaml",
            "model: |\n  model\n    schema 1.1\n  type user\n    relations\n      define a: b\ntuples: []\n",
            "line 5",
        ),
        ("bad.txt", "", "give it the ending"),
    ];
    for (name, content, expected) in cases {
        std::fs::write(at(name), content).unwrap();
        let (code, _, error) = import(&server, &[at(name).to_str().unwrap()]);
        assert_eq!(code, Some(2), "{name}");
        assert!(error.contains(expected), "{name}: {error}");
    }
    let missing = run(&["export", "--store", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--url", &url(&server)]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("404"), "{}", text(&missing.stderr));
}
