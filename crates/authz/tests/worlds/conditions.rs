//! The conditions of worlds, and what they mean: written down once more, without the language that they are written in.

use std::collections::BTreeMap;
use std::sync::Arc;

use authz::condition::Context;
use authz::model::{ConditionDefinition, Parameter, ParameterType};
use authz::relation::{Object, RelationshipCondition, Subject, Text};
use fastrand::Rng;
use serde_json::{Value, json};

/// The time at which every world begins, in milliseconds since the Unix epoch: 2026-01-01.
pub(crate) const BEGIN: u64 = 1_767_225_600_000;
/// Grants end after so many of these.
const STEP_MS: u64 = 20_000;

/// The names of the conditions.
pub(crate) const NAMES: [&str; 5] = ["level", "network", "until", "either", "trusted"];

/// What is outside of relationships: the time, and stored properties.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Surroundings {
    pub(crate) now: u64,
    /// How far each object is trusted.
    pub(crate) trust: BTreeMap<Object, u8>,
}

pub(crate) fn definitions() -> Vec<ConditionDefinition> {
    let define = |name: &str, parameters: &[(&str, ParameterType)], expression: &str| ConditionDefinition {
        name: name.into(),
        parameters: parameters
            .iter()
            .map(|(name, kind)| Parameter { name: Text::from(*name), kind: kind.clone() })
            .collect(),
        expression: expression.to_owned(),
        module: None,
        place: None,
        expression_place: None,
    };
    let map = ParameterType::Map(Box::new(ParameterType::Any));
    vec![
        define("level", &[("level", ParameterType::Int), ("needed", ParameterType::Int)], "level >= needed"),
        define("network", &[("ip", ParameterType::IpAddress), ("net", ParameterType::String)], "ip.in_cidr(net)"),
        define(
            "until",
            &[("current_time", ParameterType::Timestamp), ("until", ParameterType::Timestamp)],
            "current_time < until",
        ),
        define("either", &[("open", ParameterType::Bool), ("level", ParameterType::Int)], "open || level > 1"),
        define("trusted", &[("subject", map)], "subject.properties.trust > 1"),
    ]
}

/// A condition with the values that a relationship brings.
pub(crate) fn draw(name: &Text, rng: &mut Rng) -> Arc<RelationshipCondition> {
    let values: Vec<(&str, Value)> = match &**name {
        "level" => vec![("needed", json!(rng.u8(..4)))],
        "network" => vec![("net", json!(["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"][rng.usize(..3)]))],
        "until" => vec![("until", json!(timestamp(BEGIN + STEP_MS * rng.u64(..8))))],
        "either" if rng.bool() => vec![("open", json!(rng.bool()))],
        _ => Vec::new(),
    };
    let context = Context::new(values.into_iter().map(|(name, value)| (Text::from(name), value)));
    Arc::new(RelationshipCondition { name: name.clone(), context })
}

/// What a question brings. With everything that conditions may want, or with gaps.
pub(crate) fn draw_context(whole: bool, rng: &mut Rng) -> Context {
    let mut values = Vec::new();
    let mut give = |name: &str, value: Value| values.push((Text::from(name), value));
    let is_given = |rng: &mut Rng, of: u8| whole || rng.u8(..of) > 0;
    if is_given(rng, 8) {
        give("level", json!(rng.u8(..4)));
    }
    if is_given(rng, 8) {
        give("ip", json!(["10.1.2.3", "10.9.9.9", "192.0.2.1", "2001:db8::7"][rng.usize(..4)]));
    }
    if is_given(rng, 8) {
        give("open", json!(rng.u8(..4) == 0));
    }
    if whole || rng.u8(..3) == 0 {
        give("current_time", json!(timestamp(BEGIN + STEP_MS * rng.u64(..8))));
    }
    if whole || rng.u8(..4) == 0 {
        give("subject", json!({ "properties": { "trust": rng.u8(..4) } }));
    }
    if rng.u8(..3) == 0 {
        give("of no interest", json!(rng.u8(..100)));
    }
    Context::new(values)
}

/// What a condition means; none where it lacks something.
pub(crate) fn meaning(
    condition: &RelationshipCondition,
    subject: &Subject,
    given: &Context,
    around: &Surroundings,
) -> Option<bool> {
    let value = |name: &str| condition.context.get(name).or_else(|| given.get(name));
    let number = |name: &str| value(name)?.as_u64();
    let time = |name: &str| Some(millis(value(name)?.as_str()?));
    match &*condition.name {
        "level" => Some(number("level")? >= number("needed")?),
        "network" => {
            let (ip, net) = (value("ip")?.as_str()?, value("net")?.as_str()?);
            Some(match net {
                "10.0.0.0/8" => ip.starts_with("10."),
                "10.1.0.0/16" => ip.starts_with("10.1."),
                _ => ip.starts_with("2001:db8:"),
            })
        }
        "until" => Some(time("current_time").unwrap_or(around.now) < time("until")?),
        "either" => match (value("open").and_then(Value::as_bool), number("level").map(|level| level > 1)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        },
        "trusted" => {
            let trust = match (given.get("subject"), subject) {
                (Some(subject), _) => subject["properties"]["trust"].as_u64(),
                (None, Subject::Object(object)) => around.trust.get(object).map(|trust| u64::from(*trust)),
                (None, _) => None,
            };
            Some(trust? > 1)
        }
        other => panic!("no world has a condition {other}"),
    }
}

fn timestamp(millis: u64) -> String {
    let seconds = (millis - BEGIN) / 1_000;
    format!("2026-01-01T{:02}:{:02}:{:02}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The other way round, for what [`timestamp`] wrote.
fn millis(text: &str) -> u64 {
    let part = |from: usize| text[from..from + 2].parse::<u64>().expect("two digits");
    BEGIN + 1_000 * (part(11) * 3_600 + part(14) * 60 + part(17))
}
