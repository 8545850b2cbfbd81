//! API keys, from the command that makes them to the server that asks for them.

use std::path::Path;

use serde_json::json;

use crate::support::child::{Server, run};
use crate::support::client::{Answer, until};
use crate::support::wire::{exchange, get, post, post_with};

fn keys(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(&[&["keys"], arguments].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn made(arguments: &[&str]) -> String {
    let (code, key, problem) = keys(arguments);
    assert_eq!(code, Some(0), "{problem}");
    assert!(key.starts_with("tiergate_") && key.lines().count() == 1, "the key and nothing else: {key}");
    key
}

fn create_store(server: &Server, key: &str) -> Answer {
    let body = json!({"name": "one"}).to_string();
    Answer::of(&exchange(server.public, &post_with("/stores", &format!("authorization: Bearer {key}"), &body)))
}

#[test]
fn a_key_is_made_shown_once_used_rotated_and_revoked_while_the_server_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    let file = path.to_str().unwrap();
    let writer = made(&["new", file, "--name", "writer", "--scope", "write,check"]);
    let operator = made(&["new", file, "--name", "operator", "--scope", "admin", "--days", "30"]);
    let (_, listed, _) = keys(&["list", file]);
    assert!(listed.contains("writer") && listed.contains("check, write") && listed.contains("until 20"), "{listed}");
    assert!(!listed.contains(&writer[22..]), "{listed}");

    let server = Server::start(&["--set", &format!("auth.keys_file={file}")]);
    assert_eq!(Answer::of(&exchange(server.public, &get("/livez"))).status, 200);
    assert_eq!(Answer::of(&exchange(server.public, &post("/stores", "{}"))).status, 401);
    assert_eq!(create_store(&server, &writer).status, 201);
    assert_eq!(create_store(&server, &operator).status, 403);

    // The command line shows a key as well.
    let key_file = directory.path().join("key");
    cache_redis::secret_file::create(&key_file, &writer).unwrap();
    let url = format!("http://{}", server.public);
    let check = |arguments: &[&str]| {
        run(&[&["check", "user:ann", "can_view", "document:1", "--url", &url], arguments].concat())
    };
    let refused = check(&[]);
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("401"), "{}", text(&refused.stderr));
    let asked = check(&["--key-file", key_file.to_str().unwrap()]);
    assert!(!text(&asked.stderr).contains("401"), "{}", text(&asked.stderr));

    // Another key takes its turn; the old one is valid until it is revoked, and the server was told.
    let next = made(&["rotate", file, "writer"]);
    assert_eq!(create_store(&server, &next).status, 401, "it was not told yet");
    server.hang_up();
    until("the new key is valid", || create_store(&server, &next).status == 201);
    assert_eq!(create_store(&server, &writer).status, 201);
    assert_eq!(keys(&["revoke", file, &writer[9..21]]).0, Some(0));
    server.hang_up();
    until("the old key is not", || create_store(&server, &writer).status == 401);

    // A file that is wrong changes nothing, and whoever asks is told what is wrong.
    let good = std::fs::read_to_string(&path).unwrap();
    replace(&path, &good.replace("scopes", "skopes"));
    let reload = |key: &str| {
        let header = format!("authorization: Bearer {key}");
        Answer::of(&exchange(server.admin, &post_with("/admin/v1/reload", &header, "")))
    };
    let refused = reload(&operator);
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body["message"].as_str().unwrap().contains("nothing was changed"), "{}", refused.body);
    assert_eq!(create_store(&server, &next).status, 201);
    replace(&path, &good);
    assert_eq!(reload(&operator).body, json!({"api_keys": 2, "ring": false, "certificate": false}));
    assert_eq!(reload(&next).status, 403);
}

fn replace(path: &Path, text: &str) {
    cache_redis::secret_file::replace(path, text).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_server_does_not_start_with_keys_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.toml");
    let file = path.to_str().unwrap();
    made(&["new", file, "--name", "one", "--scope", "check"]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(&["serve", "--port", "0", "--admin-port", "0", "--set", &format!("auth.keys_file={file}")]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("auth.keys_file") && said.contains("chmod 600"), "{said}");
    for arguments in [
        &["new", file, "--name", "two", "--scope", "check"][..],
        &["new", file, "--name", "a name", "--scope", "check"],
        &["list", "/nowhere/keys.toml"],
        &["rotate", file, "nobody"],
        &["revoke", file, "nobody"],
    ] {
        assert_eq!(keys(arguments).0, Some(2), "{arguments:?}");
    }
}
