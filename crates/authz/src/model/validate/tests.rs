//! What the validation accepts, and what it says of what it doesn't.

use std::fmt::Write;

use super::*;
use crate::model::ModelErrors;
use crate::relation::Text;

const HEADER: &str = "model\n  schema 1.1\n";

fn validated(types: &str) -> Result<(), ModelErrors> {
    let text = format!("{HEADER}{types}");
    Model::from_dsl(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}")).validate()
}

/// A model of `user` and of `doc` with these relations.
fn doc(relations: &str) -> String {
    let defined = relations.lines().fold(String::new(), |text, line| text + "    define " + line.trim() + "\n");
    format!("type user\ntype doc\n  relations\n{defined}")
}

/// Each model with what is said of it, for a snapshot.
fn said<'t>(models: impl IntoIterator<Item = &'t str>) -> String {
    models.into_iter().fold(String::new(), |mut all, types| {
        let answer = match validated(types) {
            Ok(()) => "fine".to_owned(),
            Err(errors) => errors.to_string(),
        };
        write!(all, "{types}\n=> {}\n\n", answer.replace('\n', "\n=> ")).unwrap();
        all
    })
}

fn said_of_doc<'t>(models: impl IntoIterator<Item = &'t str>) -> String {
    let models: Vec<String> = models.into_iter().map(doc).collect();
    said(models.iter().map(String::as_str)).replace("type user\ntype doc\n  relations\n", "")
}

#[test]
fn a_model_of_everything_that_is_allowed_is_accepted() {
    validated(
        "type user
         type team
           relations
             define member: [user, team#member]
         type folder
           relations
             define parent: [folder]
             define owner: [user]
             define viewer: [user, user:*, team#member] or owner or viewer from parent
         type document
           relations
             define parent: [folder, team]
             define blocked: [user]
             define editor: [user]
             define viewer: ([user] or editor or viewer from parent) but not blocked
             define can_share: editor and viewer",
    )
    .unwrap();
}

#[test]
fn a_model_without_relations_is_accepted_and_one_without_types_is_not() {
    validated("type user").unwrap();
    assert_eq!(
        validated("").unwrap_err().to_string(),
        "the model has no types; define at least one, as in `type user`"
    );
}

#[test]
fn a_reference_to_nothing_is_told_with_what_was_meant() {
    insta::assert_snapshot!(said_of_doc([
        "viewer: [usr]",
        "viewer: [team]",
        "viewer: [doc#editr]\neditor: [user]",
        "viewer: [user#member]",
        "viewer: editr\neditor: [user]",
        "viewer: user",
        "viewer: self",
        "viewer: [user] or viewer from parnt\nparent: [doc]",
        "viewer: [user] or vewer from parent\nparent: [doc]",
        "viewer: [user] or reader from parent\nparent: [user, doc]",
    ]));
}

#[test]
fn a_relation_after_from_is_a_plain_list_of_types() {
    insta::assert_snapshot!(said_of_doc([
        "viewer: [user] or viewer from parent\nparent: [doc] or other\nother: [doc]",
        "viewer: [user] or viewer from parent\nparent: other\nother: [doc]",
        "viewer: [user] or viewer from parent\nparent: [doc, doc:*]",
        "viewer: [user] or viewer from parent\nparent: [doc, doc#viewer]",
    ]));
}

#[test]
fn a_relation_lists_who_may_be_written_if_and_only_if_it_says_where() {
    insta::assert_snapshot!(said_of_doc(["viewer: []", "viewer: [] or editor\neditor: [user]"]));
    let mut model = Model::from_dsl(&(HEADER.to_owned() + &doc("viewer: [user]\neditor: viewer"))).unwrap();
    model.types[1].relations[1].restrictions = model.types[1].relations[0].restrictions.clone();
    assert_eq!(
        model.validate().unwrap_err().to_string(),
        "line 7, column 12: the relation `editor` of `doc` lists who may be written directly, but is only computed; \
         take the list away, or add a direct part to the relation"
    );
}

#[test]
fn a_relation_that_is_computed_from_itself_is_told_with_the_way_around() {
    insta::assert_snapshot!(said_of_doc([
        "a: a",
        "a: b\nb: a",
        "a: [user] or b\nb: [user] or c\nc: a",
        "a: [user] but not b\nb: [user] and (c or a)\nc: [user]",
        "a: b\nb: c\nc: b",
        "viewer: [user] or viewer from parent\nparent: [doc]",
        "member: [user, doc#member]",
    ]));
}

#[test]
fn a_relation_in_which_nobody_can_stand_is_told() {
    insta::assert_snapshot!(said_of_doc([
        "viewer: [doc#viewer]",
        "viewer: [doc#viewer] and editor\neditor: [user]",
        "viewer: [doc#viewer] but not editor\neditor: [user]",
        "viewer: editor but not viewer from parent\neditor: [user]\nparent: [doc]",
        "viewer: viewer from parent\nparent: [doc]",
        "viewer: [doc#editor]\neditor: [doc#viewer]",
        "viewer: [doc#viewer] or editor\neditor: [user:*]",
        "viewer: editor\neditor: [doc#editor]",
    ]));
}

#[test]
fn one_mistake_is_told_once() {
    let errors =
        validated(&doc("a: [usr]\nb: a\nc: b or [doc#a]\nd: b from p\np: [doc]\ne: f\nf: e\ng: e")).unwrap_err();
    let kinds: Vec<_> = errors.iter().map(|error| error.kind).collect();
    assert_eq!(kinds, [ModelErrorKind::Undefined, ModelErrorKind::Cycle], "{errors}");
}

#[test]
fn reserved_and_impossible_names_are_told() {
    insta::assert_snapshot!(said(["type self", "type doc\n  relations\n    define this: [doc]"]));
    let mut model = Model::from_dsl(&(HEADER.to_owned() + &doc("viewer: [user]"))).unwrap();
    model.types[1].name = Text::from("d c");
    model.types[1].relations[0].name = Text::from("");
    let second = model.types[0].clone();
    model.types.push(second);
    insta::assert_snapshot!(model.validate().unwrap_err());
}

#[test]
fn a_model_that_a_program_built_too_deep_is_refused_without_overflowing_the_stack() {
    let mut model = Model::from_dsl(&(HEADER.to_owned() + &doc("viewer: [user]"))).unwrap();
    let mut rewrite = Rewrite::Direct;
    for _ in 0..1_000 {
        rewrite = Rewrite::Union(vec![rewrite]);
    }
    model.types[1].relations[0].rewrite = rewrite;
    let errors = model.validate().unwrap_err();
    assert_eq!(errors.iter().next().unwrap().kind, ModelErrorKind::TooLarge);
    assert_eq!(errors.len(), 1);
}

#[test]
fn a_chain_as_long_as_a_model_is_checked_without_overflowing_the_stack() {
    // Each relation needs the one that is defined after it, on every type and across types.
    let mut text = HEADER.to_owned();
    for t in 0..12 {
        writeln!(text, "type t{t}\n  relations").unwrap();
        for r in 0..999 {
            writeln!(text, "    define r{r}: r{}", r + 1).unwrap();
        }
        match t {
            11 => writeln!(text, "    define r999: [t0]").unwrap(),
            _ => writeln!(text, "    define r999: [t{}#r0]", t + 1).unwrap(),
        }
    }
    Model::from_dsl(&text).unwrap().validate().unwrap();
    let broken = text.replace("define r999: [t0]", "define r999: [t0#r0]");
    let errors = Model::from_dsl(&broken).unwrap().validate().unwrap_err();
    assert_eq!(errors.len(), crate::model::MAX_ERRORS);
    assert!(errors.iter().all(|error| error.kind == ModelErrorKind::NoEntrypoint));
}

/// What a text of the largest size can make the checks do.
#[test]
fn hostile_models_are_checked_with_little_work() {
    let many = |count: usize, text: &dyn Fn(usize) -> String| (0..count).map(text).collect::<String>();
    let types = many(900, &|n| format!("type t{n}\nrelations\ndefine x: [t0]\n"));
    let listed = (0..900).map(|n| format!("t{n}")).collect::<Vec<_>>().join(",");
    let ways = (0..1_000).map(|n| format!("y{n} from p")).collect::<Vec<_>>().join(" or ");
    let tuplesets = format!(
        "{types}type z\nrelations\ndefine p: [{listed}]\n{}",
        many(10, &|n| format!("define r{n}: {}\n", ways.replace('y', &format!("y{n}"))))
    );
    let shared = format!(
        "{types}type z\nrelations\ndefine p: [{listed}]\n{}",
        many(10, &|n| format!("define r{n}: {}\n", vec!["x from p"; 1_000].join(" and ")))
    );
    let lookalikes = many(900, &|n| format!("type {n:0>64}\n"))
        + "type z\nrelations\n"
        + &many(900, &|n| format!("define r{n}: [{n:1>64}]\n"));
    let dense = "type t\nrelations\n".to_owned()
        + &many(220, &|n| {
            let others = (0..220).filter(|&other| other > n).map(|other| format!("r{other}")).collect::<Vec<_>>();
            format!(
                "define r{n}: [t] and {}\n",
                if others.is_empty() { "[t]".to_owned() } else { others.join(" and ") }
            )
        });
    for (text, right) in [(tuplesets, false), (shared, true), (lookalikes, false), (dense, true)] {
        assert_eq!(validated(&text).is_ok(), right);
    }
}
