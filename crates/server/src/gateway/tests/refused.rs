//! What could be read in two ways, and what only looks as if it were not routed.

use super::*;
use crate::gateway::target::{Ambiguous, MAX_PATH_BYTES};

/// Each would be taken for another path by some application, or by some gateway.
const ADVERSARY: &[&str] = &[
    "",
    "*",
    "documents/plan",
    "http://app.example.com/documents/plan",
    "//documents/plan",
    "/documents//plan",
    "/documents/./plan",
    "/documents/../documents/plan",
    "/documents/x/../plan",
    "/..",
    "/.",
    "/documents/..",
    "/documents/%2e%2e/plan",
    "/documents/%2E%2e",
    "/documents/.%2e/plan",
    "/documents/%2e",
    "/documents/..%2fplan",
    "/documents%2fplan",
    "/documents%2Fplan",
    "/documents/a%2fb",
    "/documents%5cplan",
    "/documents\\plan",
    "/documents/plan;",
    "/documents/plan;v=1",
    "/documents;x/plan",
    "/documents/..;/plan",
    "/documents/plan%3bx",
    "/documents/plan%00",
    "/documents/plan%00.png",
    "/documents/pl%0aan",
    "/documents/plan%0d%0ax:y",
    "/documents/plan%7f",
    "/documents/plan%23",
    "/documents/plan#x",
    "/documents/plan%3fx",
    "/documents/pl%2561n",
    "/documents/%252e%252e/plan",
    "/documents/%",
    "/documents/%6",
    "/documents/%zz",
    "/documents/%u002e",
    "/documents/%c0%ae%c0%ae",
    "/documents/%ff",
    "/documents/%ed%a0%80",
    "/documents/pl n",
    "/documents/plan%20",
    "/documents/%20plan",
    "/documents/plan.",
    "/documents/plan...",
    "/documents/plän",
    "/documents/plan\t",
    "/documents/plan\0",
    "/documents/<plan>",
    "/documents/{id}",
    "/documents/pl|an",
    "/documents/*",
    "/documents/a%20b",
    "/documents/%E2%80%8Bplan",
    "/documents/pl%C2%A0an",
    "/documents/plan/",
    "/Documents/plan",
    "/DOCUMENTS/plan",
    "/documents",
    "/documents/",
    "/documents/plan/x",
];

#[test]
fn what_could_have_two_meanings_is_refused_where_only_one_kind_of_path_is_routed() {
    let gateway = gateway(vec![route(&["GET"], "/documents/{id}", "document:{id}")]);
    for target in ADVERSARY {
        assert!(is_refused(&gateway, target), "{target}: {}", asked(&gateway, "GET", target));
    }
    assert!(is_refused(&gateway, &format!("/documents/{}", "x".repeat(257))), "no id is that long");
    assert!(is_refused(&gateway, &format!("/documents/{}", "x".repeat(MAX_PATH_BYTES))));
}

#[test]
fn a_public_route_for_all_the_rest_is_no_way_around_a_narrow_one() {
    let gateway = gateway(vec![public("/{*rest}"), public("/"), route(&["GET"], "/admin/{page}", "app:{page}")]);
    for target in ADVERSARY
        .iter()
        .map(|target| target.replace("documents", "admin").replace("Documents", "Admin").replace("DOCUMENTS", "ADMIN"))
    {
        let around = asked(&gateway, "GET", &target);
        // Nothing is below these two in the map, so that they are other pages for every application.
        let is_another_page = ["/admin", "/admin/", "/admin/plan/x"].contains(&target.as_str());
        assert!(around != "public" || is_another_page, "{target}");
    }
    assert_eq!(asked(&gateway, "GET", "/Admins/x"), "public");
}

#[test]
fn a_difference_in_case_or_of_a_slash_is_no_way_around_a_fixed_route_either() {
    let gateway = gateway(vec![
        public("/{*rest}"),
        route(&["GET"], "/Console", "app:console"),
        route(&["GET"], "/docs/", "app:docs"),
        route(&["GET"], "/users/{id}", "profile:{id}"),
        route(&["GET"], "/users/admin", "app:admin"),
        route(&["GET"], "/both", "app:both"),
        route(&["GET"], "/both/", "app:both/"),
    ]);
    for target in [
        "/console",
        "/CONSOLE",
        "/Console/",
        "/console/",
        "/docs",
        "/Docs/",
        "/users/Admin",
        "/users/admin/",
        "/users/x/",
    ] {
        assert!(is_refused(&gateway, target), "{target}: {}", asked(&gateway, "GET", target));
    }
    for (target, resource) in [
        ("/Console", "app:console"),
        ("/docs/", "app:docs"),
        ("/users/Ann", "profile:Ann"),
        ("/both", "app:both"),
        ("/both/", "app:both/"),
    ] {
        assert_eq!(asked(&gateway, "GET", target), resource);
    }
}

#[test]
fn a_difference_in_case_is_no_way_from_one_placeholder_to_another() {
    let gateway = gateway(vec![route(&["GET"], "/left/{x}", "left:{x}"), route(&["GET"], "/{y}/right", "right:{y}")]);
    assert_eq!(asked(&gateway, "GET", "/left/right"), "left:right");
    assert_eq!(asked(&gateway, "GET", "/other/right"), "right:other");
    assert!(is_refused(&gateway, "/Left/right"));
}

#[test]
fn every_reason_is_told_apart() {
    let refused = |target: &str| Target::parse(target.as_bytes()).err();
    assert_eq!(refused("/a//b"), Some(Ambiguous::EmptySegment));
    assert_eq!(refused("/a/%2e%2e/b"), Some(Ambiguous::Dots));
    assert_eq!(refused("/a%2fb"), Some(Ambiguous::Character('/')));
    assert_eq!(refused("/a%00"), Some(Ambiguous::Character('\0')));
    assert_eq!(refused("/a\\b"), Some(Ambiguous::Character('\\')));
    assert_eq!(refused("/a%ff"), Some(Ambiguous::NotText));
    assert_eq!(refused("/a b"), Some(Ambiguous::Raw));
    assert_eq!(refused("http://a/b"), Some(Ambiguous::NoPath));
    assert_eq!(refused("/a/b/"), None);
}
