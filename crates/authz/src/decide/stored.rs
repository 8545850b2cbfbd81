//! Cached values as bytes, for tiers outside of this process. Reading is total: bytes that no value of this schema has are none, whatever
//! they claim, and cost no more memory than a small multiple of their length.
//!
//! One byte says which value it is, and of a decision or of the presence of a relationship no more is needed. Then follow, for
//!
//! - a condition: its name and its context;
//! - members: how many, and of each its id, with one bit for whether a condition follows;
//! - objects: how many, and their ids;
//! - users: the names of types and relations, each once; how many subjects, and of each the place of its type with its kind, its id, and the
//!   place of its relation.
//!
//! Numbers are unsigned LEB128 of at most 32 bits, texts come after their length. A context is the JSON of its values, their names in order: the only form in
//! which a value of JSON keeps its kind of number and every bit of it. By hand, because lists share the names of their types only if somebody
//! shares them, both in the bytes and in memory afterwards.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use cache_core::StoredValue;
use serde_json::{Map, Value};

use super::list::MAX_CACHED_ITEMS;
use super::value::CachedValue;
use crate::condition::Context;
use crate::relation::{Member, Object, Presence, RelationshipCondition, Subject, Text, check_id, check_type};

/// What a value is.
mod kind {
    pub(super) const DENY: u8 = 0;
    pub(super) const ALLOW: u8 = 1;
    pub(super) const ABSENT: u8 = 2;
    pub(super) const PRESENT: u8 = 3;
    pub(super) const CONDITIONAL: u8 = 4;
    pub(super) const SUBJECTS: u8 = 5;
    pub(super) const OBJECTS: u8 = 6;
    pub(super) const USERS: u8 = 7;
}

/// What a subject is.
mod subject {
    pub(super) const OBJECT: usize = 0;
    pub(super) const USERSET: usize = 1;
    pub(super) const WILDCARD: usize = 2;
    /// How many kinds there are.
    pub(super) const KINDS: usize = 3;
}

impl StoredValue for CachedValue {
    const SCHEMA: u16 = 1;

    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Decision(false) => bytes.push(kind::DENY),
            Self::Decision(true) => bytes.push(kind::ALLOW),
            Self::Exists(Presence::Absent) => bytes.push(kind::ABSENT),
            Self::Exists(Presence::Present) => bytes.push(kind::PRESENT),
            Self::Exists(Presence::Conditional(condition)) => {
                bytes.push(kind::CONDITIONAL);
                write_condition(bytes, condition);
            }
            Self::Subjects(members) => {
                bytes.push(kind::SUBJECTS);
                write_number(bytes, members.len());
                members.iter().for_each(|member| write_member(bytes, member));
            }
            Self::Objects(ids) => {
                bytes.push(kind::OBJECTS);
                write_number(bytes, ids.len());
                ids.iter().for_each(|id| write_text(bytes, id.as_bytes()));
            }
            Self::Users(subjects) => {
                bytes.push(kind::USERS);
                write_subjects(bytes, subjects);
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: bytes };
        let value = match reader.byte()? {
            kind::DENY => Self::Decision(false),
            kind::ALLOW => Self::Decision(true),
            kind::ABSENT => Self::Exists(Presence::Absent),
            kind::PRESENT => Self::Exists(Presence::Present),
            kind::CONDITIONAL => Self::Exists(Presence::Conditional(reader.condition()?)),
            kind::SUBJECTS => Self::Subjects(Arc::new(reader.list(Reader::member)?)),
            kind::OBJECTS => Self::Objects(Arc::new(reader.list(|reader| check_id(reader.text()?).ok())?)),
            kind::USERS => {
                let names: Vec<Text> = reader.list(|reader| check_type(reader.text()?).ok())?;
                Self::Users(Arc::new(reader.list(|reader| reader.subject(&names))?))
            }
            _ => return None,
        };
        reader.rest.is_empty().then_some(value)
    }
}

fn write_number(bytes: &mut Vec<u8>, number: usize) {
    // No length that a cache holds is near to this; one that were would be read as another, with bytes left over, and so as no value.
    let mut number = u32::try_from(number).unwrap_or(u32::MAX);
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn write_text(bytes: &mut Vec<u8>, text: &[u8]) {
    write_number(bytes, text.len());
    bytes.extend_from_slice(text);
}

fn write_condition(bytes: &mut Vec<u8>, condition: &RelationshipCondition) {
    let RelationshipCondition { name, context } = condition;
    write_text(bytes, name.as_bytes());
    let values: BTreeMap<&str, &Value> = context.iter().map(|(name, value)| (&**name, value)).collect();
    // Values of JSON can be written as JSON. If one could not, nothing stands there, which is not even an empty context.
    write_text(bytes, &serde_json::to_vec(&values).unwrap_or_default());
}

fn write_member(bytes: &mut Vec<u8>, member: &Member) {
    let Member { id, condition } = member;
    write_number(bytes, id.len() << 1 | usize::from(condition.is_some()));
    bytes.extend_from_slice(id.as_bytes());
    if let Some(condition) = condition {
        write_condition(bytes, condition);
    }
}

fn write_subjects(bytes: &mut Vec<u8>, subjects: &[Subject]) {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for subject in subjects {
        for name in std::iter::once(subject.type_name()).chain(subject.relation()) {
            places.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            });
        }
    }
    write_number(bytes, names.len());
    names.iter().for_each(|name| write_text(bytes, name.as_bytes()));
    write_number(bytes, subjects.len());
    for subject in subjects {
        let (kind, id, relation) = match subject {
            Subject::Object(Object { type_name: _, id }) => (subject::OBJECT, Some(id), None),
            Subject::Userset { object: Object { type_name: _, id }, relation } => {
                (subject::USERSET, Some(id), Some(relation))
            }
            Subject::Wildcard { type_name: _ } => (subject::WILDCARD, None, None),
        };
        write_number(bytes, places[&**subject.type_name()] * subject::KINDS + kind);
        id.into_iter().for_each(|id| write_text(bytes, id.as_bytes()));
        relation.into_iter().for_each(|relation| write_number(bytes, places[&**relation]));
    }
}

/// What is left to be read. Every step is none where the bytes don't say what is asked.
struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = 0_u32;
        for shift in (0..u32::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u32::from(byte & 0x7F);
            // Of the fifth byte four bits have a place.
            number |= bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits)?;
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = self.number()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    /// So many items as are said, each of which takes a byte at least.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number().filter(|count| *count <= self.rest.len().min(MAX_CACHED_ITEMS))?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }

    fn condition(&mut self) -> Option<Arc<RelationshipCondition>> {
        let name = Text::from(self.text()?);
        let values: Map<String, Value> = serde_json::from_str(self.text()?).ok()?;
        Some(Arc::new(RelationshipCondition { name, context: Context::from(values) }))
    }

    fn member(&mut self) -> Option<Member> {
        let length_and_mark = self.number()?;
        let id = check_id(std::str::from_utf8(self.bytes(length_and_mark >> 1)?).ok()?).ok()?;
        let condition = if length_and_mark & 1 == 1 { Some(self.condition()?) } else { None };
        Some(Member { id, condition })
    }

    fn subject(&mut self, names: &[Text]) -> Option<Subject> {
        let place_and_kind = self.number()?;
        let type_name = names.get(place_and_kind / subject::KINDS)?.clone();
        let kind = place_and_kind % subject::KINDS;
        if kind == subject::WILDCARD {
            return Some(Subject::Wildcard { type_name });
        }
        let object = Object { type_name, id: check_id(self.text()?).ok()? };
        if kind == subject::OBJECT {
            return Some(Subject::Object(object));
        }
        Some(Subject::Userset { object, relation: names.get(self.number()?)?.clone() })
    }
}
