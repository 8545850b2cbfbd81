//! No text overflows half the stack that a thread of the server has, panics, or takes long.

use proptest::prelude::*;

use super::*;

/// Threads have 2 MiB; who calls has used some of it.
const STACK: usize = 1024 * 1024;

fn in_a_small_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread").join().expect("it ends well")
}

/// Compiles and, where that is possible, evaluates.
fn try_all(expression: String) {
    match compile("x: int, l: list<int>, m: map<any>", &expression) {
        Ok(program) => {
            let given = serde_json::json!({"x": 1, "l": [1, 2], "m": {"a": [1]}});
            let mut budget = Budget::new(10_000);
            let _ = program.evaluate(&|name| given.get(name), None, &mut budget);
            assert!(budget.spent() <= 10_000);
        }
        // A panic of the parser is caught; there is none that is known.
        Err(faults) => assert!(faults.iter().all(|fault| fault.remedy != "write it in a simpler way"), "{expression}"),
    }
}

#[test]
fn deep_text_is_refused_before_it_is_parsed() {
    let many = 1300;
    for expression in [
        format!("{}1{}", "(".repeat(many), ")".repeat(many)),
        "(".repeat(many),
        "[".repeat(many),
        "{1:".repeat(many),
        format!("{}true", "!".repeat(many)),
        format!("{}x", "-".repeat(many)),
        format!("{}x", "- ".repeat(many)),
        format!("x{}", ".a".repeat(many)),
        format!("x{}", "[0]".repeat(many)),
        format!("x{}", ".size()".repeat(500)),
        format!("x{}", "+1".repeat(many)),
        format!("x{}", "==1".repeat(many)),
        format!("{}x", "true?1:".repeat(500)),
        format!("{}x", "size(".repeat(500)),
        format!("{}x", "l.map(i,".repeat(400)),
        "x in ".repeat(700) + "l",
        "r\"\\\"((((((((".to_owned() + &"(".repeat(many),
        "1r\"\\\"".to_owned() + &"(".repeat(many),
        "\"a\n".to_owned() + &"(".repeat(many),
        "// a\n".to_owned() + &"(".repeat(many),
    ] {
        in_a_small_thread(move || {
            let faults = compile("x: int, l: list<int>", &expression).expect_err(&expression[..20]);
            assert!(!faults.is_empty());
        });
    }
}

/// The deepest of each kind that is let through.
#[test]
fn what_is_let_through_fits_the_stack() {
    let wrap = |open: &str, core: &str, close: &str, levels: usize| {
        format!("{}{core}{}", open.repeat(levels), close.repeat(levels))
    };
    let forms: &[(&str, &str, &str)] = &[
        ("(", "x == 1", ")"),
        ("!(", "x == 1", ")"),
        ("[", "1", "]"),
        ("{1: ", "1", "}"),
        ("-", "x", ""),
        ("!", "true", ""),
        ("", "x", ".a"),
        ("", "x", "[0]"),
        ("", "x", " + 1"),
        ("true ? x : ", "x", ""),
        ("dyn(", "x", ")"),
        ("[1].map(i, ", "x", ")"),
        ("(x == 1 || true && x == 2 || ", "x == 1", ")"),
        ("(x == 1 && (true || x == 2) && ", "x == 1", ")"),
    ];
    for (open, core, close) in forms {
        let refused = |expression: &str| super::super::scan::scan(expression).is_err();
        let levels = (1..200).take_while(|levels| !refused(&wrap(open, core, close, *levels))).last().expect("some");
        assert!(levels >= 8, "{open}{core}{close} only {levels} times");
        for suffix in ["", " == 1", " || true"] {
            let expression = wrap(open, core, close, levels) + suffix;
            in_a_small_thread(move || try_all(expression));
        }
    }
}

#[test]
fn a_long_row_of_alternatives_is_not_deep() {
    for operator in [" || ", " && "] {
        let expression = vec!["x == 1"; 400].join(operator);
        in_a_small_thread(move || {
            assert!(evaluate("x: int", &expression, &serde_json::json!({"x": 1})).unwrap().met);
        });
    }
}

#[test]
fn what_takes_too_long_ends_with_the_budget() {
    for expression in [
        "l.all(a, l.all(b, l.all(c, a + b + c > 0)))",
        "l.map(a, l.map(b, l.map(c, l + l))).size() > 0",
        "l.exists(a, s.matches(s))",
        "l.map(a, s + s + s + s + s + s).all(t, t.contains(s))",
        "l.filter(a, l + l == l + l + l).size() > 0",
    ] {
        let given = serde_json::json!({"l": vec![1; 1000], "s": "a".repeat(500)});
        let error = evaluate("l: list<int>, s: string", expression, &given);
        if let Err(error) = error {
            assert!(matches!(error, ConditionError::Exceeded { .. }), "{expression}: {error}");
        }
    }
    let given = serde_json::json!({"l": vec![1; 1000]});
    let error = evaluate("l: list<int>", "l.all(a, l.all(b, l.all(c, a + b + c > 0)))", &given).unwrap_err();
    assert!(matches!(error, ConditionError::Exceeded { .. }), "{error}");
}

/// Pieces that make something of the language more often than letters do.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "x",
        "l",
        "m",
        "i",
        "1",
        "2u",
        "1.5",
        "\"a\"",
        "b'a'",
        "r\"\\\"",
        "'''",
        "true",
        "null",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ",",
        ":",
        "?",
        ".",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        " in ",
        ".all(i, ",
        ".map(i, ",
        ".exists(i, ",
        ".filter(i, ",
        ".exists_one(i, ",
        "has(",
        "has(m.a)",
        "size(",
        "int(",
        "timestamp(",
        ".getHours()",
        ".matches(",
        "@",
        "`",
        "\\",
        "\n",
        "//",
        "é",
        "0x",
        "type(",
        "..",
        "[?",
        "x{",
        "optional",
        "\u{0}",
        "9223372036854775808",
        "1e999",
        "in",
        "as",
        ".x",
        "\"\\u12\"",
        "'\\q'",
    ];
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(expression in prop_oneof![pieces(), ".{0,60}", "\\PC{0,60}"]) {
        try_all(expression);
    }

    #[test]
    fn no_pattern_panics(pattern in "[a-z\\[\\]\\\\^$.|?*+(){}:&~dDwWsSbB0-9é-]{0,20}") {
        let _ = super::super::pattern::Pattern::compile(&pattern);
    }

    #[test]
    fn no_time_panics(text in prop_oneof!["[0-9T:Z.+-]{0,30}", "\\PC{0,12}", "[0-9.hmsuµn+-]{0,20}"]) {
        let _ = (super::super::time::timestamp(&text), super::super::time::duration(&text), super::super::time::zone(&text));
    }
}
