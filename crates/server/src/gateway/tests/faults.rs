//! What keeps the server from starting.

use super::*;

fn faults(routes: Vec<Route>) -> String {
    Gateway::new(&settings(routes))
        .err()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
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
fn the_map_has_a_bound_and_is_read_quickly_up_to_there() {
    let routes = |count: usize| (0..count).map(|at| route(&["GET"], &format!("/{at}/{{x}}"), "a:{x}")).collect();
    assert_eq!(asked(&gateway(routes(10_000)), "GET", "/9999/x"), "a:x");
    assert_eq!(faults(routes(10_001)), "gateway.routes: there are 10001 routes; at most 10000 are allowed");
}
