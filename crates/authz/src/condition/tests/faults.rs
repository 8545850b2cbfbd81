//! What is refused when a model is written, with its place and its remedy.

use super::*;

fn told(parameters: &str, expression: &str) -> String {
    let faults = compile(parameters, expression).err().unwrap_or_default();
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    format!("{expression}\n    {}", faults.join("\n    "))
}

#[test]
fn types_that_do_not_go_together() {
    let parameters =
        "ip: ipaddress, n: int, name: string, names: list<string>, labels: map<int>, at: timestamp, x: any";
    let all = [
        "ip == 1",
        "\"a\" + 1",
        "n == 1.0",
        "n < 2u",
        "name && true",
        "!n",
        "n in names",
        "1 in labels",
        "names[\"a\"] == \"a\"",
        "labels.a == \"a\"",
        "name.a == 1",
        "at + 1 > at",
        "at.getHours(2) == 1",
        "n ? true : false",
        "true ? n == 1 : name",
        "names.all(s, s > 1)",
        "n.all(s, true)",
        "{1.5: 2}.size() == 1",
        "ip.in_cidr(ip)",
        "n",
        "x",
        "[x]",
        "n == null",
    ]
    .map(|expression| told(parameters, expression));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn names_that_nothing_declares() {
    let parameters = "current_time: timestamp, user_ip: ipaddress, name: string";
    let all = [
        "curent_time < timestamp(\"2024-01-01T00:00:00Z\")",
        "wholly_other == 1",
        "user_ip.in_cdir(\"10.0.0.0/8\")",
        "name.startswith(\"a\")",
        "startsWith(name, \"a\")",
        "name.int() == 1",
        "lower(name) == \"a\"",
        "name.lower() == \"a\"",
        "[1].all(x > 1)",
        "has(name)",
        "math.greatest(1, 2) == 2",
        "name.size(1) == 1",
        "size() == 1",
        "message{a: 1} == 1",
    ]
    .map(|expression| told(parameters, expression));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn constants_that_can_not_work() {
    let all = [
        "timestamp(\"soon\") < timestamp(\"2024-01-01T00:00:00+01:00\")",
        "duration(\"1d\") > duration(\"1h\")",
        "ipaddress(\"10.0.0.300\") == ip",
        "ip.in_cidr(\"10.0.0.0/33\")",
        "\"a\".matches(\"(\")",
        "at.getHours(\"Europe/Berlin\") > 8",
    ]
    .map(|expression| told("ip: ipaddress, at: timestamp", expression));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn text_that_can_not_be_read() {
    let all = [
        "",
        "x ==",
        "x === 1",
        "x = 1",
        "(x == 1",
        "x == 1)",
        "x == \"a",
        "x == 1 and x == 2",
        "x == 'a\nb'",
        "x == 99999999999999999999",
        "m.`a-b` == 1",
        "a.?b == 1",
        "x == '\\q'",
    ]
    .map(|expression| told("x: int", expression));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn all_faults_are_told_in_the_order_of_their_places() {
    insta::assert_snapshot!(told("n: int", "m == 1 &&\n  \"é\" == k &&\n  n == \"a\" || nn > 1"));
}

#[test]
fn bounds() {
    let many: Vec<_> = (0..26).map(|number| format!("p{number}: int")).collect();
    let deep = format!("x: {}int{}", "list<".repeat(9), ">".repeat(9));
    let nested = "[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))";
    let long = format!("\"{}\" == \"\"", "a".repeat(5000));
    let all = [
        compile(&many.join(","), "true"),
        compile("x: int, x: string", "true"),
        compile(&deep, "true"),
        compile("", nested),
        compile("", &long),
        compile("", &"(".repeat(100)),
        compile("", &["x == 1"; 40].join(" || ")),
    ]
    .map(|result| {
        let faults = result.expect_err("a fault");
        format!("{} of {}", faults[0], faults.len())
    });
    insta::assert_snapshot!(all.join("\n"));
}
