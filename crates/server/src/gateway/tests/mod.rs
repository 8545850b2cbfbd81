//! The route map against an adversary: what has one meaning is matched, and all else refused.

mod faults;
mod properties;
mod refused;

use axum::http::{HeaderMap, HeaderValue};

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
