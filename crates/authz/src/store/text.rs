//! Values as text: how origins measure them, and how they keep them.
//!
//! Invariant: equal values have one text, whatever order their names came in, so that a text that is found again says "the same".
//! (The reverse does not hold: `0.0` and `-0.0` are equal.) No text is written that could not be read back.

use std::fmt::Write;

use serde_json::Value;

use super::MAX_CONTEXT_DEPTH;
use crate::condition::Context;

/// Values that lie deeper in one another than [`MAX_CONTEXT_DEPTH`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooDeep;

/// The JSON object of a context, with all names in their order; nothing for an empty one.
pub(super) fn canonical(context: &Context) -> Result<String, TooDeep> {
    let mut text = String::new();
    if !context.is_empty() {
        object(&mut text, context.iter().map(|(name, value)| (&**name, value)), 1)?;
    }
    Ok(text)
}

/// Reads what [`canonical`] wrote, or whoever wrote a JSON object in its place.
pub(crate) fn parse(text: &str) -> Result<Context, serde_json::Error> {
    if text.is_empty() {
        return Ok(Context::default());
    }
    serde_json::from_str::<serde_json::Map<String, Value>>(text).map(Context::from)
}

fn value(text: &mut String, given: &Value, depth: usize) -> Result<(), TooDeep> {
    match given {
        Value::Array(items) => {
            let depth = below(depth)?;
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                value(text, item, depth)?;
            }
            text.push(']');
            Ok(())
        }
        Value::Object(members) => {
            let depth = below(depth)?;
            // The map may keep the order of insertion: that depends on what else is in the build.
            let mut members: Vec<(&str, &Value)> = members.iter().map(|(name, value)| (&**name, value)).collect();
            members.sort_unstable_by_key(|&(name, _)| name);
            object(text, members, depth)
        }
        plain => {
            // Writing to a string cannot fail.
            let _ = write!(text, "{plain}");
            Ok(())
        }
    }
}

fn object<'a>(
    text: &mut String,
    members: impl IntoIterator<Item = (&'a str, &'a Value)>,
    depth: usize,
) -> Result<(), TooDeep> {
    text.push('{');
    for (at, (name, member)) in members.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        let _ = write!(text, "{}:", Value::from(name));
        value(text, member, depth)?;
    }
    text.push('}');
    Ok(())
}

const fn below(depth: usize) -> Result<usize, TooDeep> {
    if depth >= MAX_CONTEXT_DEPTH { Err(TooDeep) } else { Ok(depth + 1) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context(value: Value) -> Context {
        let Value::Object(map) = value else { panic!("{value} is no object") };
        Context::from(map)
    }

    #[test]
    fn equal_values_have_one_text() {
        let one = context(json!({"b": {"y": [1, 2.5, null], "x": "é\"\n"}, "a": true}));
        assert_eq!(canonical(&one).unwrap(), r#"{"a":true,"b":{"x":"é\"\n","y":[1,2.5,null]}}"#);
        assert_eq!(canonical(&Context::default()).unwrap(), "");
    }

    #[test]
    fn what_was_written_reads_back_the_same() {
        let numbers = json!({"n": [0, -1, u64::MAX, i64::MIN, 0.1, 1e300, 5e-324, 0.1 + 0.2, 123_456_789.123_456_79]});
        for given in [context(numbers), context(json!({"": {"": []}})), Context::default()] {
            assert_eq!(parse(&canonical(&given).unwrap()).unwrap(), given);
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_refused() {
        let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        let deepest = context(json!({"a": nested(MAX_CONTEXT_DEPTH - 1)}));
        assert_eq!(parse(&canonical(&deepest).unwrap()).unwrap(), deepest);
        assert_eq!(canonical(&context(json!({"a": nested(MAX_CONTEXT_DEPTH)}))), Err(TooDeep));
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["{", "[]", "1", "null", "{\"a\":1}x", "{a:1}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
