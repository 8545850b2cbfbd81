//! A look over a JSON text before anybody reads it: no key twice in one object, no endless nesting, no number out of range.
//!
//! Parsers disagree about which of two equal keys counts. Where a proxy in front of us takes the one and we take the other, it
//! has approved another request than the one that we answer. So no such text is read at all, wherever in it the key stands.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;

/// The deepest nesting of arrays and objects.
const MAX_DEPTH: usize = 64;
/// Objects with more keys remember them in a set, so that looking for a second one stays cheap.
const FEW_KEYS: usize = 16;

/// Whether a text may be read.
///
/// # Errors
/// With line and column of the first fault.
pub(crate) fn check(text: &str) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Look { depth: 0 }.deserialize(&mut reader)?;
    reader.end()
}

#[derive(Clone, Copy)]
struct Look {
    depth: usize,
}

impl Look {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth {
            MAX_DEPTH => Err(E::custom(format_args!("more than {MAX_DEPTH} levels of arrays and objects"))),
            depth => Ok(Self { depth: depth + 1 }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Look {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = Seen::default();
        while let Some(key) = entries.next_key_seed(Key)? {
            if let Some(twice) = seen.again(key) {
                let shown: String = twice.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("the key {shown:?} stands twice in one object")));
            }
            entries.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// The keys of one object.
#[derive(Default)]
struct Seen<'de> {
    few: SmallVec<[Cow<'de, str>; FEW_KEYS]>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Seen<'de> {
    /// Remembers a key, and gives it back where it was there before.
    fn again(&mut self, key: Cow<'de, str>) -> Option<Cow<'de, str>> {
        if self.few.contains(&key) || self.many.contains(&key) {
            return Some(key);
        }
        if self.few.len() < FEW_KEYS {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        None
    }
}

/// Reads a key without copying it where it holds no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        check(text).unwrap_err().to_string()
    }

    #[test]
    fn a_key_that_stands_twice_is_found_at_every_depth_and_in_every_spelling() {
        let place = r#"the key "a" stands twice in one object at line 1 column "#;
        assert_eq!(fault(r#"{"a":1,"a":2}"#), format!("{place}10"));
        assert!(fault(r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#).starts_with(place));
        assert!(fault(r#"{"a":1,"\u0061":2}"#).starts_with(place), "an escape is the same key");
    }

    #[test]
    fn the_same_key_in_different_objects_is_no_fault() {
        assert!(check(r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#).is_ok());
    }

    #[test]
    fn an_object_of_many_keys_is_looked_through_in_linear_time() {
        let keys: Vec<String> = (0..100_000).map(|number| format!("\"k{number}\":0")).collect();
        assert!(check(&format!("{{{}}}", keys.join(","))).is_ok());
        assert!(fault(&format!("{{{},\"k77\":0}}", keys.join(","))).starts_with("the key \"k77\" stands twice"));
        assert!(fault(&format!("{{{},\"k3\":0}}", keys.join(","))).starts_with("the key \"k3\" stands twice"));
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        assert!(fault(&nested(MAX_DEPTH + 1)).starts_with("more than 64 levels"));
        assert!(fault(&nested(10_000)).starts_with("more than 64 levels"));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{}{}", "nul", "{\"a\":1e999}", "{\"a\":\"\\ud800\"}", "{\"a\":01}", "'a'", "{a:1}"] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
