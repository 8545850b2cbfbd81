//! What holds for every path.

use proptest::prelude::*;

use super::*;

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

/// What paths and tricks are made of.
const LETTERS: &[u8] = b"aab/./%2%2eEfF5cC30\\;?#~\0\xff";

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
        let other_spelling = match path.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None => format!("{path}/"),
        };
        let is_hidden = by_definition(&OVERLAPPING, &other_spelling).is_some_and(|other| expected.is_some_and(|at| OVERLAPPING[at] != other));
        let has_one_meaning = Target::parse(path.as_bytes()).is_ok();
        match expected.filter(|_| has_one_meaning) {
            Some(_) if is_hidden && said.starts_with("refused: a more specific") => {}
            Some(at) => prop_assert_eq!(said, format!("t:{}", at), "{}", path),
            None => prop_assert!(said.starts_with("refused"), "{path}: {said}"),
        }
    }

    #[test]
    fn what_is_accepted_is_the_decoded_path_and_nothing_else(raw in prop::collection::vec(prop::sample::select(LETTERS), 0..24)) {
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
