//! What is given becomes what was declared, or is refused, as the reference engine has it.

use serde_json::json;

use super::*;

/// The type of `x`, an expression that is true there, and what is given.
const TRUE: &[(&str, &str, &str)] = &[
    ("int", r##"x==5"##, r##""5""##),
    ("int", r##"x==1000"##, r##""1e3""##),
    ("int", r##"x==5"##, r##""+5""##),
    ("int", r##"x==5"##, r##""5.0""##),
    ("int", r##"x==9223372036854775807"##, r##""9223372036854775807""##),
    ("int", r##"x<-9223372036854775807"##, r##""-9223372036854775808""##),
    ("uint", r##"x==7u"##, r##""7""##),
    ("uint", r##"x==0u"##, r##""-0""##),
    ("double", r##"x==1.5"##, r##""1.5""##),
    ("double", r##"x>1e300"##, r##""Inf""##),
    ("double", r##"x==1.0"##, r##"1"##),
    ("double", r##"x<0.0"##, r##""-inf""##),
    ("double", r##"x==0.5"##, r##"".5""##),
    ("double", r##"x==5.0"##, r##""5.""##),
    ("duration", r##"x==duration("90m")"##, r##""1h30m""##),
    ("duration", r##"x==duration("-90m")"##, r##""-1.5h""##),
    ("duration", r##"x==duration("0s")"##, r##""0""##),
    ("duration", r##"x==duration("1us")"##, r##""1µs""##),
    ("duration", r##"x==duration("5s")"##, r##""+5s""##),
    ("duration", r##"x==duration("500ms")"##, r##"".5s""##),
    ("duration", r##"x==duration("5s")"##, r##""5.s""##),
    ("duration", r##"true"##, r##""300000h""##),
    ("timestamp", r##"true"##, r##""2024-01-01T00:00:00Z""##),
    ("timestamp", r##"x==timestamp("2024-01-01T00:00:00.123456789Z")"##, r##""2024-01-01T00:00:00.123456789123Z""##),
    ("timestamp", r##"x==timestamp("2023-12-31T22:00:00Z")"##, r##""2024-01-01T00:00:00+02:00""##),
    ("timestamp", r##"true"##, r##""9999-12-31T23:59:59Z""##),
    ("ipaddress", r##"true"##, r##""10.0.0.1""##),
    ("ipaddress", r##"true"##, r##""::1""##),
    ("ipaddress", r##"x==ipaddress("10.0.0.1")"##, r##""::ffff:10.0.0.1""##),
    ("ipaddress", r##"x.in_cidr("10.0.0.0/8")"##, r##""::ffff:10.0.0.1""##),
    ("ipaddress", r##"x.in_cidr("10.1.2.3/8")"##, r##""10.1.2.3""##),
    ("list<int>", r##"x==[1,2,3]"##, r##"[1, "2", 3.0]"##),
    ("map<int>", r##"x["a"]==1"##, r##"{"a": 1}"##),
    ("list<any>", r##"x[0]==1 && x[1]=="a" && x[2]==null && x[3].k[0]==1"##, r##"[1, "a", null, {"k": [1]}]"##),
    ("any", r##"x==1"##, r##"1"##),
    ("any", r##"x==1u"##, r##"1"##),
    ("any", r##"x>1"##, r##"1.5"##),
    ("any", r##"type(x)==double"##, r##"1"##),
    ("any", r##"x==null"##, r##"null"##),
    ("any", r##"x.a.b==1"##, r##"{"a": {"b": 1}}"##),
    ("any", r##"1 in x"##, r##"[1, 2]"##),
    ("any", r##"x && true"##, r##"true"##),
    ("any", r##"x || true"##, r##"1"##),
    ("any", r##"x[1.0]==2"##, r##"[1, 2]"##),
    ("any", r##"x[dyn(1.0)]==2"##, r##"[1, 2]"##),
];

/// And false there.
const FALSE: &[(&str, &str, &str)] = &[
    ("ipaddress", r##"x.in_cidr("::/0")"##, r##""10.1.2.3""##),
    ("any", r##"x==1"##, r##""a""##),
    ("any", r##"has(x.zz)"##, r##"{"a": 1}"##),
];

/// And an error there.
const FAILED: &[(&str, &str, &str)] = &[
    ("int", r##"true"##, r##"1.5"##),
    ("int", r##"true"##, r##"" 5""##),
    ("int", r##"true"##, r##""0x10""##),
    ("int", r##"true"##, r##""1_000""##),
    ("int", r##"true"##, r##"true"##),
    ("int", r##"true"##, r##"null"##),
    ("int", r##"true"##, r##""Inf""##),
    ("uint", r##"true"##, r##"-1"##),
    ("uint", r##"true"##, r##""-1""##),
    ("double", r##"true"##, r##""1e400""##),
    ("double", r##"true"##, r##""NaN""##),
    ("double", r##"true"##, r##"true"##),
    ("double", r##"true"##, r##""""##),
    ("bool", r##"true"##, r##""true""##),
    ("bool", r##"true"##, r##"1"##),
    ("string", r##"true"##, r##"1"##),
    ("string", r##"true"##, r##"null"##),
    ("duration", r##"true"##, r##""90""##),
    ("duration", r##"true"##, r##"90"##),
    ("duration", r##"true"##, r##""1d""##),
    ("duration", r##"true"##, r##""""##),
    ("timestamp", r##"true"##, r##""2024-01-01t00:00:00z""##),
    ("timestamp", r##"true"##, r##""2024-01-01 00:00:00Z""##),
    ("timestamp", r##"true"##, r##""2024-01-01T23:59:60Z""##),
    ("timestamp", r##"true"##, r##""2024-01-01T00:00:00""##),
    ("timestamp", r##"true"##, r##"1700000000"##),
    ("timestamp", r##"true"##, r##""2024-02-30T00:00:00Z""##),
    ("timestamp", r##"true"##, r##""2024-01-01T00:00:00+25:00""##),
    ("ipaddress", r##"true"##, r##""10.0.0.01""##),
    ("ipaddress", r##"true"##, r##""10.0.0.1/8""##),
    ("ipaddress", r##"x.in_cidr("nonsense")"##, r##""10.1.2.3""##),
    ("ipaddress", r##"x.in_cidr("10.1.2.3")"##, r##""10.1.2.3""##),
    ("ipaddress", r##"true"##, r##"1"##),
    ("ipaddress", r##"x.in_cidr("10.0.0.0/08")"##, r##""10.1.2.3""##),
    ("ipaddress", r##"x.in_cidr("10.0.0.0/+8")"##, r##""10.1.2.3""##),
    ("list<int>", r##"true"##, r##"[1, "a"]"##),
    ("list<int>", r##"true"##, r##"5"##),
    ("list<string>", r##"true"##, r##""a""##),
    ("map<int>", r##"true"##, r##"[1]"##),
    ("map<int>", r##"true"##, r##"{"a": "b"}"##),
    ("any", r##"x<1"##, r##""a""##),
    ("any", r##"x.zz==1"##, r##"{"a": 1}"##),
    ("any", r##"x.zz == 1"##, r##""a""##),
    ("any", r##"1 in x"##, r##""s""##),
    ("any", r##"x && true"##, r##"1"##),
    ("any", r##"x ? true : false"##, r##"1"##),
];

fn answer((kind, expression, given): (&str, &str, &str)) -> Result<bool, String> {
    let given: Json = serde_json::from_str(given).expect("JSON");
    // What the expression doesn't refer to is not looked at.
    let expression = format!("({expression}) && (x == x)");
    let program = compile(&format!("x: {kind}"), &expression).map_err(|faults| faults[0].to_string())?;
    run(&program, &json!({"x": given}), None).map(|outcome| outcome.met).map_err(|error| error.to_string())
}

#[test]
fn values_are_taken_and_refused_as_the_reference_engine_does() {
    let mut wrong = Vec::new();
    for (rows, expected) in [(TRUE, Some(true)), (FALSE, Some(false)), (FAILED, None)] {
        for row in rows {
            let answer = answer(*row);
            if answer.clone().ok() != expected {
                wrong.push(format!("{row:?}: {answer:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn integers_beyond_the_doubles_are_exact() {
    for (kind, number) in [("int", "9007199254740993"), ("uint", "18446744073709551615")] {
        let suffix = if kind == "uint" { "u" } else { "" };
        let expression = format!("x == {number}{suffix}");
        for given in [number.to_owned(), format!("\"{number}\"")] {
            assert_eq!(answer((kind, &expression, &given)), Ok(true), "{given}");
        }
    }
}

#[test]
fn a_refusal_says_what_is_expected_and_quotes_no_more_than_a_little() {
    let long = "9".repeat(1000);
    let errors = [
        ("int", json!("ten")),
        ("list<int>", json!([1, true])),
        ("timestamp", json!("tomorrow")),
        ("duration", json!(5)),
        ("ipaddress", json!({"a": 1})),
        ("map<bool>", json!([])),
        ("bool", json!(null)),
        ("uint", json!(-1)),
        ("double", json!(long)),
    ]
    .map(|(kind, given)| evaluate(&format!("x: {kind}"), "x == x", &json!({"x": given})).unwrap_err().to_string());
    assert!(errors.iter().all(|error| error.len() < 300));
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn a_value_that_is_too_deep_is_refused() {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let error = evaluate("x: any", "x == x", &json!({"x": deep})).unwrap_err();
    assert!(matches!(error, ConditionError::Exceeded { .. }), "{error}");
}

/// Where this engine knowingly answers otherwise.
const DIFFERENT: &[(&str, &str, &str, Option<bool>)] = &[
    // What is out of range is refused, and not drawn to the edge of the range.
    ("int", "x == 9223372036854775807", "\"9223372036854775808\"", None),
    ("int", "x == 9223372036854775807", "1e+30", None),
    ("uint", "true", "1e+30", None),
    // RFC 3339 as it is written, and the years that it has, in UTC.
    ("timestamp", "true", "\"2024-01-01T0:00:00Z\"", None),
    ("timestamp", "true", "\"2024-01-01T00:00:00,5Z\"", None),
    ("timestamp", "true", "\"0000-01-01T00:00:00Z\"", None),
    ("timestamp", "true", "\"9999-12-31T23:59:59-05:00\"", None),
    // An address without a zone of the host that it was seen at.
    ("ipaddress", "true", "\"fe80::1%eth0\"", None),
    // Text is the nearest double.
    ("double", "x == 0.1", "\"0.1\"", Some(true)),
    ("double", "x == 0.0", "\"1e-400\"", Some(true)),
    // A value without fields has none: an error, not the absence of one.
    ("any", "has(x.zz)", "\"a\"", None),
];

#[test]
fn the_known_differences_are_these() {
    for (kind, expression, given, expected) in DIFFERENT {
        assert_eq!(answer((kind, expression, given)).ok(), *expected, "{kind} {expression} {given}");
    }
}
