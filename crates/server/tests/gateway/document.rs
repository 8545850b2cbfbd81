//! The configurations of docs/GATEWAYS.md, so that what it shows is what is tested.

use std::path::Path;

/// The first block of a language.
pub(crate) fn block(language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/GATEWAYS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("```{language}\n")).expect("the document shows one");
    rest.split_once("```").unwrap().0.to_owned()
}

/// The text with each place replaced that is another one in a test. Every one has to be there.
#[track_caller]
pub(crate) fn replaced(text: &str, places: &[(&str, &str)]) -> String {
    places.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the document says {from} no longer");
        text.replace(from, to)
    })
}
