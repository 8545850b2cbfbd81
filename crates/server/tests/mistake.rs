//! A server that was built to be wrong on request.

use crate::support::child::{Server, tiergate};

const VARIABLE: &str = "TIERGATE_TEST_MISTAKE";

#[test]
fn the_mistake_that_the_environment_names_is_planted_and_said_aloud() {
    let mut server = Server::start_with(&[], &[(VARIABLE, "lease-ignored")]);
    server.terminate();
    let (code, log) = server.ended();
    assert_eq!(code, Some(0));
    assert!(log.contains("a mistake is planted") && log.contains("lease-ignored"), "{log}");
}

#[test]
fn a_mistake_that_there_is_not_is_refused_with_those_that_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let output = tiergate(&directory, &["serve", "--port", "0"]).env(VARIABLE, "none-such").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("TIERGATE_TEST_MISTAKE: there is no mistake `none-such`"), "{said}");
    assert!(said.contains("no-horizon-check") && said.contains("as-of-by-greatest"), "{said}");
}

#[test]
fn without_a_name_nothing_is_planted() {
    let mut server = Server::start(&[]);
    server.terminate();
    assert!(!server.ended().1.contains("mistake"));
}
