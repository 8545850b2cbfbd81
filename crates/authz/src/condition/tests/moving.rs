//! An outcome over the clock holds until the instant that it names.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// 2026-01-31T12:00:00Z
const NOON: u64 = 1_769_860_800_000;

fn at(parameters: &str, expression: &str, given: &Json, now: u64) -> Outcome {
    run(&program(parameters, expression), given, Some(("now", now)))
        .unwrap_or_else(|error| panic!("{expression}: {error}"))
}

#[test]
fn an_outcome_holds_until_the_first_instant_of_another() {
    let hour = 3_600_000;
    for (expression, met, until) in [
        ("now < timestamp('2026-01-31T13:00:00Z')", true, Some(NOON + hour)),
        ("now <= timestamp('2026-01-31T13:00:00Z')", true, Some(NOON + hour + 1)),
        ("now > timestamp('2026-01-31T13:00:00Z')", false, Some(NOON + hour + 1)),
        ("now >= timestamp('2026-01-31T13:00:00Z')", false, Some(NOON + hour)),
        ("now == timestamp('2026-01-31T13:00:00Z')", false, Some(NOON + hour)),
        ("now == timestamp('2026-01-31T12:00:00Z')", true, Some(NOON + 1)),
        ("now != timestamp('2026-01-31T11:00:00Z')", true, None),
        ("now < timestamp('2026-01-31T12:00:00Z')", false, None),
        ("now < timestamp('2026-01-31T12:00:00.0000001Z')", true, Some(NOON + 1)),
        ("now >= timestamp('2026-01-31T12:00:00Z')", true, None),
        ("timestamp('2026-01-31T13:00:00Z') > now", true, Some(NOON + hour)),
        ("now + duration('1h') < timestamp('2026-01-31T13:30:00Z')", true, Some(NOON + hour / 2)),
        ("timestamp('2026-01-31T13:00:00Z') - now > duration('20m')", true, Some(NOON + 40 * 60_000)),
        ("now - duration('24h') < now", true, None),
        ("now - now == duration('0s')", true, None),
        ("now.getHours() == 12", true, Some(NOON + hour)),
        ("now.getHours('+05:30') == 17", true, Some(NOON + hour / 2)),
        ("now.getDayOfWeek() == 6", true, Some(NOON + 12 * hour)),
        ("now.getMinutes() == 0", true, Some(NOON + 60_000)),
        ("int(now) == 1769860800", true, Some(NOON + 1000)),
        ("string(now) == '2026-01-31T12:00:00Z'", true, Some(NOON + 1)),
        ("now in [timestamp('2026-01-31T13:00:00Z'), timestamp('2026-01-31T12:30:00Z')]", false, Some(NOON + hour / 2)),
        ("true || now < timestamp('2026-01-31T13:00:00Z')", true, None),
        (
            "now < timestamp('2026-01-31T13:00:00Z') && now < timestamp('2026-01-31T12:10:00Z')",
            true,
            Some(NOON + 600_000),
        ),
        ("[now].all(t, t < timestamp('2026-01-31T13:00:00Z'))", true, Some(NOON + hour)),
        ("type(now) == type(timestamp(0))", true, None),
    ] {
        let outcome = at("now: timestamp", expression, &json!({}), NOON);
        assert_eq!(outcome, Outcome { met, until }, "{expression}");
    }
}

#[test]
fn a_time_that_was_given_stands_still() {
    let expression = "now < timestamp('2026-01-31T13:00:00Z')";
    let given = json!({"now": "2026-01-31T12:30:00Z"});
    let outcome = at("now: timestamp", expression, &given, NOON);
    assert_eq!(outcome, Outcome { met: true, until: None });
}

#[test]
fn the_clock_is_a_timestamp_or_nothing() {
    for kind in ["any", "string", "int"] {
        let program = program(&format!("now: {kind}"), "now == now");
        let error = run(&program, &json!({}), Some(("now", NOON))).unwrap_err();
        assert!(matches!(error, ConditionError::Missing { .. }), "{kind}");
    }
    let program = program("now: timestamp", "now == now");
    assert!(matches!(run(&program, &json!({}), None).unwrap_err(), ConditionError::Missing { .. }));
    assert!(matches!(run(&program, &json!({}), Some(("later", NOON))).unwrap_err(), ConditionError::Missing { .. }));
}

#[test]
fn a_failure_that_passes_with_time_does_not_hold() {
    // Early on the difference is more than a duration can be, so that the first operand fails until it is not.
    let expression = "timestamp('2400-01-01T00:00:00Z') - now > duration('0s') || true";
    let outcome = at("now: timestamp", expression, &json!({}), 0);
    assert_eq!(outcome, Outcome { met: true, until: Some(1) });
}

fn instant() -> impl Strategy<Value = String> {
    // Near to noon, at times not on a millisecond.
    (-400_000_000_i64..400_000_000, prop::sample::select(vec!["", "5", "000001"])).prop_map(|(offset, fine)| {
        let millis = i128::from(NOON) + i128::from(offset);
        let text = super::super::time::timestamp_text(millis * 1_000_000).unwrap_or_default();
        let text = text.trim_end_matches('Z');
        if text.contains('.') { format!("timestamp('{text}Z')") } else { format!("timestamp('{text}.000{fine}Z')") }
    })
}

fn span() -> impl Strategy<Value = String> {
    (-400_000_000_i64..400_000_000).prop_map(|millis| format!("duration('{millis}ms')"))
}

fn time() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![2 => Just("now".to_owned()), 1 => instant()];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), span()).prop_map(|(time, span)| format!("({time} + {span})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(one, two, three)| format!("({one} - ({two} - {three}))")),
        ]
    })
}

fn distance() -> impl Strategy<Value = String> {
    prop_oneof![
        span(),
        (time(), time()).prop_map(|(one, two)| format!("({one} - {two})")),
        (time(), time(), span()).prop_map(|(one, two, span)| format!("({one} - {two} + {span})")),
    ]
}

fn number() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["getHours", "getMinutes", "getSeconds", "getMilliseconds"]);
    let date = prop::sample::select(vec!["getDayOfWeek", "getDate", "getMonth", "getDayOfYear", "getFullYear"]);
    let zone = prop::sample::select(vec!["", "'+02:00'", "'-05:30'"]);
    prop_oneof![
        (time(), part.clone(), zone.clone()).prop_map(|(time, part, zone)| format!("{time}.{part}({zone})")),
        (time(), date, zone).prop_map(|(time, part, zone)| format!("{time}.{part}({zone})")),
        (distance(), part).prop_map(|(distance, part)| format!("{distance}.{part}()")),
        time().prop_map(|time| format!("int({time})")),
        distance().prop_map(|distance| format!("int({distance})")),
        (-100_i64..100).prop_map(|number| number.to_string()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let operator = || prop::sample::select(vec!["<", "<=", ">", ">=", "==", "!="]);
    let leaf = prop_oneof![
        3 => (time(), operator(), time()).prop_map(|(one, operator, two)| format!("{one} {operator} {two}")),
        3 => (distance(), operator(), distance()).prop_map(|(one, operator, two)| format!("{one} {operator} {two}")),
        2 => (number(), operator(), number()).prop_map(|(one, operator, two)| format!("{one} {operator} {two}")),
        1 => (time(), time(), time()).prop_map(|(one, two, three)| format!("{one} in [{two}, {three}]")),
        1 => (time(), time()).prop_map(|(one, two)| format!("string({one}) < string({two})")),
        1 => (time(), time()).prop_map(|(one, two)| format!("{{'a': {one}}} == {{'a': {two}}}")),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("({one} && {two})")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("({one} || {two})")),
            inner.clone().prop_map(|one| format!("!({one})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(one, two, three)| format!("({one} ? {two} : {three})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_changes_before_the_instant_that_was_named(
        expression in condition(),
        now in NOON - 400_000_000..NOON + 400_000_000,
        fractions in prop::collection::vec(0.0_f64..1.0, 12),
    ) {
        let Ok(program) = compile("now: timestamp", &expression) else { return Ok(()) };
        let outcome = run(&program, &json!({}), Some(("now", now)));
        let Ok(outcome) = outcome else { return Ok(()) };
        // What never changes is looked at over many years.
        let until = outcome.until.unwrap_or(now + 4_000_000_000);
        prop_assert!(until > now);
        let within = u64::from(until - now > 1) * (until - now - 1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any instant within will do")]
        let instants = fractions.iter().map(|fraction| now + (within as f64 * fraction) as u64);
        let near = [1, 2, 1000, 60_000].map(|step| now + within.min(step));
        let late = [0, 1, 2, 999].map(|step| (until - 1).saturating_sub(step).max(now));
        for instant in instants.chain(near).chain(late) {
            let then = run(&program, &json!({}), Some(("now", instant)));
            prop_assert_eq!(then.map(|then| then.met), Ok(outcome.met), "{} at {} of {}..{}", expression, instant, now, until);
        }
    }
}
