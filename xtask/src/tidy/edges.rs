//! Which crate may import which.
//!
//! The tiers know the contract and not each other; the authorization crate knows the contract and no tier; only the
//! server knows them all. What a tier rests on stays inside that tier, so that each can be exchanged.

use super::Finding;
use crate::workspace::Package;

/// The edges between our own crates: who, what it may import, and what its tests may import beside that.
const OURS: &[(&str, &[&str], &[&str])] = &[
    ("tiergate-cache-core", &[], &["tiergate-cache-core"]),
    ("tiergate-cache-l1", &["tiergate-cache-core"], &[]),
    ("tiergate-cache-redis", &["tiergate-cache-core"], &["tiergate-cache-l1"]),
    // Connections to PostgreSQL and the log in it: for the tier and for the origin, which don't know each other.
    ("tiergate-pg-log", &["tiergate-cache-core"], &["tiergate-cache-l1"]),
    ("tiergate-cache-pg", &["tiergate-cache-core", "tiergate-pg-log"], &["tiergate-cache-l1"]),
    // Its random worlds are decided through every tier.
    (
        "tiergate-authz",
        &["tiergate-cache-core", "tiergate-pg-log"],
        &["tiergate-cache-l1", "tiergate-cache-redis", "tiergate-cache-pg"],
    ),
    (
        "tiergate-server",
        &["tiergate-authz", "tiergate-cache-core", "tiergate-cache-l1", "tiergate-cache-redis", "tiergate-cache-pg"],
        &["tiergate-server"],
    ),
    ("tiergate-fault-proxy", &[], &[]),
    (TEST_SERVICES, &[], &[]),
    // It sees the servers from outside, as their users do, and knows none of their code.
    ("tiergate-consistency", FOR_TESTS, &[]),
    ("xtask", &[TEST_SERVICES], &[]),
];

/// What tests share: every crate's tests may import them, and nothing that is shipped may.
const FOR_TESTS: &[&str] = &[TEST_SERVICES, "tiergate-fault-proxy"];
const TEST_SERVICES: &str = "tiergate-test-services";

/// Crates of others that have their homes here.
const AT_HOME: &[(&str, &[&str])] = &[
    ("quick_cache", &["tiergate-cache-l1"]),
    ("redis", &["tiergate-cache-redis"]),
    ("tokio-postgres", &["tiergate-pg-log", "tiergate-cache-pg", "tiergate-authz", TEST_SERVICES]),
    ("axum", &["tiergate-server"]),
    ("figment", &["tiergate-server"]),
    // Whatever can speak HTTP to somebody else.
    ("hyper", &["tiergate-server"]),
    ("hyper-util", &["tiergate-server"]),
    ("reqwest", &["tiergate-server"]),
    ("ureq", &["tiergate-server"]),
    ("isahc", &["tiergate-server"]),
    ("attohttpc", &["tiergate-server"]),
    ("awc", &["tiergate-server"]),
    ("curl", &["tiergate-server"]),
];

const TABLE: &str = "xtask/src/tidy/edges.rs";

pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let Package { name, manifest, .. } = package;
        let rule = OURS.iter().find(|(who, ..)| who == name);
        if rule.is_none() {
            let remedy = format!("say in the table of {TABLE} what it may import, and in an ADR why it exists");
            findings.push(Finding::error(manifest, 0, format!("`{name}` has no rule for its edges"), remedy));
        }
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let at_home = AT_HOME.iter().find(|(krate, homes)| *krate == to && !homes.contains(&name.as_str()));
            if let Some((_, homes)) = at_home {
                let remedy = format!("only `{}` may; go through that crate's interface", homes.join("`, `"));
                findings.push(Finding::error(manifest, 0, format!("`{name}` imports `{to}`"), remedy));
            }
            let Some((_, always, in_tests)) = rule else { continue };
            if packages.iter().any(|package| package.name == to)
                && !always.contains(&to)
                && !(dependency.dev && (in_tests.contains(&to) || FOR_TESTS.contains(&to)))
            {
                let may = if always.is_empty() { "none of our crates".to_owned() } else { always.join(", ") };
                let remedy = format!("it may import {may}; move the code, or change the table of {TABLE} with an ADR");
                findings.push(Finding::error(manifest, 0, format!("`{name}` imports `{to}`"), remedy));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, normal: &[&str], dev: &[&str]) -> Package {
        let edge = |dev| move |name: &&str| Dependency { name: (*name).to_owned(), dev };
        Package {
            name: name.to_owned(),
            manifest: format!("{name}/Cargo.toml"),
            dependencies: normal.iter().map(edge(false)).chain(dev.iter().map(edge(true))).collect(),
            ..Package::default()
        }
    }

    #[test]
    fn the_intended_edges_are_allowed() {
        let packages = [
            package("tiergate-cache-core", &["tokio"], &["tiergate-cache-core"]),
            package("tiergate-cache-l1", &["tiergate-cache-core", "quick_cache"], &["tiergate-cache-core"]),
            package("tiergate-authz", &["tiergate-cache-core"], &["tiergate-cache-l1"]),
            package("tiergate-server", &["tiergate-authz", "tiergate-cache-l1", "axum", "hyper"], &["reqwest"]),
            package("tiergate-pg-log", &["tiergate-cache-core", "tokio-postgres"], &["tiergate-fault-proxy"]),
            package("tiergate-fault-proxy", &["tokio"], &["tiergate-test-services"]),
            package("tiergate-test-services", &["tokio-postgres"], &[]),
            package("xtask", &["clap", "tiergate-test-services"], &[]),
        ];
        assert_eq!(said(&check(&packages)), Vec::<String>::new());
    }

    #[test]
    fn an_edge_against_the_layers_is_found() {
        let packages = [
            package("tiergate-cache-core", &["tiergate-cache-l1"], &[]),
            package("tiergate-cache-l1", &[], &[]),
            package("tiergate-authz", &["tiergate-cache-l1"], &[]),
            package("xtask", &[], &["tiergate-authz"]),
        ];
        let said = said(&check(&packages));
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("`tiergate-cache-core` imports `tiergate-cache-l1`"), "{said:?}");
        assert!(said[1].contains("`tiergate-authz` imports `tiergate-cache-l1`; it may import tiergate-cache-core"));
        assert!(said[2].contains("`xtask` imports `tiergate-authz`"));
    }

    #[test]
    fn a_crate_away_from_its_home_is_found_also_in_tests() {
        let packages = [package("tiergate-authz", &["quick_cache"], &["reqwest"])];
        let said = said(&check(&packages));
        assert!(said[0].contains("only `tiergate-cache-l1` may"), "{said:?}");
        assert!(said[1].contains("only `tiergate-server` may"), "{said:?}");
    }

    #[test]
    fn helpers_of_tests_are_for_tests_alone() {
        let packages = [
            package("tiergate-authz", &["tiergate-test-services"], &["tiergate-test-services"]),
            package("tiergate-test-services", &[], &[]),
        ];
        let said = said(&check(&packages));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("`tiergate-authz` imports `tiergate-test-services`"), "{said:?}");
    }

    #[test]
    fn a_new_crate_needs_a_rule() {
        assert!(said(&check(&[package("tiergate-new", &[], &[])]))[0].contains("has no rule"));
    }
}
