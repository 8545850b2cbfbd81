//! The route map against an adversary: what has one meaning is matched, and all else refused.

use axum::http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::target::{Ambiguous, MAX_PATH_BYTES};
use super::*;
use crate::config::Route;

fn route(methods: &[&str], path: &str, resource: &str) -> Route {
    Route {
        methods: methods.iter().map(ToString::to_string).collect(),
        path: path.to_owned(),
        action: Some("can_view".to_owned()),
        resource: Some(resource.to_owned()),
        ..Route::default()
    }
}

fn public(path: &str) -> Route {
    Route { action: None, resource: None, public: true, ..route(&["GET"], path, "") }
}

fn settings(routes: Vec<Route>) -> config::Gateway {
    config::Gateway { routes, ..config::Gateway::default() }
}

fn gateway(routes: Vec<Route>) -> Gateway {
    Gateway::new(&settings(routes)).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn faults(routes: Vec<Route>) -> String {
    Gateway::new(&settings(routes))
        .err()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

fn ann() -> HeaderMap {
    HeaderMap::from_iter([(axum::http::HeaderName::from_static("x-forwarded-user"), HeaderValue::from_static("ann"))])
}

/// The resource that ann's request asks for, `public`, or why it is refused.
fn asked(gateway: &Gateway, method: &str, target: &str) -> String {
    let original = Original { method: method.as_bytes(), target: target.as_bytes() };
    match gateway.meaning(original, &ann()) {
        Ok(Meaning::Public) => "public".to_owned(),
        Ok(Meaning::Question { resource, .. }) => resource.to_string(),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

fn is_refused(gateway: &Gateway, target: &str) -> bool {
    asked(gateway, "GET", target).starts_with("refused")
}

#[test]
fn the_most_specific_path_wins_whatever_the_order() {
    let mut routes = vec![
        route(&["GET"], "/{*rest}", "page:{rest}"),
        route(&["GET"], "/documents/{id}", "document:{id}"),
        route(&["GET"], "/documents/new", "app:editor"),
        route(&["GET"], "/", "app:home"),
        route(&["GET"], "/projects/{project}/documents/{id}", "document:{project}/{id}"),
    ];
    for _ in 0..routes.len() {
        routes.rotate_left(1);
        let gateway = gateway(routes.clone());
        let asked = |target| asked(&gateway, "GET", target);
        assert_eq!(asked("/"), "app:home");
        assert_eq!(asked("/documents/new"), "app:editor");
        assert_eq!(asked("/documents/new2"), "document:new2");
        assert_eq!(asked("/documents/1/pages"), "page:documents/1/pages");
        assert_eq!(asked("/projects/a/documents/b"), "document:a/b");
        assert_eq!(asked("/projects/a?x=/documents/1"), "page:projects/a");
    }
}

#[test]
fn the_path_decides_before_the_method_so_that_a_broad_route_takes_nothing_from_a_narrow_one() {
    let gateway = gateway(vec![public("/{*rest}"), route(&["POST"], "/admin/{page}", "app:{page}")]);
    assert_eq!(asked(&gateway, "GET", "/other/x"), "public");
    assert_eq!(asked(&gateway, "POST", "/admin/x"), "app:x");
    assert!(is_refused(&gateway, "/admin/x"));
    for method in ["post", "PROPFIND", "", "GET,POST", "GET ", "*"] {
        assert!(asked(&gateway, method, "/admin/x").starts_with("refused"), "{method:?}");
    }
}

#[test]
fn a_path_has_the_same_meaning_in_all_its_spellings_that_have_only_one() {
    let gateway = gateway(vec![route(&["GET"], "/documents/{id}", "document:{id}")]);
    for target in
        ["/documents/plan", "/documents/pl%61n", "/%64ocuments/plan", "/documents/plan?a=b", "/documents/plan?"]
    {
        assert_eq!(asked(&gateway, "GET", target), "document:plan", "{target}");
    }
    assert_eq!(asked(&gateway, "GET", "/documents/%C3%A4"), "document:ä");
    assert_eq!(asked(&gateway, "GET", "/documents/a%2Bb%3Ac@d"), "document:a+b:c@d");
}

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
fn who_asks_is_named_once_by_the_gateway_or_is_nobody() {
    let named = |values: &[&str], anonymous: Option<&str>| {
        let mut settings = settings(vec![route(&["GET"], "/x", "app:x")]);
        settings.anonymous = anonymous.map(str::to_owned);
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-user", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match Gateway::new(&settings)
            .unwrap_or_else(|faults| panic!("{faults:?}"))
            .meaning(Original { method: b"GET", target: b"/x" }, &headers)
        {
            Ok(Meaning::Question { subject, .. }) => subject.to_string(),
            Ok(Meaning::Public) => "public".to_owned(),
            Err(Refusal::Unauthenticated) => "nobody".to_owned(),
            Err(_) => "refused".to_owned(),
        }
    };
    assert_eq!(named(&["ann"], None), "user:ann");
    assert_eq!(named(&["ä"], None), "user:ä");
    assert_eq!(named(&[], None), "nobody");
    assert_eq!(named(&[], Some("guest")), "user:guest");
    for values in [
        &["ann", "bob"][..],
        &["ann", "ann"],
        &["", "ann"],
        &[""],
        &["ann,bob"],
        &["ann, bob"],
        &["a b"],
        &["*"],
        &["team:9#member"],
    ] {
        assert_eq!(named(values, Some("guest")), "refused", "{values:?}");
    }
    assert!(HeaderValue::from_bytes(b"a\0b").is_err(), "no header holds a zero byte");
}

#[test]
fn a_map_that_is_wrong_is_refused_with_the_route_and_what_to_do() {
    let bad = |change: fn(&mut Route)| {
        let mut route = route(&["GET"], "/documents/{id}", "document:{id}");
        change(&mut route);
        faults(vec![route])
    };
    let all = [
        bad(|route| route.methods = Vec::new()),
        bad(|route| route.methods = vec!["get".to_owned(), "GET".to_owned(), "GET".to_owned(), "TRACE".to_owned()]),
        bad(|route| route.path = "documents/{id}".to_owned()),
        bad(|route| route.path = "/documents//{id}".to_owned()),
        bad(|route| route.path = "/documents/../{id}".to_owned()),
        bad(|route| route.path = "/documents/%41/{id}".to_owned()),
        bad(|route| route.path = "/documents/v{id}".to_owned()),
        bad(|route| route.path = "/documents/{ID}".to_owned()),
        bad(|route| route.path = "/{id}/{id}".to_owned()),
        bad(|route| route.path = "/{*id}/pages".to_owned()),
        bad(|route| route.path = "/documents".to_owned()),
        bad(|route| route.path = "/{tenant}/{doc}".to_owned()),
        bad(|route| route.path = format!("/{}", "x".repeat(2_000))),
        bad(|route| route.resource = None),
        bad(|route| route.action = None),
        bad(|route| route.action = Some("can view".to_owned())),
        bad(|route| route.resource = Some("document".to_owned())),
        bad(|route| route.resource = Some("{id}:x".to_owned())),
        bad(|route| route.resource = Some("doc*:{id}".to_owned())),
        bad(|route| route.resource = Some("document:".to_owned())),
        bad(|route| route.resource = Some("document:{id}#viewer".to_owned())),
        bad(|route| route.resource = Some("document:{id".to_owned())),
        bad(|route| route.resource = Some("document:*".to_owned())),
        bad(|route| (route.path, route.resource) = ("/{a}/{b}".to_owned(), Some("document:{a}-{b}".to_owned()))),
        bad(|route| (route.path, route.resource) = ("/{a}/{*b}".to_owned(), Some("document:{b}/{a}".to_owned()))),
        bad(|route| route.store = Some("main".to_owned())),
        bad(|route| route.public = true),
        faults(vec![route(&["GET"], "/a/{x}", "a:{x}"), route(&["PUT", "GET"], "/a/{x}", "a:{x}")]),
        faults(vec![route(&["GET"], "/a/{x}", "a:{x}"), route(&["PUT"], "/a/{y}", "a:{y}")]),
        faults(vec![route(&["GET"], "/{x}", "a:{x}"), route(&["GET"], "/{*rest}", "a:{rest}")]),
        faults(vec![route(&["GET"], "/a/{x}", "a:{x}"), route(&["GET"], "/A/{x}/", "a:{x}")]),
        faults(vec![route(&["GET"], "/a/{x}", "a:{x}"), route(&["GET"], "/A/{*x}", "a:{x}")]),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn several_methods_of_a_path_may_ask_for_different_things() {
    let gateway =
        gateway(vec![route(&["GET"], "/a/{x}", "read:{x}"), route(&["PUT", "DELETE"], "/a/{x}", "write:{x}")]);
    assert_eq!(asked(&gateway, "GET", "/a/1"), "read:1");
    assert_eq!(asked(&gateway, "DELETE", "/a/1"), "write:1");
    assert!(asked(&gateway, "HEAD", "/a/1").starts_with("refused"), "GET does not stand for HEAD");
}

#[test]
fn an_empty_map_lets_nothing_through() {
    assert!(is_refused(&gateway(Vec::new()), "/"));
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

/// The map by its definition, slowly: all templates that match, and of those the one whose first difference is the more specific.
fn by_definition<'r>(routes: &'r [&'r str], path: &str) -> Option<&'r str> {
    let rank = |segment: &str| if segment.starts_with("{*") { 2 } else { u8::from(segment.starts_with('{')) };
    let matches = |template: &str| {
        let (mut wanted, mut given) = (template.split('/').skip(1), path.split('/').skip(1));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(want), Some(give)) if want.starts_with("{*") => {
                    return !give.is_empty() || given.next().is_some();
                }
                (Some(want), Some(give)) if want == give || (want.starts_with('{') && !give.is_empty()) => {}
                _ => return false,
            }
        }
    };
    let found = routes.iter().filter(|template| matches(template));
    found.min_by_key(|template| template.split('/').map(rank).collect::<Vec<_>>()).copied()
}

/// The map with every kind of overlap; each template is a resource of its own.
const OVERLAPPING: [&str; 12] = [
    "/",
    "/a",
    "/a/{x}",
    "/a/b",
    "/a/b/",
    "/a/{x}/b",
    "/a/b/c",
    "/b/{x}/{y}",
    "/b/a/{y}",
    "/b/a/{y}/{*rest}",
    "/c/{*rest}",
    "/c/a/{x}/c",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_router_and_the_definition_agree(segments in prop::collection::vec("[abc]|", 1..6)) {
        let routes = OVERLAPPING.iter().enumerate().map(|(at, path)| route(&["GET"], path, &format!("t:{at}"))).collect();
        let path = format!("/{}", segments.join("/"));
        let said = asked(&gateway(routes), "GET", &path);
        let expected = by_definition(&OVERLAPPING, &path).and_then(|path| OVERLAPPING.iter().position(|known| *known == path));
        let has_one_meaning = Target::parse(path.as_bytes()).is_ok();
        match expected.filter(|_| has_one_meaning) {
            // It may be refused because a narrower route differs in a slash only, but is never taken for another one.
            Some(at) => prop_assert!(said == format!("t:{at}") || said.starts_with("refused: a more specific"), "{path}: {said}, expected {at}"),
            None => prop_assert!(said.starts_with("refused"), "{path}: {said}"),
        }
    }

    #[test]
    fn what_is_accepted_is_the_decoded_path_and_nothing_else(raw in prop::collection::vec(prop::sample::select(&b"aab/./%2%2eEfF5cC30\\;?#~\0\xff"[..]), 0..24)) {
        let _ = Target::parse(&raw);
        let raw = [b"/", &raw[..]].concat();
        if let Ok(target) = Target::parse(&raw) {
            let path = target.as_str();
            prop_assert!(path.starts_with('/') && !path.contains("//") && !path.contains(['\\', ';', '%', '?', '#', '\0']));
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
            let sent = raw.split(|byte| *byte == b'?').next().unwrap();
            let slashes = sent.iter().filter(|byte| **byte == b'/').count();
            prop_assert_eq!(slashes, path.matches('/').count(), "no slash comes or goes");
        }
    }

    #[test]
    fn an_encoded_path_means_what_the_plain_one_means(id in "[a-z0-9~_-]{1,12}", which in prop::collection::vec(any::<bool>(), 12)) {
        let gateway = gateway(vec![route(&["GET"], "/documents/{id}", "document:{id}")]);
        let spelled: String = id.bytes().zip(which).map(|(byte, encode)| {
            if encode { format!("%{byte:02X}") } else { char::from(byte).to_string() }
        }).collect();
        prop_assert_eq!(asked(&gateway, "GET", &format!("/documents/{spelled}")), format!("document:{id}"));
    }

    #[test]
    fn two_paths_never_make_one_resource(a in "[a/-]{1,4}", b in "[a/-]{1,4}", c in "[a/-]{1,4}", d in "[a/-]{1,4}") {
        let gateway = gateway(vec![route(&["GET"], "/{x}/{*y}", "document:{x}/{y}")]);
        let (one, other) = (format!("/{a}/{b}"), format!("/{c}/{d}"));
        let (first, second) = (asked(&gateway, "GET", &one), asked(&gateway, "GET", &other));
        prop_assert!(first.starts_with("refused") || first != second || one == other, "{one} {other}: {first}");
    }
}
