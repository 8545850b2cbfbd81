//! What the reference engine answers, expression by expression; `x` is the int 1.

use serde_json::json;

use super::*;

/// True there.
const TRUE: &[&str] = &[
    r##"string(1000000.0)=="1e+06""##,
    r##"string(100000.5)=="100000.5""##,
    r##"string(0.00001)=="1e-05""##,
    r##"string(1e21)=="1e+21""##,
    r##"string(123456789.0)=="1.23456789e+08""##,
    r##"string(2.0)=="2""##,
    r##"string(duration("1h30m"))=="5400s""##,
    r##"string(duration("1.5s"))=="1.5s""##,
    r##"string(timestamp("2024-03-05T10:20:30.4567Z"))=="2024-03-05T10:20:30.4567Z""##,
    r##"timestamp("2024-01-01T00:00:00+02:00").getHours()==22"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("+02:00")==12"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("02:00")==12"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("-02:30")==7"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("UTC")==10"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("")==10"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getMonth()==2"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getDate()==5"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getDayOfMonth()==4"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getDayOfWeek()==2"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getDayOfYear()==64"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getMilliseconds()==456"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getSeconds()==30"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getFullYear()==2024"##,
    r##"duration("3.5s").getMilliseconds()==3500"##,
    r##"duration("90m").getHours()==1"##,
    r##"duration("90m").getMinutes()==90"##,
    r##"duration("-90m").getHours()==-1"##,
    r##"int(duration("1s"))==1000000000"##,
    r##"int(timestamp("2024-03-05T10:20:30.4567Z"))==1709634030"##,
    r##"timestamp(0)==timestamp("1970-01-01T00:00:00Z")"##,
    r##"timestamp(x)<timestamp(2)"##,
    r##"int("+1")==1"##,
    r##"int(1.9)==1"##,
    r##"int(-1.9)==-1"##,
    r##"uint(1.9)==1u"##,
    r##"uint(x)==1u"##,
    r##"uint("5")==5u"##,
    r##"double("1.5")==1.5"##,
    r##"double("Infinity")>1.0"##,
    r##"bool("true")"##,
    r##"bool("TRUE")"##,
    r##"bool("t")"##,
    r##"bool("1")"##,
    r##"bool("True")"##,
    r##"string(true)=="true""##,
    r##"string(b"abc")=="abc""##,
    r##"bytes("abc")==b"abc""##,
    r##"size("äb")==2"##,
    r##"size(b"\303\244")==2"##,
    r##""äb".size()==2"##,
    r##"size({"a":1})==1"##,
    r##"{1:2}[dyn(1u)]==2"##,
    r##"{1:2}[dyn(1.0)]==2"##,
    r##"1 in {1:2}"##,
    r##"dyn(1.0) in {1:2}"##,
    r##"dyn(1u) in [1]"##,
    r##"dyn([1]) == [1.0]"##,
    r##"[1]==[dyn(1u)]"##,
    r##"dyn(1)==1.0"##,
    r##"dyn(1)<1.5"##,
    r##"dyn(0u)<1"##,
    r##"dyn("a")!=1"##,
    r##"0.0/0.0!=0.0/0.0"##,
    r##"1.0/0.0>0.0"##,
    r##"5%3==2"##,
    r##"-5%3==-2"##,
    r##"-5/3==-1"##,
    r##"[1,2,3].exists_one(i,i>2)"##,
    r##"[1,2,3].map(i,i*2)==[2,4,6]"##,
    r##"[1,2,3].map(i,i>1,i*2)==[4,6]"##,
    r##"[1,2,3].filter(i,i>1)==[2,3]"##,
    r##"{"a":1,"b":2}.all(k,k<"c")"##,
    r##"[1,0].exists(i,1/i==1)"##,
    r##"[0,1].exists(i,1/i==1)"##,
    r##""a".matches("a")"##,
    r##"matches("abc","b")"##,
    r##""a]".matches("^[[a]]$")"##,
    r##""abc".contains("")"##,
    r##""a"+"b"=="ab""##,
    r##"b"a"+b"b"==b"ab""##,
    r##"[1]+[2]==[1,2]"##,
    r##""a" in ["a"]"##,
    r##"x in [1]"##,
    r##"null==null"##,
    r##"duration("1s")!=null"##,
    r##"true>false"##,
    r##"b"a"<b"b""##,
    r##"duration("1s")+duration("1s")==duration("2s")"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z")-timestamp("2024-03-05T10:20:30.4567Z")==duration("0s")"##,
    r##"duration("1s")+timestamp("2024-03-05T10:20:30.4567Z")>timestamp("2024-03-05T10:20:30.4567Z")"##,
    r##"ipaddress("10.0.0.1")==ipaddress("10.0.0.1")"##,
    r##"type(x)==int"##,
    r##"type(type(x))==type"##,
    r##"type([1])==list"##,
    r##"type(null)==null_type"##,
    r##"[1,"a"][1]=="a""##,
    r##"[] == []"##,
    r##"{}=={}"##,
    r##"[[]]==[[]]"##,
    r##"true?true:1/0==1"##,
    r##"1/0==1||true"##,
    r##"-x==-1"##,
    r##"--x==1"##,
    r##"!!true"##,
    r##"1.0e3==1000.0"##,
    r##"0xFF==255"##,
    r##"0xFFu==255u"##,
    r##""\u00e9"=="é""##,
    r##"r"\n"=="\\n""##,
    r##"'a'=="a""##,
    r##"dyn(x)+1==2"##,
    r##""é".endsWith("é")"##,
    r##".x==1"##,
    r##"[1,2,3].all(x,x>0)"##,
    r##"[1].exists(y, y==x)"##,
    r##"size([])==0"##,
    r##"string(0.1)=="0.1""##,
    r##"string(-0.0)=="-0""##,
    r##"string(0.0/0.0)=="NaN""##,
    r##"string(1.0/0.0)=="+Inf""##,
    r##"string(1e100)=="1e+100""##,
];

/// False there.
const FALSE: &[&str] = &[
    r##"timestamp("2024-01-01T00:00:00+02:00").getHours()==0"##,
    r##"duration("3.5s").getMilliseconds()==500"##,
    r##"has({"a":1}.b)"##,
    r##"dyn(1.5) in {1:2}"##,
    r##"dyn("a") in [1]"##,
    r##"dyn([1]) in {1:2}"##,
    r##"dyn("a")==1"##,
    r##"dyn(null)==x"##,
    r##"dyn(0.0/0.0)==dyn(0.0/0.0)"##,
    r##"[0,1].all(i,1/i==2)"##,
    r##""é".matches("^\\w$")"##,
    r##"false&&1/0==1"##,
    r##"1/0==1&&false"##,
    r##"x in {}"##,
    r##"x in []"##,
];

/// An error there, at evaluation or as the model is written.
const FAILED: &[&str] = &[
    r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("+99:00")==13"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("Nope/Zone")==13"##,
    r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("+02:99")==13"##,
    r##"uint(-x)==1u"##,
    r##"{"a":1}.b==1"##,
    r##"[1,2][5]==1"##,
    r##"[1,2][-1]==1"##,
    r##"5%(x-1)==0"##,
    r##"x/(x-1)==0"##,
    r##"5u-6u==0u"##,
    r##"9223372036854775807+x==0"##,
    r##"-9223372036854775808/-x==0"##,
    r##"-9223372036854775808%-x==0"##,
    r##"-(-9223372036854775807-x)==0"##,
    r##"[0,1].exists_one(i,1/i==1)"##,
    r##"[0].all(i,1/i==2)"##,
    r##"duration("2562047h")+duration("2562047h")==duration("2s")"##,
    r##"timestamp("9999-12-31T23:59:59Z")+duration("1h")==timestamp("2024-03-05T10:20:30.4567Z")"##,
    r##"timestamp("0001-01-01T00:00:00Z")-duration("1h")==timestamp("2024-03-05T10:20:30.4567Z")"##,
    r##"timestamp("9999-12-31T23:59:59Z")-timestamp("0001-01-01T00:00:00Z")==duration("1s")"##,
    r##"ipaddress("10.0.0.300")==ipaddress("10.0.0.1")"##,
    r##"(1/0==1)?true:true"##,
    r##"dyn(x)+"a"=="a""##,
    r##"dyn(ipaddress("::1"))==1"##,
    r##"duration(x)==duration("1ns")"##,
    r##"int("0x10")==16"##,
    r##"int(" 1")==1"##,
    r##"int("1.5")==1"##,
    r##"int(1e19)==1"##,
    r##"int(9223372036854775807.0)==1"##,
    r##"int(-9223372036854775808.0)==1"##,
    r##"uint(-0.5)==0u"##,
    r##"uint(-1.0)==0u"##,
    r##"uint("-5")==5u"##,
    r##"double("abc")==1.5"##,
    r##"double("1e400")>1.0"##,
    r##"bool("tRue")"##,
    r##"bool("yes")"##,
    r##"string(b"\xff")=="abc""##,
    r##""abc".matches("(?=a)")"##,
    r##""abc".matches("(")"##,
    r##"string(type(x))=="int""##,
    r##"timestamp("nonsense")<timestamp("2024-03-05T10:20:30.4567Z")"##,
    r##"duration("1x")==duration("1s")"##,
    r##"timestamp(-62135596801)<timestamp("2024-03-05T10:20:30.4567Z")"##,
    r##"timestamp(253402300800)>timestamp("2024-03-05T10:20:30.4567Z")"##,
    r##"int(dyn(true))==1"##,
    r##"string(dyn([1]))=="a""##,
];

fn answer(expression: &str) -> Result<bool, String> {
    let program = compile("x: int", expression).map_err(|faults| faults[0].to_string())?;
    run(&program, &json!({"x": 1}), None).map(|outcome| outcome.met).map_err(|error| error.to_string())
}

#[test]
fn the_language_answers_as_the_reference_engine_does() {
    let mut wrong = Vec::new();
    for (expressions, expected) in [(TRUE, Some(true)), (FALSE, Some(false)), (FAILED, None)] {
        for expression in expressions {
            let answer = answer(expression);
            if answer.clone().ok() != expected {
                wrong.push(format!("{expression}: {answer:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where this engine knowingly answers otherwise: a failure there is one that is told (none), an answer the one that is given.
const DIFFERENT: &[(&str, Option<bool>)] = &[
    // Zones by name need a table of politics, and offsets are written as RFC 3339 has them.
    (r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("Europe/Berlin")==11"##, None),
    (r##"timestamp("2024-03-05T10:20:30.4567Z").getHours("+2:0")==12"##, None),
    // Numbers are decimal.
    (r##"double("0x1p-2")==0.25"##, None),
    (r##"double("1_0")==10.0"##, None),
    // The specification wants an error for a key that comes twice.
    (r##"{1:2,1:3}[1]==3"##, None),
    (r##"{1:2,1u:3}.size()==2"##, None),
    // Times are told in UTC, whatever offset they were written with.
    (r##"string(timestamp("2024-01-01T00:00:00+02:00"))=="2023-12-31T22:00:00Z""##, Some(true)),
    // The newer name of a macro.
    (r##"[1,2].existsOne(i,i==1)"##, Some(true)),
    // A value without fields has none: an error, not the absence of one.
    (r##"has(dyn("a").b)"##, None),
];

#[test]
fn the_known_differences_are_these() {
    for (expression, expected) in DIFFERENT {
        assert_eq!(answer(expression).ok(), *expected, "{expression}");
    }
}

#[test]
fn what_decides_makes_a_failure_and_a_missing_value_irrelevant() {
    for (expression, expected) in [
        ("true || x == 1", Ok(true)),
        ("x == 1 || true", Ok(true)),
        ("false && x == 1", Ok(false)),
        ("x == 1 && false", Ok(false)),
        ("x == 1 || 1 / 0 == 1 || true", Ok(true)),
        ("true ? true : x == 1", Ok(true)),
        ("[1, 2].exists(i, i == x || i == 2)", Ok(true)),
    ] {
        let outcome = evaluate("x: int", expression, &json!({})).map(|outcome| outcome.met);
        assert_eq!(outcome, expected, "{expression}");
    }
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    for expression in ["x + y == z", "x == 1 || y == 1 || z == 1", "1 / 0 == 1 || x == 1 && y == 1 || z == 2"] {
        let error = evaluate("z: int, y: int, x: int, w: int", expression, &json!({"w": 1})).unwrap_err();
        let names = ["x", "y", "z"].map(Arc::from).to_vec();
        assert_eq!(error, ConditionError::Missing { condition: Arc::from("c"), names }, "{expression}");
    }
}

#[test]
fn only_what_the_expression_refers_to_is_read() {
    let program = program("b: int, a: int, unread: int, i: int", "[1].exists(i, i == a) || b == a");
    assert_eq!(program.reads(), ["a", "b"].map(Arc::from));
    assert_eq!(&**program.name(), "c");
    let given = |name: &str| -> Option<&Json> {
        assert_ne!(name, "unread");
        None
    };
    program.evaluate(&given, None, &mut Budget::new(DEFAULT_MAX_STEPS)).unwrap_err();
}

#[test]
fn a_bound_is_never_made_irrelevant() {
    let program = program("x: list<int>", "x.all(i, x.all(j, i + j > 0)) || true");
    let given = json!({"x": vec![1; 100]});
    let mut budget = Budget::new(5_000);
    let error = program.evaluate(&|name| given.get(name), None, &mut budget).unwrap_err();
    assert!(matches!(error, ConditionError::Exceeded { limit: 5_000, .. }), "{error}");
    assert_eq!(budget.spent(), 5_000);
}

#[test]
fn the_budget_is_shared_by_the_evaluations_of_one_question() {
    let program = program("x: int", "x > 0");
    let given = json!({"x": 1});
    let mut budget = Budget::new(DEFAULT_MAX_STEPS);
    program.evaluate(&|name| given.get(name), None, &mut budget).unwrap();
    let once = budget.spent();
    program.evaluate(&|name| given.get(name), None, &mut budget).unwrap();
    assert_eq!(budget.spent(), 2 * once);
}
