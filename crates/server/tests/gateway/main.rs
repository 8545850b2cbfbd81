//! A walk through a real nginx, with the configuration that docs/GATEWAYS.md shows.
//!
//! The program is found through `TIERGATE_NGINX`, on the PATH or in /usr/sbin; `cargo xtask test` brings it under the target directory.
//! Where there is none, the test says so; in CI that is a failure.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod document;
#[path = "../killable.rs"]
mod killable;
mod nginx;
mod upstream;
#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "shared with tests that need the rest")]
mod wire;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use killable::Process;
use nginx::{Answer, Nginx};
use serde_json::json;
use upstream::Upstream;

const MODEL: &str = include_str!("model.json");
/// Both clients have the password `secret`.
const USERS: &str = "ann:{PLAIN}secret\nbob:{PLAIN}secret\n";

/// nginx between a client and an application, with the server beside it.
struct World {
    server: Option<Process>,
    nginx: Nginx,
    upstream: Upstream,
    store: String,
    _directory: tempfile::TempDir,
}

impl World {
    fn start(program: &std::path::Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("tiergate.toml"), document::block("toml")).unwrap();
        let server = Process::start(directory.path(), &[]);
        let upstream = Upstream::start();
        let users = directory.path().join("users");
        std::fs::write(&users, USERS).unwrap();
        let site = document::replaced(
            &document::block("nginx"),
            &[
                ("listen 8000", &format!("listen unix:{}", Nginx::socket(directory.path()).display())),
                ("/etc/nginx/users", users.to_str().unwrap()),
                ("127.0.0.1:3000", &upstream.address().to_string()),
                ("127.0.0.1:8080", &server.address().to_string()),
            ],
        );
        let nginx = Nginx::start(program, directory.path(), &site);
        let mut world = Self { server: Some(server), nginx, upstream, store: String::new(), _directory: directory };
        let created = world.post("/stores", &json!({"name": "app"}).to_string());
        world.store = created["id"].as_str().unwrap().to_owned();
        world.post(&format!("/stores/{}/authorization-models", world.store), MODEL);
        world.change("writes", "user:ann", "viewer", "document:plan");
        world
    }

    fn post(&self, path: &str, body: &str) -> serde_json::Value {
        let address = self.server.as_ref().unwrap().address();
        let answer = wire::exchange(address, &wire::post(path, body));
        assert!(answer.starts_with("HTTP/1.1 20"), "{path}: {answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Writes or deletes a relationship.
    fn change(&self, what: &str, user: &str, relation: &str, object: &str) {
        let keys = json!({"tuple_keys": [{"user": user, "relation": relation, "object": object}]});
        self.post(&format!("/stores/{}/write", self.store), &json!({what: keys}).to_string());
    }

    /// Sends a request through nginx, and says whether the application saw it.
    fn walk(&self, who: &str, method: &str, path: &str, headers: &str) -> (Answer, bool) {
        let before = self.upstream.seen();
        let login = match who {
            "" => String::new(),
            who => format!("authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{who}:secret"))),
        };
        let answer = self.nginx.send(&format!(
            "{method} {path} HTTP/1.1\r\nhost: app.example.com\r\nconnection: close\r\n{login}{headers}\r\n"
        ));
        let reached = self.upstream.seen() > before;
        println!("{:5} {method:6} {path:32} {} {}", who, answer.status, if reached { "reached" } else { "closed" });
        (answer, reached)
    }

    #[track_caller]
    fn passes(&self, who: &str, method: &str, path: &str) -> Answer {
        let (answer, reached) = self.walk(who, method, path, "");
        assert!(answer.status == 200 && reached, "{who} {method} {path}: {answer:?}");
        answer
    }

    #[track_caller]
    fn stops(&self, status: u16, who: &str, method: &str, path: &str) -> Answer {
        self.stops_with(status, who, method, path, "")
    }

    #[track_caller]
    fn stops_with(&self, status: u16, who: &str, method: &str, path: &str, headers: &str) -> Answer {
        let (answer, reached) = self.walk(who, method, path, headers);
        assert!(answer.status == status && !reached, "{who} {method} {path}: {answer:?}");
        answer
    }
}

#[test]
fn nginx_lets_through_what_is_allowed_and_nothing_else() {
    let Some(program) = nginx::program() else { return };
    let mut world = World::start(&program);

    let allowed = world.passes("ann", "GET", "/documents/plan?page=2");
    assert!(allowed.body.starts_with("GET /documents/plan?page=2 "), "{allowed:?}");
    assert!(allowed.body.contains("x-forwarded-user: ann"), "{allowed:?}");
    assert!(allowed.body.contains("x-tiergate-decision-id: 0"), "the application learns the decision: {allowed:?}");
    world.passes("ann", "GET", "/documents/pl%61n");
    world.passes("", "GET", "/assets/logo.png");

    world.stops(403, "bob", "GET", "/documents/plan");
    world.stops(403, "ann", "GET", "/documents/other");
    world.stops(403, "ann", "DELETE", "/documents/plan");
    world.stops(403, "ann", "PROPFIND", "/documents/plan");
    world.stops(403, "ann", "GET", "/elsewhere");
    world.stops(401, "eve", "GET", "/documents/plan");
    let login = world.stops(401, "", "GET", "/documents/plan");
    assert!(login.head.to_lowercase().contains("www-authenticate: basic realm=\"app\""), "{login:?}");
    // Only the server challenges here: nginx asks for no password before it has seen one.
    world.stops(403, "", "GET", "/elsewhere");

    for path in [
        "/assets/../documents/plan",
        "/assets/%2e%2e/documents/plan",
        "//documents/plan",
        "/assets/..%2fdocuments/plan",
        "/documents/plan;x",
        "/documents/plan/",
        "/Documents/plan",
        "/documents/pl%2561n",
        "/assets/a%5c..%5cb",
    ] {
        world.stops(403, "ann", "GET", path);
    }
    // nginx takes the path out of a whole URL, for the question and for the application alike.
    world.stops(403, "bob", "GET", "http://app.example.com/documents/plan");
    let whole = world.passes("ann", "GET", "http://app.example.com/documents/plan");
    assert!(whole.body.starts_with("GET /documents/plan "), "{whole:?}");
    world.stops(403, "ann", "GET", "http://app.example.com//documents/plan");
    world.stops(404, "ann", "GET", "/_tiergate");
    for smuggled in [
        "x-forwarded-user: ann\r\n",
        "x-original-uri: /assets/logo.png\r\n",
        "x-forwarded-uri: /assets/logo.png\r\nx-forwarded-method: GET\r\n",
    ] {
        world.stops_with(403, "bob", "GET", "/documents/plan", smuggled);
    }
    world.stops_with(401, "", "GET", "/documents/plan", "x-forwarded-user: ann\r\n");

    world.passes("ann", "GET", "/documents/plan");
    world.change("deletes", "user:ann", "viewer", "document:plan");
    world.stops(403, "ann", "GET", "/documents/plan");
    world.change("writes", "user:ann", "viewer", "document:plan");
    world.passes("ann", "GET", "/documents/plan");

    world.change("writes", "user:ann", "owner", "document:plan");
    world.passes("ann", "DELETE", "/documents/plan");
    world.stops(403, "bob", "DELETE", "/documents/plan");

    drop(world.server.take());
    for path in ["/documents/plan", "/assets/logo.png"] {
        world.stops(500, "ann", "GET", path);
    }
}
