//! What the DSL accepts, and what it says of what it doesn't.

use std::fmt::Write;

use super::*;
use crate::model::bounds::{
    MAX_CONDITIONS, MAX_EXPRESSION_BYTES, MAX_NESTING, MAX_OPERANDS, MAX_PARAMETER_NESTING, MAX_PARAMETERS,
    MAX_RELATIONS, MAX_RESTRICTIONS, MAX_TYPES,
};
use crate::model::{ParameterType, Place, Restriction, RestrictionTarget, Rewrite};
use crate::relation::Text;

/// A model with one relation `r` of `doc`, defined by this text.
fn with(definition: &str) -> String {
    format!("model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define r: {definition}\n")
}

fn defined(definition: &str) -> (Rewrite, Vec<Restriction>) {
    let model = Model::from_dsl(&with(definition)).unwrap_or_else(|errors| panic!("{definition}\n{errors}"));
    let relation = model.relation("doc", "r").unwrap();
    (relation.rewrite.clone(), relation.restrictions.clone())
}

fn refused(text: &str) -> String {
    Model::from_dsl(text).unwrap_err().to_string()
}

fn computed(relation: &str) -> Rewrite {
    Rewrite::Computed { relation: Text::from(relation) }
}

fn restriction(type_name: &str, target: RestrictionTarget) -> Restriction {
    Restriction { type_name: Text::from(type_name), target, condition: None }
}

/// Each text with what is said of it, for a snapshot.
fn said<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    texts.into_iter().fold(String::new(), |mut all, text| {
        let answer = match Model::from_dsl(text) {
            Ok(_) => "fine".to_owned(),
            Err(errors) => errors.to_string(),
        };
        write!(all, "{text}\n=> {}\n\n", answer.replace('\n', "\n=> ")).unwrap();
        all
    })
}

#[test]
fn a_list_lets_in_objects_usersets_and_wildcards() {
    let (rewrite, restrictions) = defined("[user, user:*, team#member]");
    assert_eq!(rewrite, Rewrite::Direct);
    assert_eq!(
        restrictions,
        [
            restriction("user", RestrictionTarget::Object),
            restriction("user", RestrictionTarget::Wildcard),
            restriction("team", RestrictionTarget::Userset(Text::from("member"))),
        ]
    );
}

#[test]
fn operators_join_what_stands_beside_them() {
    assert_eq!(defined("a or b or c").0, Rewrite::Union(vec![computed("a"), computed("b"), computed("c")]));
    assert_eq!(
        defined("[user] and x from p").0,
        Rewrite::Intersection(vec![
            Rewrite::Direct,
            Rewrite::TupleToUserset { tupleset: Text::from("p"), computed: Text::from("x") }
        ])
    );
    assert_eq!(
        defined("a but   not b").0,
        Rewrite::Exclusion { base: Box::new(computed("a")), subtract: Box::new(computed("b")) }
    );
}

#[test]
fn parentheses_group_and_vanish_where_they_group_nothing() {
    let a_or_b = Rewrite::Union(vec![computed("a"), computed("b")]);
    assert_eq!(defined("(a or b) and c").0, Rewrite::Intersection(vec![a_or_b.clone(), computed("c")]));
    assert_eq!(defined("((a or b))").0, a_or_b);
    assert_eq!(
        defined("(a but not b) but not c").0,
        Rewrite::Exclusion {
            base: Box::new(Rewrite::Exclusion { base: Box::new(computed("a")), subtract: Box::new(computed("b")) }),
            subtract: Box::new(computed("c")),
        }
    );
}

#[test]
fn comments_gaps_and_line_ends_of_every_kind_change_nothing() {
    let plain = "model\n  schema 1.1\ntype user\ntype team\n  relations\n    define member: [user, team#member]\n";
    let model = Model::from_dsl(plain).unwrap().to_dsl();
    let written = [
        plain.replace('\n', "\r\n"),
        plain.replace("  ", "\t"),
        plain.replace('\n', "   # a comment [( about it\n\n\n"),
        plain.replace("  ", ""),
        plain.replace("member:", "member  :  "),
        plain.replace("[user, team#member]", "[\n user,   # people\n\n team#member\n]"),
        format!("\u{FEFF}# first\n\n{}", plain.trim_end()),
    ];
    for text in written {
        let read = Model::from_dsl(&text).unwrap_or_else(|errors| panic!("{text:?}\n{errors}"));
        assert_eq!(read.to_dsl(), model, "{text:?}");
    }
}

#[test]
fn definitions_know_their_places() {
    let model = Model::from_dsl(&with("[user]")).unwrap();
    assert_eq!(model.type_definition("doc").unwrap().place, Some(Place { line: 4, column: 6 }));
    assert_eq!(model.relation("doc", "r").unwrap().place, Some(Place { line: 6, column: 12 }));
}

#[test]
fn names_may_be_words_of_the_language_where_that_is_no_riddle() {
    let text = "model\n schema 1.1\ntype type\ntype define\nrelations\ndefine relations: [type, define#model]\ndefine model: [type]";
    let model = Model::from_dsl(text).unwrap();
    model.validate().unwrap();
    assert!(model.relation("define", "relations").is_some());
}

#[test]
fn faults_of_a_definition_are_told_with_place_and_remedy() {
    let definitions = [
        "",
        "or",
        "a or",
        "a b",
        "a or b and c",
        "a but not b but not c",
        "a but not b or c",
        "a but b",
        "from p",
        "a from",
        "a from or",
        "(a or b",
        "a or b)",
        "()",
        "[user",
        "[user,",
        "[user,]",
        "[user team]",
        "[user:ann]",
        "[user:]",
        "[user#]",
        "[user*]",
        "[#member]",
        "[us@er]",
        "[user] or [team]",
        "a || b",
        "\"a\"",
        "as a",
        "a\0",
        "a\u{200B}b",
        "[user with c, team#member with d] or e",
    ];
    let texts: Vec<String> = definitions.into_iter().map(with).collect();
    let all = said(texts.iter().map(String::as_str));
    // Only the definition differs.
    insta::assert_snapshot!(
        all.replace("model\n  schema 1.1\ntype user\ntype doc\n  relations\n    ", "")
            .replace('\0', "<NUL>")
            .replace('\u{200B}', "<ZWSP>")
    );
}

#[test]
fn faults_of_the_lines_around_are_told_with_place_and_remedy() {
    insta::assert_snapshot!(said([
        "",
        "type user",
        "model",
        "model schema 1.1",
        "model\nschema",
        "model\nschema 1.0\ntype user",
        "model\nschema 1.2\ntype user",
        "model\nschema 7\ntype user",
        "model\nschema 1.1 type user",
        "model\nschema 1.1\ntype",
        "model\nschema 1.1\ntype user doc",
        "model\nschema 1.1\ntype a:b",
        "model\nschema 1.1\ntype user\ntype user",
        "model\nschema 1.1\nrelations",
        "model\nschema 1.1\ntype doc\ndefine r: [doc]\ndefine s: [doc]",
        "model\nschema 1.1\ntype doc\nrelations\nrelations\ndefine r: [doc]",
        "model\nschema 1.1\ntype doc\nrelations\ndefine r: [doc]\ndefine r: [doc]",
        "model\nschema 1.1\ntype doc\nrelations\ndefine r [doc]",
        "model\nschema 1.1\ntype doc\nrelations\ndefine r as [doc]",
        "model\nschema 1.1\ntype doc\nrelations\ndefine : [doc]",
        "model\nschema 1.1\ntype doc\nrelations\ndefine or: [doc]",
        "model\nschema 1.1\ntyp user",
        "module core\ntype user\nextend type organization\n  relations\n    define member: [user]",
        "model\nschema 1.1\ntype user\ncondition c(a: int) {\n  a < {1: 2}[1] && type == \"x\"\n}\ntype doc",
        "model\nschema 1.1\ncondition c(a: int) {\n  a",
    ]));
}

#[test]
fn several_faults_are_told_at_once_in_the_order_of_the_text() {
    let text =
        "model\nschema 1.1\ntype doc\nrelations\ndefine a: [doc\ndefine b: [doc]\ndefine c: b and\ntype\ntype doc";
    insta::assert_snapshot!(refused(text));
}

/// A model with a condition that is defined by this text, behind the word `condition`.
fn with_condition(definition: &str) -> String {
    format!("model\n  schema 1.1\ntype user\ncondition {definition}\n")
}

#[test]
fn a_condition_has_a_name_parameters_and_an_expression() {
    let text = with_condition(
        "in_office(ip: ipaddress, # where\n  at : map<list<timestamp>>,\n u: uint) # when\n{ # }\n  \
         {'a': '}'}.a == ip\n  && true // and so on }\n} # done\ntype doc",
    );
    let model = Model::from_dsl(&text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(model.types.len(), 2, "types may follow");
    let [condition] = &model.conditions[..] else { panic!("{:?}", model.conditions) };
    assert_eq!(&*condition.name, "in_office");
    let parameters: Vec<String> =
        condition.parameters.iter().map(|parameter| format!("{}: {}", parameter.name, parameter.kind)).collect();
    assert_eq!(parameters, ["ip: ipaddress", "at: map<list<timestamp>>", "u: uint"]);
    assert_eq!(condition.expression, "{'a': '}'}.a == ip\n  && true");
    assert_eq!(condition.place, Some(Place { line: 4, column: 11 }));
    assert_eq!(condition.expression_place, Some(Place { line: 8, column: 3 }));
}

#[test]
fn a_parameter_has_one_of_these_types() {
    for name in ["any", "bool", "string", "int", "uint", "double", "duration", "timestamp", "ipaddress"] {
        for kind in [name.to_owned(), format!("list<{name}>"), format!("map<{name}>")] {
            let model = Model::from_dsl(&with_condition(&format!("c(x: {kind}) {{ true }}"))).unwrap();
            assert_eq!(model.conditions[0].parameters[0].kind.to_string(), kind);
        }
    }
    assert_eq!(Model::from_dsl(&with_condition("c() {}")).unwrap().conditions[0].parameters, []);
    let nested =
        |levels: usize| with_condition(&format!("c(x: {}int{}) {{x}}", "list<".repeat(levels), ">".repeat(levels)));
    let deepest = Model::from_dsl(&nested(MAX_PARAMETER_NESTING - 1)).unwrap();
    assert!(matches!(deepest.conditions[0].parameters[0].kind, ParameterType::List(_)));
    assert!(refused(&nested(MAX_PARAMETER_NESTING)).contains("types stand within each other"));
    assert!(refused(&nested(40_000)).contains("types stand within each other"));
}

#[test]
fn a_list_lets_in_the_same_subjects_under_several_conditions() {
    let (_, restrictions) = defined("[user, user with a, user:* with b, team#member with a, user with b]");
    let shown: Vec<String> = restrictions.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["user", "user with a", "user:* with b", "team#member with a", "user with b"]);
}

#[test]
fn faults_of_a_condition_are_told_with_place_and_remedy() {
    let definitions = [
        "",
        "c",
        "c {}",
        "c(",
        "c(x)",
        "c(x:)",
        "c(x: text) {\n  x\n}\ntype doc",
        "c(x: list)",
        "c(x: list<>)",
        "c(x: map<int)",
        "c(x: int,) {}",
        "c(x: int y: int) {}",
        "c(x: int, x: int) { x }",
        "c(x: int) x < 1",
        "c(x: int) { x < 1",
        "c(x: string) { x == '''a }\ntype doc",
        "c(x: int) { x < 1 } type doc",
        "c@d(x: int) { x < 1 }",
        "c(x: int) { x < 1 }\ncondition c() { true }",
        "c(x: int) { x < 1 }\nrelations\ndefine r: [user]",
    ];
    let texts: Vec<String> = definitions.into_iter().map(with_condition).collect();
    insta::assert_snapshot!(said(texts.iter().map(String::as_str)).replace("model\n  schema 1.1\ntype user\n", ""));
}

#[test]
fn schema_1_2_is_also_that_of_a_model_in_one_file() {
    let model = Model::from_dsl("model\n  schema 1.2\ntype user\n").unwrap();
    assert_eq!(model.schema_version, crate::model::SchemaVersion::V1_2);
    assert!(model.to_dsl().starts_with("model\n  schema 1.2\n"));
    assert_eq!(model.to_json()["schema_version"], "1.2");
}

#[test]
fn any_number_of_parentheses_is_answered_without_overflowing_the_stack() {
    for text in
        ["(".repeat(100_000), "a or (".repeat(20_000), format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000))]
    {
        let error = refused(&with(&text));
        assert!(error.contains("parentheses are open within each other"), "{error}");
    }
    let fits = MAX_NESTING - 1;
    defined(&format!("{}a{}", "(".repeat(fits), ")".repeat(fits)));
    assert!(Model::from_dsl(&with(&format!("{}a{}", "(".repeat(fits + 1), ")".repeat(fits + 1)))).is_err());
}

#[test]
fn bounds_are_kept_and_named() {
    let types =
        |count: usize| (0..count).fold("model\nschema 1.1\n".to_owned(), |text, n| text + &format!("type t{n}\n"));
    let relations = |count: usize| {
        (0..count)
            .fold("model\nschema 1.1\ntype t\nrelations\n".to_owned(), |text, n| text + &format!("define r{n}: [t]\n"))
    };
    let joined = |count: usize| with(&vec!["a"; count].join(" or "));
    let listed = |count: usize| with(&format!("[{}]", vec!["a"; count].join(",")));
    let conditions = |count: usize| {
        (1..count).fold(with_condition("c() { true }"), |text, n| text + &format!("condition c{n}() {{ true }}\n"))
    };
    let parameters = |count: usize| {
        let parameters: Vec<String> = (0..count).map(|n| format!("x{n}: int")).collect();
        with_condition(&format!("c({}) {{ true }}", parameters.join(", ")))
    };
    let expression = |bytes: usize| with_condition(&format!("c() {{ {} }}", "x".repeat(bytes)));
    for (text, most) in [
        (&types as &dyn Fn(usize) -> String, MAX_TYPES),
        (&relations, MAX_RELATIONS),
        (&joined, MAX_OPERANDS),
        (&listed, MAX_RESTRICTIONS),
        (&conditions, MAX_CONDITIONS),
        (&parameters, MAX_PARAMETERS),
        (&expression, MAX_EXPRESSION_BYTES),
    ] {
        Model::from_dsl(&text(most)).unwrap();
        let errors = Model::from_dsl(&text(most + 1)).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().kind, ModelErrorKind::TooLarge, "{errors}");
    }
    assert!(refused(&" ".repeat(1 << 20)).contains("at most 262144 are allowed"));
}

#[test]
fn hostile_texts_are_answered() {
    let long = "x".repeat(MAX_DSL_BYTES - 200);
    let texts = [
        "\0".repeat(1000),
        "#".repeat(MAX_DSL_BYTES),
        "\n".repeat(MAX_DSL_BYTES),
        "[".repeat(MAX_DSL_BYTES),
        "type ".repeat(MAX_DSL_BYTES / 5),
        "define\n".repeat(MAX_DSL_BYTES / 7),
        with(&long),
        with(&format!("[{long}")),
        with(&"[\n".repeat(100_000)),
        with(&"a but not ".repeat(20_000)),
        "model\nschema 1.1\ncondition c(){".to_owned() + &"{".repeat(200_000),
    ];
    for text in texts {
        let errors = Model::from_dsl(&text).unwrap_err();
        assert!(errors.to_string().len() < 100_000, "an answer must stay small");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = Model::from_dsl(&text);
    }

    #[test]
    fn no_heap_of_words_makes_the_reader_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "model", "schema", "1.1", "module", "int", "list", "<", ">", "'", "\"", "\"\"\"", "\\", "//", "type", "relations", "define", "extend", "condition", "with", "from", "or", "and", "but",
                "not", "a", "b", "[", "]", "(", ")", "{", "}", ":", ",", "#", "*", "\n", " ", "\0",
            ]),
            0..200,
        )
    ) {
        let _ = Model::from_dsl(&words.concat());
        let _ = Model::from_modules([("a.fga", words.concat()), ("b.fga", words.join(" "))]);
        let _ = Model::from_dsl(&format!("model\nschema 1.1\n{}", words.join(" ")));
    }
}
