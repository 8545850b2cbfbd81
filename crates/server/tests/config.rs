//! Configuration, as `tiergate config` shows it.

use std::process::Output;

use tempfile::TempDir;

use crate::support::child::tiergate;

/// Runs `tiergate config` in a directory, with a file and an environment.
fn config(file: &str, environment: &[(&str, &str)], args: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    if !file.is_empty() {
        std::fs::write(directory.path().join("tiergate.toml"), file).unwrap();
    }
    config_in(&directory, environment, args)
}

fn config_in(directory: &TempDir, environment: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = tiergate(directory, &["config"]);
    command.args(args).envs(environment.iter().copied()).output().unwrap()
}

#[track_caller]
fn shown(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_defaults_are_listed_with_their_origin() {
    insta::assert_snapshot!(shown(&config("", &[], &[])));
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let file = "[http]\nport = 1\nmax_batch = 11\naddress = '::1'\n[cache.types.team_access]\nl1_ttl_seconds = 7\n";
    let environment = [("TIERGATE_HTTP__PORT", "2"), ("TIERGATE_HTTP__MAX_BATCH", "22")];
    let all = shown(&config(file, &environment, &["--port", "3", "--set", "limits.depth=30"]));
    let picked: Vec<&str> = all.lines().filter(|line| !line.ends_with("# default")).collect();
    insta::assert_snapshot!(picked.join("\n"));
}

#[test]
fn what_is_shown_can_be_used_as_a_file() {
    let first = shown(&config("", &[], &["--port", "3", "--set", "cache.assign.document=team_access"]));
    let second = shown(&config(&first, &[], &[]));
    let values =
        |text: &str| text.lines().map(|line| line.split("  #").next().unwrap().trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(values(&first), values(&second));
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() {
    insta::assert_snapshot!(refused(&config("[http]\nprot = 1\n[nonsense]\nx = 1\n", &[], &[])));
    insta::assert_snapshot!(refused(&config("", &[("TIERGATE_HTTP_PORT", "1")], &[])));
    insta::assert_snapshot!(refused(&config("", &[], &["--set", "limits.dept=3"])));
}

#[test]
fn a_value_of_another_type_is_named_with_its_place() {
    insta::assert_snapshot!(refused(&config("[http]\nport = 'many'\n", &[], &[])));
    insta::assert_snapshot!(refused(&config("", &[("TIERGATE_CACHE__L1__ENABLED", "perhaps")], &[])));
    insta::assert_snapshot!(refused(&config("", &[], &["--demo", "maybe"])));
}

#[test]
fn values_that_are_not_allowed_are_named_all_at_once_with_what_is_allowed() {
    let file = "log.level = 'loud'\nhttp.max_batch = 0\ncache.l1.budget_bytes = 1\ncache.assign.document = 'fast'\n\
                http.public_url = 'example.com/'\nserver.default_store = 'x'\ncache.types.team_access.l1_ttl_seconds = 0\n";
    insta::assert_snapshot!(refused(&config(file, &[], &[])));
}

const ROUTES: &str = "[gateway]\nchallenge = 'Basic realm=\"app\"'\nhosts = ['app.example.com']\n\
    [[gateway.routes]]\nmethods = ['GET', 'HEAD']\npath = '/documents/{id}'\naction = 'can_view'\nresource = 'document:{id}'\n\
    [[gateway.routes]]\nmethods = ['GET']\npath = '/{*file}'\npublic = true\n";

#[test]
fn a_route_map_is_shown_as_it_can_be_used() {
    let first = shown(&config(ROUTES, &[], &[]));
    let lines: Vec<&str> = first.lines().filter(|line| line.contains("gateway.")).collect();
    insta::assert_snapshot!(lines.join("\n"));
    let second = shown(&config(&first, &[], &[]));
    let routes = |text: &str| text.lines().filter(|line| line.starts_with("gateway.routes")).collect::<String>();
    assert_eq!(routes(&first), routes(&second));
}

#[test]
fn a_route_map_that_is_wrong_is_refused_with_the_file_and_the_route() {
    insta::assert_snapshot!(refused(&config(&ROUTES.replace("document:{id}", "document:{doc}"), &[], &[])));
    insta::assert_snapshot!(refused(&config(&ROUTES.replace("public", "pubic"), &[], &[])));
    insta::assert_snapshot!(refused(&config(&ROUTES.replace("methods = ['GET']\n", ""), &[], &[])));
    insta::assert_snapshot!(refused(&config(&ROUTES.replace("public", "colour"), &[], &[])));
    insta::assert_snapshot!(refused(&config("gateway.routes = 3\n", &[], &[])));
    insta::assert_snapshot!(refused(&config(&ROUTES.replace("['GET']", "'GET'"), &[], &[])));
    let settings = "[gateway]\nsubject_header = 'Host'\nsubject_type = 'a b'\nanonymous = '*'\nchallenge = \"a\\nb\"\n\
                    hosts = ['https://app.example.com']\n";
    insta::assert_snapshot!(refused(&config(settings, &[], &[])));
}

#[test]
fn no_message_shows_a_secret() {
    let password = ("TIERGATE_REDIS__SENTINEL_PASSWORD", "00712345");
    let url = ("TIERGATE_REDIS__URL", "redis+sentinel://sentinel-1/main");
    assert!(shown(&config("", &[password, url], &[])).contains("redis.sentinel_password = \"***\""));
    let set = ["--set", "redis.sentinel_password=00712345"];
    assert!(shown(&config("", &[url], &set)).contains("redis.sentinel_password = \"***\""));
    for (file, environment) in [
        ("[redis]\nurl = \"redis://:00712345@cache\n", None),
        ("[redis]\nsentinel_password = 712345\n", None),
        ("[redis]\nurl = 712345\n", None),
        ("[keys]\nmaster = 712345.5\n", None),
        ("redis = 'redis://:00712345@cache'\n", None),
        ("", Some(("TIERGATE_POSTGRES", "postgres://app:00712345@db/x"))),
    ] {
        let message = refused(&config(file, environment.as_slice(), &[]));
        assert!(!message.contains("712345"), "{file}: {message}");
        insta::assert_snapshot!(message);
    }
}

#[test]
fn a_value_that_its_reader_would_stumble_over_is_refused_without_showing_it() {
    let value = "\"teapot\\u00e9 é\"";
    for message in [
        refused(&config("", &[("TIERGATE_SERVER__INSTANCE", value)], &[])),
        refused(&config("", &[("tiergate_server__instance", value)], &[])),
        refused(&config("", &[], &["--set", &format!("server.instance={value}")])),
    ] {
        assert!(message.contains("has a backslash in quotes"), "{message}");
        assert!(!message.contains("teapot") && !message.contains("panicked"), "{message}");
    }
}

#[test]
fn a_file_that_is_named_must_exist_and_be_toml() {
    assert!(refused(&config("", &[], &["--config", "no.toml"])).contains("there is no configuration file no.toml"));
    assert!(refused(&config("", &[("TIERGATE_CONFIG", "no.toml")], &[])).contains("no.toml"));
    assert!(refused(&config("[http\n", &[], &[])).contains("tiergate.toml"));
}

#[test]
fn another_file_may_be_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tiergate.toml"), "http.port = 1\n").unwrap();
    std::fs::write(directory.path().join("other.toml"), "http.port = 2\n").unwrap();
    let all = shown(&config_in(&directory, &[], &["--config", "other.toml"]));
    assert!(all.lines().any(|line| line.starts_with("http.port = 2 ") && line.ends_with("# other.toml")), "{all}");
}

#[test]
fn variables_of_tests_are_none_of_the_servers_business() {
    let shown = shown(&config("", &[("TIERGATE_TEST_REDIS_URL", "redis://127.0.0.1:1")], &[]));
    assert!(!shown.contains("127.0.0.1:1\""), "{shown}");
}

#[test]
fn an_acknowledgement_that_waits_for_less_than_a_dead_instance_takes_is_cautioned_against() {
    let url = ["--set", "postgres.url=postgres://x/y"];
    let with = |more: &[&str]| {
        let more = more.iter().flat_map(|set| ["--set", *set]);
        shown(&config("", &[], &url.into_iter().chain(more).collect::<Vec<_>>()))
    };
    for fine in
        [&[][..], &["postgres.lease_ms=1800"], &["postgres.lease_ms=20000", "postgres.acknowledge_timeout_ms=20140"]]
    {
        assert!(!with(fine).contains("CAUTION"), "{fine:?}");
    }
    for (set, silence) in [("postgres.lease_ms=20000", 20_140), ("postgres.max_outage_stale_ms=60000", 61_222)] {
        let text = with(&[set]);
        let line = text.lines().next().unwrap();
        assert!(
            line.starts_with("# CAUTION: postgres.acknowledge_timeout_ms is 2000")
                && line.contains(&format!("{silence} ms")),
            "{line}"
        );
        // It can be used as a file all the same.
        assert!(!shown(&config(&text, &[], &[])).is_empty());
    }
    assert!(
        !shown(&config("", &[], &["--set", "postgres.lease_ms=20000"])).contains("CAUTION"),
        "nobody else is there"
    );
}
