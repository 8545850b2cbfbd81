//! What a modular model may be, and what is said of one that is none.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::model::Place;

const CORE: &str = "module core\ntype user\n  relations\n    define friend: [user]\n";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn extending(module: &str, relation: &str) -> String {
    format!("module {module}\nextend type user\n  relations\n    define {relation}: [user]\n")
}

fn refused<'t>(files: &[(&'t str, &'t str)]) -> String {
    let read = Model::from_modules(files.iter().copied()).and_then(|model| model.validate());
    read.expect_err("the files must be refused").to_string()
}

#[test]
fn files_become_one_model_whatever_their_order() {
    let wiki = extending("wiki", "reader") + "condition c(x: int) { x < 1 }\n";
    let pages = "module wiki\ntype page\n  relations\n    define reader: [user with c] or reader from owner\n    define owner: [user]";
    let model = Model::from_modules([("wiki.fga", &*wiki), ("pages.fga", pages), ("core.fga", CORE)]).unwrap();
    model.validate().unwrap();
    assert_eq!(model.schema_version, SchemaVersion::V1_2);
    let from = |module: &str, file: &str| Some(Module { name: Text::from(module), file: Some(Text::from(file)) });
    let user = model.type_definition("user").unwrap();
    assert_eq!(user.module, from("core", "core.fga"));
    assert_eq!(user.relation("friend").unwrap().module, None, "it belongs to its type");
    assert_eq!(user.relation("reader").unwrap().module, from("wiki", "wiki.fga"));
    assert_eq!(user.relation("reader").unwrap().place, Some(Place { line: 4, column: 12 }));
    assert_eq!(model.condition("c").unwrap().module, from("wiki", "wiki.fga"));
    let again = Model::from_value(&model.to_json()).unwrap();
    assert_eq!(again.to_json(), model.to_json());
    assert_eq!(again.relation("user", "reader").unwrap().module, from("wiki", "wiki.fga"));
}

#[test]
fn a_module_may_extend_its_own_type_in_another_file_and_one_without_relations() {
    let empty = "module a\ntype user";
    let extended = extending("a", "foe");
    let model = Model::from_modules([("a.fga", empty), ("b.fga", &extended), ("c.fga", "module c\nextend type user")]);
    assert_eq!(model.unwrap().type_definition("user").unwrap().relations.len(), 1);
}

#[test]
fn the_dsl_names_modules_in_comments() {
    let wiki = extending("wiki", "reader") + "condition c(x: int) { x < 1 }\n";
    let text = Model::from_modules([("core.fga", CORE), ("wiki.fga", &wiki)]).unwrap().to_dsl();
    insta::assert_snapshot!(text, @r#"
    model
      schema 1.2

    type user # module: core, file: core.fga
      relations
        define friend: [user]
        define reader: [user] # extended by: module: wiki, file: wiki.fga

    condition c(x: int) {
      x < 1
    } # module: wiki, file: wiki.fga
    "#);
    assert_eq!(Model::from_dsl(&text).unwrap().types.len(), 1);
}

#[test]
fn faults_are_told_with_file_place_and_remedy() {
    let twice = extending("b", "foe") + "extend type user\n  relations\n    define other: [user]\n";
    let same = CORE.to_owned() + "extend type user\n  relations\n    define foe: [user]\n";
    let condition = "module b\ncondition c(x: int) { x < 1 }\n";
    let cases: &[&[(&str, &str)]] = &[
        &[("a.fga", CORE), ("b.fga", "module b\nextend type usr\n")],
        &[("a.fga", CORE), ("b.fga", &extending("b", "friend"))],
        &[("a.fga", CORE), ("b.fga", &extending("b", "foe")), ("c.fga", &extending("c", "foe"))],
        &[("a.fga", CORE), ("b.fga", &twice)],
        &[("a.fga", &same)],
        &[("a.fga", CORE), ("b.fga", CORE)],
        &[("a.fga", CORE), ("b.fga", condition), ("c.fga", condition)],
        &[("a.fga", CORE), ("b.fga", "model\n  schema 1.1\ntype doc\n")],
        &[("a.fga", CORE), ("b.fga", "type doc\n")],
        &[("a.fga", CORE), ("b.fga", "")],
        &[("a.fga", CORE), ("b.fga", "module\ntype doc\n")],
        &[("a.fga", CORE), ("b.fga", "module b c\ntype doc\n")],
        &[
            ("z.fga", "module z\ntype doc\n  relations\n    define r: [usr]\n    define s: [user\n"),
            ("a.fga", "module a\ntype\n"),
        ],
        &[
            ("z.fga", "module z\ntype doc\n  relations\n    define r: [usr]\n"),
            ("a.fga", CORE),
            ("b.fga", &extending("b", "self")),
        ],
        &[("a.fga", CORE), ("b.fga", "module b\ntype doc\n  relations\n    define r: [user with c]\n")],
        &[("a.fga", CORE), ("a.fga", CORE)],
        &[],
    ];
    let said: Vec<String> = cases.iter().map(|files| refused(files)).collect();
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
fn bounds_are_kept_and_named() {
    let names: Vec<String> = (0..=MAX_MODULE_FILES).map(|n| format!("{n}.fga")).collect();
    let files = |count: usize| names[..count].iter().map(|name| (name, "module m\n"));
    assert!(Model::from_modules(files(MAX_MODULE_FILES)).is_ok());
    let errors = Model::from_modules(files(MAX_MODULE_FILES + 1)).unwrap_err();
    assert_eq!(errors.iter().next().unwrap().kind, ModelErrorKind::TooLarge);

    let half = "module m\n".to_owned() + &"\n".repeat(MAX_DSL_BYTES / 2);
    assert!(Model::from_modules([("a.fga", &half)]).is_ok());
    assert!(Model::from_modules([("a.fga", &half), ("b.fga", &half)]).unwrap_err().to_string().starts_with("b.fga: "));

    let long = "x".repeat(1000) + ".fga";
    let types = (0..900).fold("module m\n".to_owned(), |text, n| text + &format!("type t{n}\n"));
    assert!(Model::from_modules([(&*long, &types)]).unwrap_err().to_string().contains("names of modules and files"));
    assert!(Model::from_modules([("short.fga", &types)]).is_ok());
}

#[test]
fn a_manifest_lists_files_of_its_folder() {
    let folder = folder(&[
        ("fga.mod", "schema: '1.2'\ncontents:\n  - ./core.fga\n  - 'wiki\\pages.fga'\nelse: 1\n"),
        ("core.fga", CORE),
        ("wiki/pages.fga", "module wiki\ntype page\n"),
    ]);
    let model = Model::load(&folder.path().join("fga.mod")).unwrap();
    assert_eq!(model.types.len(), 2);
    let page = model.type_definition("page").unwrap();
    assert_eq!(page.module.as_ref().unwrap().file.as_deref(), Some("wiki/pages.fga"));
}

#[test]
fn faults_of_a_manifest_are_told_with_file_place_and_remedy() {
    let manifests = [
        "",
        "schema: '1.2'",
        "contents: [a.fga]",
        "schema: 1.2\ncontents: [a.fga]",
        "schema: '1.1'\ncontents: [a.fga]",
        "schema: '1.2'\ncontents: a.fga",
        "schema: '1.2'\ncontents:\n  - 1\n  - a.txt\n  - ../a.fga\n  - /etc/a.fga\n  - b/../../a.fga\n  - ''\n  - '..\\a.fga'",
        "schema: '1.2'\ncontents: [missing.fga]",
        "schema: '1.2'\ncontents: [folder.fga]",
        "schema: '1.2'\ncontents: [binary.fga]",
        "schema: [",
    ];
    let said: Vec<String> = manifests
        .iter()
        .map(|manifest| {
            let folder = folder(&[("fga.mod", manifest), ("a.fga", CORE), ("folder.fga/x", "")]);
            std::fs::write(folder.path().join("binary.fga"), [0xff]).unwrap();
            let errors = Model::load(&folder.path().join("fga.mod")).unwrap_err();
            format!("{manifest}\n=> {}", errors.to_string().replace('\n', "\n=> "))
        })
        .collect();
    insta::assert_snapshot!(said.join("\n\n"));
}

#[test]
#[cfg(unix)]
fn a_link_does_not_lead_out_of_the_folder() {
    let outside = folder(&[("secret.fga", CORE)]);
    let folder = folder(&[("fga.mod", "schema: '1.2'\ncontents: [core.fga]")]);
    std::os::unix::fs::symlink(outside.path().join("secret.fga"), folder.path().join("core.fga")).unwrap();
    let said = Model::load(&folder.path().join("fga.mod")).unwrap_err().to_string();
    assert_eq!(
        said,
        "core.fga: the file lies outside of the folder of `fga.mod`; move it there, instead of a link to it"
    );
}

#[test]
fn a_model_file_is_known_by_its_ending_or_its_first_brace() {
    let json = r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}]}"#;
    let dsl = "model\n  schema 1.1\ntype user\n";
    let folder = folder(&[("a.json", json), ("b.fga", dsl), ("c.txt", json), ("d", dsl)]);
    for name in ["a.json", "b.fga", "c.txt", "d"] {
        assert_eq!(Model::load(&folder.path().join(name)).unwrap().types.len(), 1, "{name}");
    }
    let missing = Model::load(Path::new("/nowhere/model.fga")).unwrap_err();
    assert_eq!(missing.iter().next().unwrap().kind, ModelErrorKind::File);
}
