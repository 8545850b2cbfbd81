//! The other commands.

use crate::support::child::{Server, run};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_teaches_by_examples() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    insta::assert_snapshot!(text(&output.stdout));
}

#[test]
fn help_on_serve_tells_a_supervisor_which_exit_status_asks_for_another_start() {
    let output = run(&["serve", "--help"]);
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("75 start it again"), "{said}");
}

#[test]
fn a_model_is_validated_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.fga", crate::support::MODEL);
    let output = run(&["model", "validate", &good]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).ends_with("valid, 3 types, 4 relations\n"), "{}", text(&output.stdout));
    let bad = file("bad.fga", "model\n  schema 1.1\ntype user\n  relations\n    define a: b\n");
    let output = run(&["model", "validate", &bad]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("bad.fga: line 5"), "{}", text(&output.stdout));
    assert_eq!(run(&["model", "validate", "missing.fga"]).status.code(), Some(2));
}

#[test]
fn a_ring_of_keys_is_made_rotated_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ring.toml");
    let file = path.to_str().unwrap();
    let ring = |arguments: &[&str]| {
        let output = run(&[&["ring"], arguments].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, made, _) = ring(&["new", file]);
    assert_eq!(code, Some(0));
    let old = made.split(' ').next().unwrap().to_owned();
    assert_eq!(ring(&["new", file]).0, Some(2), "nothing is overwritten");
    let (_, id, _) = ring(&["add", file]);
    let id = id.trim();
    assert_eq!(ring(&["activate", file, id]).0, Some(0));
    let (_, listed, _) = ring(&["list", file]);
    assert_eq!(listed, format!("{old}  retiring    names\n{id}  active    \n"));
    let (code, _, problem) = ring(&["destroy", file, id]);
    assert_eq!(code, Some(2));
    assert!(problem.contains("activate another one first"), "{problem}");
    let (code, said, _) = ring(&["destroy", file, &old]);
    assert!(code == Some(0) && said.contains("a miss"), "{said}");
    assert_eq!(ring(&["list", file]).1, format!("{id}  active      names\n"));
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, _, problem) = ring(&["list", file]);
    assert!(code == Some(2) && problem.contains("chmod 600"), "{problem}");
}

#[test]
fn health_and_check_ask_the_running_server() {
    let server = Server::start(&["--demo", "auto"]);
    let url = format!("http://{}", server.public);
    let output = run(&["health", "--url", &url]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "ready\n".to_owned()));

    let allowed = run(&["check", "user:ann", "can_view", "generation:teaser", "--url", &url]);
    assert_eq!(allowed.status.code(), Some(0), "{}", text(&allowed.stderr));
    assert!(text(&allowed.stdout).starts_with("allowed, source origin"));
    let denied = run(&["check", "user:bob", "can_view", "generation:teaser", "--url", &url]);
    assert_eq!(denied.status.code(), Some(1));
    let unknown = run(&["check", "user:bob", "can_fly", "generation:teaser", "--url", &url]);
    assert_eq!(unknown.status.code(), Some(2), "a script must be able to tell a typo from a deny");
    assert!(text(&unknown.stderr).contains("no decision") && text(&unknown.stderr).contains("can_fly"));
    let malformed = run(&["check", "bob", "can_view", "generation:teaser", "--url", &url]);
    assert_eq!(malformed.status.code(), Some(2));

    let admin = format!("http://{}", server.admin);
    let explained = run(&["check", "user:ann", "can_view", "generation:teaser", "--explain", "--admin-url", &admin]);
    assert_eq!(explained.status.code(), Some(0), "{}", text(&explained.stderr));
    let said = text(&explained.stdout);
    for part in ["allowed, source l1", "l1: usable", "yes: user:ann is can_view of generation:teaser", "rests on "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let denied = run(&["check", "user:bob", "can_view", "generation:teaser", "--explain", "--admin-url", &admin]);
    assert_eq!(denied.status.code(), Some(1));
    let refused = run(&["check", "user:bob", "can_fly", "generation:teaser", "--explain", "--admin-url", &admin]);
    assert_eq!(refused.status.code(), Some(2));
    let context = run(&["check", "user:bob", "can_view", "generation:teaser", "--context", "[1]"]);
    assert!(text(&context.stderr).contains("--context is no JSON object"), "{}", text(&context.stderr));
}

#[test]
fn without_a_server_they_say_how_to_start_one() {
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = run(&["health", "--url", &format!("http://127.0.0.1:{port}")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("tiergate serve"), "{}", text(&output.stderr));
    assert_eq!(run(&["health", "--url", "ftp://x"]).status.code(), Some(2));
}

#[test]
fn a_new_model_is_compared_with_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let old =
        file("old.fga", "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define viewer: [user, user:*]\n");
    let new = file("new.fga", "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define viewer: [user]\n");
    let requests = file("requests.csv", "user,relation,object\nuser:ann,viewer,doc:1\nuser:bob,viewer,doc:1\n");
    let tuples = file(
        "tuples.csv",
        "user_type,user_id,user_relation,relation,object_type,object_id\nuser,*,,viewer,doc,1\nuser,bob,,viewer,doc,1\n",
    );
    let changed = run(&["model", "diff", &old, &new, "--requests", &requests, "--tuples", &tuples]);
    assert_eq!(changed.status.code(), Some(1), "{}", text(&changed.stderr));
    insta::assert_snapshot!(text(&changed.stdout));
    let same = run(&["model", "diff", &old, &old, "--requests", &requests, "--tuples", &tuples, "--json"]);
    assert_eq!(
        (same.status.code(), text(&same.stdout).as_str()),
        (Some(0), "{\"asked\":2,\"changed\":[],\"dropped\":[],\"unanswered\":[]}\n")
    );
    let broken = file("broken.fga", "model\n  schema 1.1\ntype user\n  relations\n    define a: b\n");
    let refused = run(&["model", "diff", &old, &broken, "--requests", &requests]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("broken.fga: line 5"), "{}", text(&refused.stderr));
}
