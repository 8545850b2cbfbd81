//! Names and identifiers: checked once at the edge, and trusted everywhere behind it.
//!
//! A type name and a relation name hold no `:`, `#`, `@`, `*` or white space; an id holds no `#` and nothing invisible, and
//! is not `*` alone. So that `type:id#relation` splits in one way only: at its first `:`, then at its only `#`.

use std::fmt;
use std::sync::Arc;

/// Shared, immutable text.
pub type Text = Arc<str>;

/// The longest type name, in bytes.
pub const MAX_TYPE_BYTES: usize = 254;
/// The longest relation name, in bytes.
pub const MAX_RELATION_BYTES: usize = 50;
/// The longest id of an object, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// A thing with a type and an id: `document:budget`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// Its type's name.
    pub type_name: Text,
    /// Its id among the objects of that type.
    pub id: Text,
}

/// Who a relationship is given to, or asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// One object: `user:ann`.
    Object(Object),
    /// Everybody in a relation to an object: `team:9#member`.
    Userset {
        /// The object.
        object: Object,
        /// The relation.
        relation: Text,
    },
    /// Every object of a type: `user:*`.
    Wildcard {
        /// The type's name.
        type_name: Text,
    },
}

/// The kind of a subject: its type, and its relation if it is a userset. Enumerations ask for one kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubjectKind {
    /// The type's name.
    pub type_name: Text,
    /// The relation of a userset; none for plain objects.
    pub relation: Option<Text>,
}

/// Why a name or an id was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IdentError {
    /// Nothing where something is needed.
    #[error("{what} is empty; give one of 1 to {max} bytes")]
    Empty {
        /// What was read: "the type", "the relation", "the id".
        what: &'static str,
        /// The most bytes it may have.
        max: usize,
    },
    /// Longer than the bound.
    #[error("{what} has {length} bytes; at most {max} are allowed")]
    TooLong {
        /// What was read.
        what: &'static str,
        /// How long it is, in bytes.
        length: usize,
        /// The most bytes it may have.
        max: usize,
    },
    /// A character that would make the notation ambiguous, or that nobody can see.
    #[error("{what} holds {character:?} at byte {at}; remove it ({rule})")]
    Character {
        /// What was read.
        what: &'static str,
        /// The character.
        character: char,
        /// Its byte offset.
        at: usize,
        /// What is allowed.
        rule: &'static str,
    },
    /// No `:` between type and id.
    #[error("{text:?} names no type; write it as type:id, for example user:ann")]
    NoType {
        /// What was read, cut to 64 characters.
        text: String,
    },
    /// `type:*` where one object is needed.
    #[error("{text:?} is a wildcard; name one object here, for example user:ann")]
    Wildcard {
        /// What was read, cut to 64 characters.
        text: String,
    },
    /// `type:id#relation` where one object is needed.
    #[error("{text:?} is a userset; name one object here, for example team:9")]
    Userset {
        /// What was read, cut to 64 characters.
        text: String,
    },
}

impl Object {
    /// An object of checked parts.
    ///
    /// # Errors
    /// Where a part is empty, too long, or holds a character that it may not.
    pub fn new(type_name: &str, id: &str) -> Result<Self, IdentError> {
        Ok(Self { type_name: check_type(type_name)?, id: check_id(id)? })
    }

    /// Reads `type:id`.
    ///
    /// # Errors
    /// Where it isn't one object in that notation.
    pub fn parse(text: &str) -> Result<Self, IdentError> {
        match Subject::parse(text)? {
            Subject::Object(object) => Ok(object),
            Subject::Userset { .. } => Err(IdentError::Userset { text: excerpt(text) }),
            Subject::Wildcard { .. } => Err(IdentError::Wildcard { text: excerpt(text) }),
        }
    }
}

impl Subject {
    /// One object as a subject.
    ///
    /// # Errors
    /// As [`Object::new`].
    pub fn object(type_name: &str, id: &str) -> Result<Self, IdentError> {
        Object::new(type_name, id).map(Self::Object)
    }

    /// Reads `type:id`, `type:id#relation` or `type:*`.
    ///
    /// # Errors
    /// Where it is none of these.
    pub fn parse(text: &str) -> Result<Self, IdentError> {
        let Some((type_name, rest)) = text.split_once(':') else {
            return Err(IdentError::NoType { text: excerpt(text) });
        };
        if rest == "*" {
            return Ok(Self::Wildcard { type_name: check_type(type_name)? });
        }
        match rest.split_once('#') {
            None => Ok(Self::Object(Object::new(type_name, rest)?)),
            Some((id, relation)) => {
                Ok(Self::Userset { object: Object::new(type_name, id)?, relation: check_relation(relation)? })
            }
        }
    }

    /// The type of the subject, or of the object that its userset belongs to.
    #[must_use]
    pub fn type_name(&self) -> &Text {
        match self {
            Self::Object(object) | Self::Userset { object, .. } => &object.type_name,
            Self::Wildcard { type_name } => type_name,
        }
    }

    /// The id; `*` for a wildcard.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Object(object) | Self::Userset { object, .. } => &object.id,
            Self::Wildcard { .. } => "*",
        }
    }

    /// The relation of a userset.
    #[must_use]
    pub fn relation(&self) -> Option<&Text> {
        match self {
            Self::Userset { relation, .. } => Some(relation),
            Self::Object(_) | Self::Wildcard { .. } => None,
        }
    }

    /// Its kind. A wildcard has the kind of its type's plain objects.
    #[must_use]
    pub fn kind(&self) -> SubjectKind {
        SubjectKind { type_name: self.type_name().clone(), relation: self.relation().cloned() }
    }
}

/// A checked type name.
///
/// # Errors
/// Where it is empty, too long, or holds a character that it may not.
pub fn check_type(name: &str) -> Result<Text, IdentError> {
    check_name("the type", name, MAX_TYPE_BYTES)
}

/// A checked relation name.
///
/// # Errors
/// As [`check_type`].
pub fn check_relation(name: &str) -> Result<Text, IdentError> {
    check_name("the relation", name, MAX_RELATION_BYTES)
}

/// A checked id.
///
/// # Errors
/// As [`check_type`].
pub fn check_id(id: &str) -> Result<Text, IdentError> {
    const RULE: &str = "an id is visible text without # and white space, and not * alone";
    check_length("the id", id, MAX_ID_BYTES)?;
    if id == "*" {
        return Err(IdentError::Character { what: "the id", character: '*', at: 0, rule: RULE });
    }
    // Most ids are plain: a look at their bytes is enough.
    if id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Ok(Text::from(id));
    }
    match id.char_indices().find(|&(_, c)| c == '#' || !is_visible(c)) {
        None => Ok(Text::from(id)),
        Some((at, character)) => Err(IdentError::Character { what: "the id", character, at, rule: RULE }),
    }
}

fn check_name(what: &'static str, name: &str, max: usize) -> Result<Text, IdentError> {
    const RULE: &str = "a name is visible text without : # @ * and white space";
    check_length(what, name, max)?;
    if name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b':' | b'#' | b'@' | b'*')) {
        return Ok(Text::from(name));
    }
    match name.char_indices().find(|&(_, c)| matches!(c, ':' | '#' | '@' | '*') || !is_visible(c)) {
        None => Ok(Text::from(name)),
        Some((at, character)) => Err(IdentError::Character { what, character, at, rule: RULE }),
    }
}

fn check_length(what: &'static str, text: &str, max: usize) -> Result<(), IdentError> {
    match text.len() {
        0 => Err(IdentError::Empty { what, max }),
        length if length > max => Err(IdentError::TooLong { what, length, max }),
        _ => Ok(()),
    }
}

/// Neither white space nor a control character nor a mark that changes how its neighbours look (zero width, direction).
fn is_visible(c: char) -> bool {
    !(c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'))
}

fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.type_name, self.id)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(object) => fmt::Display::fmt(object, f),
            Self::Userset { object, relation } => write!(f, "{object}#{relation}"),
            Self::Wildcard { type_name } => write!(f, "{type_name}:*"),
        }
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_reads_back_as_it_was_written() {
        for text in ["user:ann", "team:9#member", "user:*", "doc:https://example.org/a?b=c", "user:beth@example.org"] {
            assert_eq!(Subject::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn hostile_identifiers_are_refused_with_the_place() {
        for text in
            ["", "user", "user:", ":ann", "user:a b", "user:a\0", "user:a\r\n", "us er:ann", "team:9#", "team:9#a#b"]
        {
            assert!(Subject::parse(text).is_err(), "{text:?} must be refused");
        }
        assert!(Subject::parse(&format!("user:{}", "x".repeat(1 << 20))).is_err());
        assert!(Subject::parse("user:an\u{200B}n").is_err(), "an invisible character makes two ids look alike");
        assert_eq!(
            Object::new("user", "a#b").unwrap_err().to_string(),
            "the id holds '#' at byte 1; remove it (an id is visible text without # and white space, and not * alone)"
        );
    }

    #[test]
    fn an_object_is_neither_a_userset_nor_a_wildcard() {
        assert!(matches!(Object::parse("team:9#member"), Err(IdentError::Userset { .. })));
        assert!(matches!(Object::parse("user:*"), Err(IdentError::Wildcard { .. })));
    }
}
