//! OpenFGA's command line.
//!
//! The program is found through `TIERGATE_FGA` or on the PATH.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::missing;
use crate::process::Process;

const MODEL: &str = "model
  schema 1.1
type user
type team
  relations
    define member: [user, team#member]
type document
  relations
    define viewer: [user, user:*, team#member, user with in_office]
    define blocked: [user]
    define can_view: viewer but not blocked
condition in_office(ip: ipaddress, network: string) { ip.in_cidr(network) }
";

/// The command line, pointed at a server.
struct Fga {
    program: PathBuf,
    server: Process,
    /// Where its files are.
    directory: tempfile::TempDir,
    _data: tempfile::TempDir,
}

/// One store, as the command line sees it.
struct Store<'a>(&'a Fga, String);

impl Fga {
    /// None where the program is not there.
    fn start() -> Option<Self> {
        let Some(program) = program() else {
            missing("OpenFGA's command line");
            return None;
        };
        let data = tempfile::tempdir().unwrap();
        let server = Process::start(data.path(), &[]);
        Some(Self { program, server, directory: tempfile::tempdir().unwrap(), _data: data })
    }

    /// A new store with the model.
    fn store(&self) -> Store<'_> {
        let id = self.json(&["store", "create", "--name", "clients"])["store"]["id"].as_str().unwrap().to_owned();
        let store = Store(self, id);
        store.json(&["model", "write", "--file", &self.file("model.fga", MODEL)]);
        store
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.program)
            .args(["--api-url", &format!("http://{}", self.server.address())])
            .args(arguments)
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments).unwrap_or_else(|error| panic!("fga {arguments:?}: {error}"));
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("fga {arguments:?}: {error}: {output}"))
    }
}

fn program() -> Option<PathBuf> {
    let named = std::env::var_os("TIERGATE_FGA").map(PathBuf::from);
    let program = named.unwrap_or_else(|| PathBuf::from("fga"));
    Command::new(&program).arg("version").output().is_ok_and(|output| output.status.success()).then_some(program)
}

impl Store<'_> {
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let Self(fga, id) = self;
        fga.run(&[arguments, &["--store-id", id]].concat())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let Self(fga, id) = self;
        fga.json(&[arguments, &["--store-id", id]].concat())
    }

    fn check(&self, user: &str, object: &str, more: &[&str]) -> bool {
        let answer = self.json(&[&["query", "check", user, "can_view", object], more].concat());
        answer["allowed"].as_bool().unwrap()
    }
}

#[test]
fn stores_and_models() {
    let Some(fga) = Fga::start() else { return };
    let store = fga.store();
    assert_eq!(store.json(&["store", "get"])["name"], "clients");
    assert_eq!(fga.json(&["store", "list"])["stores"][0]["id"], store.1.as_str());
    let model =
        store.json(&["model", "write", "--file", &fga.file("again.fga", MODEL)])["authorization_model_id"].clone();
    let list = store.json(&["model", "list"]);
    assert_eq!(
        (list["authorization_models"].as_array().unwrap().len(), &list["authorization_models"][0]["id"]),
        (2, &model)
    );
    let read = store.run(&["model", "get"]).unwrap();
    assert!(read.contains("define can_view: viewer but not blocked"), "{read}");
    assert!(read.contains("condition in_office(ip: ipaddress, network: string)"), "{read}");
    store.run(&["store", "delete", "--force"]).unwrap();
    assert_eq!(fga.json(&["store", "list"])["stores"].as_array().unwrap().len(), 0);
    let gone = store.run(&["query", "check", "user:ann", "can_view", "document:2"]).unwrap_err();
    assert!(gone.contains("store_id_not_found"), "{gone}");
}

#[test]
fn tuples_one_by_one_and_from_files() {
    let Some(fga) = Fga::start() else { return };
    let store = fga.store();
    store.json(&["tuple", "write", "user:ann", "member", "team:9"]);
    let yaml = "- user: team:9#member\n  relation: viewer\n  object: document:1\n- user: user:*\n  relation: viewer\n  object: document:2\n";
    let list = r#"[{"user":"user:bob","relation":"viewer","object":"document:3","condition":{"name":"in_office","context":{"network":"10.0.0.0/8"}}}]"#;
    let csv = "user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context\n\
               user,eve,,viewer,document,4,,\nuser,zoe,,viewer,document,4,in_office,\"{\"\"network\"\":\"\"11.0.0.0/8\"\"}\"\n";
    for (name, text) in [("tuples.yaml", yaml), ("tuples.json", list), ("tuples.csv", csv)] {
        let answer = store.json(&["tuple", "write", "--file", &fga.file(name, text)]);
        assert_eq!(answer["failed_count"].as_u64().unwrap_or(0), 0, "{name}: {answer}");
    }
    store.json(&[
        "tuple",
        "write",
        "user:dan",
        "viewer",
        "document:4",
        "--condition-name",
        "in_office",
        "--condition-context",
        r#"{"network":"12.0.0.0/8"}"#,
    ]);
    let read = store.json(&["tuple", "read"]);
    assert_eq!(read["tuples"].as_array().unwrap().len(), 7, "{read}");
    let bob = store.json(&["tuple", "read", "--user", "user:bob", "--object", "document:"]);
    assert_eq!(
        bob["tuples"][0]["key"]["condition"],
        json!({"name": "in_office", "context": {"network": "10.0.0.0/8"}})
    );

    let again = store.json(&["tuple", "write", "--file", &fga.file("tuples.yaml", yaml), "--on-duplicate", "ignore"]);
    assert_eq!(again["failed_count"].as_u64().unwrap_or(0), 0, "{again}");
    let twice = store.run(&["tuple", "write", "user:ann", "member", "team:9"]).unwrap_err();
    assert!(twice.contains("already exists"), "{twice}");

    // Twice, so that what is revoked comes from the cache.
    assert!(store.check("user:ann", "document:1", &[]) && store.check("user:ann", "document:1", &[]));
    store.json(&["tuple", "delete", "user:ann", "member", "team:9"]);
    assert!(!store.check("user:ann", "document:1", &[]), "a deletion that was answered is in force");
    store.json(&["tuple", "delete", "--file", &fga.file("tuples.yaml", yaml)]);
    assert_eq!(store.json(&["tuple", "read"])["tuples"].as_array().unwrap().len(), 4);
    assert_eq!(store.json(&["tuple", "changes"])["changes"].as_array().unwrap().len(), 10);
    let teams = store.json(&["tuple", "changes", "--type", "team", "--start-time", "2001-01-01T00:00:00Z"]);
    assert_eq!(teams["changes"].as_array().unwrap().len(), 2);

    let refused = store.run(&["tuple", "write", "user:ann", "viewr", "document:1"]).unwrap_err();
    assert!(refused.contains("did you mean 'viewer'?"), "{refused}");
    let inline = store
        .run(&[
            "tuple",
            "write",
            "user:ann",
            "viewer",
            "document:1",
            "--condition-expression",
            "x == 'y'",
            "--condition-parameters",
            r#"{"x":"string"}"#,
        ])
        .unwrap_err();
    assert!(inline.contains("define a condition in the model"), "{inline}");
}

#[test]
fn queries_with_context_and_contextual_tuples() {
    let Some(fga) = Fga::start() else { return };
    let store = fga.store();
    let tuples = r#"[
        {"user":"user:ann","relation":"member","object":"team:9"},
        {"user":"team:9#member","relation":"viewer","object":"document:1"},
        {"user":"user:bob","relation":"viewer","object":"document:1","condition":{"name":"in_office","context":{"network":"10.0.0.0/8"}}}
    ]"#;
    store.json(&["tuple", "write", "--file", &fga.file("tuples.json", tuples)]);
    let inside = ["--context", r#"{"ip":"10.1.2.3"}"#];
    let outside = ["--context", r#"{"ip":"11.1.2.3"}"#];
    assert!(store.check("user:bob", "document:1", &inside) && !store.check("user:bob", "document:1", &outside));
    assert!(store.check("user:zoe", "document:1", &["--contextual-tuple", "user:zoe member team:9"]));
    assert!(store.check("user:ann", "document:1", &["--consistency", "HIGHER_CONSISTENCY"]));
    let missing = store.run(&["query", "check", "user:bob", "can_view", "document:1"]).unwrap_err();
    assert!(missing.contains("needs `ip`"), "{missing}");

    let objects = |more: &[&str]| {
        store.json(&[&["query", "list-objects", "user:bob", "can_view", "document"], more].concat())["objects"].clone()
    };
    assert_eq!((objects(&inside), objects(&outside)), (json!(["document:1"]), json!([])));
    let users = |filter: &str| {
        let query = ["query", "list-users", "--object", "document:1", "--relation", "viewer", "--user-filter", filter];
        store.json(&[&query, &inside[..]].concat())["users"].clone()
    };
    let user = |id: &str| json!({"object": {"type": "user", "id": id}});
    assert_eq!(users("user"), json!([user("ann"), user("bob")]));
    assert_eq!(users("team#member"), json!([{"userset": {"type": "team", "id": "9", "relation": "member"}}]));
    // The client checks all of them at once, and tells them as they come.
    let relations = store.json(&["query", "list-relations", "user:ann", "document:1"])["relations"].clone();
    assert!(relations == json!(["can_view", "viewer"]) || relations == json!(["viewer", "can_view"]), "{relations}");
    let tree = store.json(&["query", "expand", "can_view", "document:1"]);
    assert_eq!(tree["tree"]["root"]["difference"]["base"]["leaf"]["computed"]["userset"], "document:1#viewer");
}

const STORE: &str = "name: imported
model: |
  model
    schema 1.1
  type user
  type document
    relations
      define viewer: [user, user with in_office]
  condition in_office(ip: ipaddress, network: string) {
    ip.in_cidr(network)
  }
tuples:
  - user: user:ann
    relation: viewer
    object: document:1
  - user: user:bob
    relation: viewer
    object: document:1
    condition:
      name: in_office
      context:
        network: 10.0.0.0/8
tests:
  - name: checks
    check:
      - user: user:ann
        object: document:1
        assertions:
          viewer: true
      - user: user:eve
        object: document:1
        assertions:
          viewer: false
    list_objects:
      - user: user:ann
        type: document
        assertions:
          viewer:
            - document:1
";

#[test]
fn a_store_is_imported_and_exported() {
    let Some(fga) = Fga::start() else { return };
    let imported = fga.json(&["store", "import", "--file", &fga.file("store.fga.yaml", STORE)]);
    let store = Store(&fga, imported["store"]["id"].as_str().unwrap().to_owned());
    assert_eq!(store.json(&["store", "get"])["name"], "imported");
    assert_eq!(store.json(&["tuple", "read"])["tuples"].as_array().unwrap().len(), 2);
    let exported = store.run(&["store", "export"]).unwrap();
    for part in ["name: imported", "user: user:bob", "network: 10.0.0.0/8", "condition in_office"] {
        assert!(exported.contains(part), "{part}: {exported}");
    }
    // What was exported says of itself whether it holds, and can be imported again.
    let file = fga.file("exported.fga.yaml", &exported);
    fga.run(&["model", "test", "--tests", &file]).unwrap();
    let again = fga.json(&["store", "import", "--file", &file]);
    let again = Store(&fga, again["store"]["id"].as_str().unwrap().to_owned());
    assert_eq!(again.json(&["tuple", "read"])["tuples"].as_array().unwrap().len(), 2);
}
