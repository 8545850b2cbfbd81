//! The settings of rate limits.

use crate::support::child::tiergate;

/// What `tiergate config` says about a file.
fn config(file: &str) -> (bool, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("tiergate.toml"), file).unwrap();
    let output = tiergate(&directory, &["config"]).output().unwrap();
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn limits_are_shown_as_they_can_be_used() {
    let file = "[limits.rate]\nenabled = true\nsubject.per_second = 5\n\
                [limits.rate.classes.render]\nactions = ['generate']\nburst = 20\nper_second = 2\n";
    let (is_valid, shown) = config(file);
    assert!(is_valid, "{shown}");
    let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with("limits.rate")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn limits_that_are_wrong_are_named_all_at_once_with_what_is_allowed() {
    let file = "[limits.rate]\ninstances = 0\nlist_weight = 50\nsubject.burst = 20\ncaller.per_second = 2000000\n\
                [limits.rate.classes.a]\nactions = ['view', 'a b', '*']\nburst = 100\nper_second = 0\n\
                [limits.rate.classes.B]\nactions = ['view', '*']\nburst = 100\nper_second = 1\n\
                [limits.rate.classes.c]\nactions = []\nburst = 100\nper_second = 1\n";
    let (is_valid, said) = config(file);
    assert!(!is_valid);
    insta::assert_snapshot!(said);
}

#[test]
fn a_class_without_its_parts_or_with_others_is_refused() {
    let (_, said) = config("[limits.rate.classes.a]\nactions = ['view']\nburst = 10\n");
    insta::assert_snapshot!(said);
    let (_, said) = config("[limits.rate.classes.a]\nactions = ['view']\nburst = 10\nper_secnd = 1\n");
    insta::assert_snapshot!(said);
    let (_, said) = config("[limits.rate]\nsubject.busrt = 10\n");
    insta::assert_snapshot!(said);
}
