//! Kills as bytes, for a log that other processes and other releases read. What can't be read kills everything, and is never passed over.
//!
//! Cache types travel by name: their indices are each process's own. A reader that has no type of that name can't know what the writer
//! meant, so that everything dies there. The same goes for a kind of kill or a version that a later release brought, and for bytes that
//! were cut or damaged on their way: a checksum stands at their end.
//!
//! ```text
//! version  count  ( kind  length  body )*  checksum
//! 1 byte   LEB128  1 byte  LEB128           8 bytes, SipHash-1-3 under a public key
//! ```

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use crate::rule::IdMatch;
use crate::{CacheType, Kill, Rule, Tag};

/// The version of the encoding. A reader takes any other one for "everything".
const VERSION: u8 = 1;
/// The bytes of the checksum.
const CHECKSUM: usize = 8;

/// The kinds of kills, and below them the parts of a rule. They are part of the encoding: never renumber them.
mod kind {
    pub(super) const TAG: u8 = 1;
    pub(super) const TYPE: u8 = 2;
    pub(super) const RULE: u8 = 3;
    pub(super) const ALL: u8 = 4;

    pub(super) const OF_ANY_TYPE: u8 = 0;
    pub(super) const OF_ONE_TYPE: u8 = 1;

    pub(super) const ANY_ID: u8 = 0;
    pub(super) const EXACT_ID: u8 = 1;
    pub(super) const ID_PREFIX: u8 = 2;
}

impl Kill {
    /// What one change kills, as bytes.
    ///
    /// ```
    /// use cache_core::{CacheType, Kill, tag};
    /// const USER: CacheType = CacheType::new(0, "user");
    /// let kills = [Kill::Tag(tag!("user", 42)), Kill::Type(USER)];
    /// let bytes = Kill::encode_all(&kills);
    /// assert_eq!(Kill::decode_all(&bytes, &[USER]), kills);
    /// assert_eq!(Kill::decode_all(&bytes, &[]), [kills[0].clone(), Kill::All]); // who has no such type
    /// ```
    #[must_use]
    pub fn encode_all(kills: &[Self]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        number(&mut bytes, kills.len());
        let mut body = Vec::new();
        for kill in kills {
            body.clear();
            let kind = kill.write(&mut body);
            bytes.push(kind);
            field(&mut bytes, &body);
        }
        let checksum = checksum(&bytes);
        bytes.extend(checksum);
        bytes
    }

    /// The kills of some bytes, for a process that has these cache types. Whatever of them it can't read is [`Kill::All`].
    #[must_use]
    pub fn decode_all(bytes: &[u8], types: &[CacheType]) -> Vec<Self> {
        read_all(bytes, types).unwrap_or_else(|| vec![Self::All])
    }

    fn write(&self, body: &mut Vec<u8>) -> u8 {
        match self {
            Self::Tag(tag) => {
                body.extend(tag.hash().to_le_bytes());
                kind::TAG
            }
            Self::Type(cache_type) => {
                body.extend(cache_type.name().as_bytes());
                kind::TYPE
            }
            Self::Rule(rule) => {
                write_rule(rule, body);
                kind::RULE
            }
            Self::All => kind::ALL,
        }
    }

    fn read(kind: u8, body: &[u8], types: &[CacheType]) -> Option<Self> {
        match kind {
            kind::TAG => Some(Self::Tag(Tag::from_hash(u64::from_le_bytes(body.try_into().ok()?)))),
            kind::TYPE => Some(Self::Type(named(body, types)?)),
            kind::RULE => read_rule(body, types).map(Self::Rule),
            kind::ALL if body.is_empty() => Some(Self::All),
            _ => None,
        }
    }
}

fn read_all(bytes: &[u8], types: &[CacheType]) -> Option<Vec<Kill>> {
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    if checksum(content) != sum {
        return None;
    }
    let mut rest = Reader(content);
    if rest.byte()? != VERSION {
        return None;
    }
    let count = rest.number()?;
    let mut kills = Vec::new();
    for _ in 0..count {
        let kind = rest.byte()?;
        kills.push(Kill::read(kind, rest.field()?, types).unwrap_or(Kill::All));
    }
    rest.0.is_empty().then_some(kills)
}

fn write_rule(rule: &Rule, body: &mut Vec<u8>) {
    let Rule { cache_type, kind, id } = rule;
    match cache_type {
        None => body.push(kind::OF_ANY_TYPE),
        Some(cache_type) => {
            body.push(kind::OF_ONE_TYPE);
            field(body, cache_type.name().as_bytes());
        }
    }
    field(body, kind.as_bytes());
    match id {
        IdMatch::Any => body.push(kind::ANY_ID),
        IdMatch::Exactly(id) => {
            body.push(kind::EXACT_ID);
            field(body, id.as_bytes());
        }
        IdMatch::Prefix(id) => {
            body.push(kind::ID_PREFIX);
            field(body, id.as_bytes());
        }
    }
}

fn read_rule(body: &[u8], types: &[CacheType]) -> Option<Rule> {
    let mut rest = Reader(body);
    let cache_type = match rest.byte()? {
        kind::OF_ANY_TYPE => None,
        kind::OF_ONE_TYPE => Some(named(rest.field()?, types)?),
        _ => return None,
    };
    let kind = rest.text()?;
    let id = match rest.byte()? {
        kind::ANY_ID => IdMatch::Any,
        kind::EXACT_ID => IdMatch::Exactly(rest.text()?),
        kind::ID_PREFIX => IdMatch::Prefix(rest.text()?),
        _ => return None,
    };
    rest.0.is_empty().then_some(Rule { cache_type, kind, id })
}

fn named(name: &[u8], types: &[CacheType]) -> Option<CacheType> {
    types.iter().find(|known| known.name().as_bytes() == name).copied()
}

/// Accidents only: whoever may write to a log can kill anything anyway.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = SipHasher13::new_with_keys(0x7469_6572_6761_7465, 0x6b69_6c6c_732d_7631);
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}

/// Seven bits a byte, the lowest first, and the highest bit where more follow.
fn number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn field(bytes: &mut Vec<u8>, field: &[u8]) {
    number(bytes, field.len());
    bytes.extend(field);
}

/// What of the bytes is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = 0_u64;
        // Five groups of seven bits are more than any length here needs.
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
        }
        None
    }

    fn field(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    fn text(&mut self) -> Option<Box<str>> {
        std::str::from_utf8(self.field()?).ok().map(Into::into)
    }
}
