//! Patterns: what an administrator writes, parsed into a typed matcher over the fields of a request.
//!
//! `TYPE:*` is a cache type, `TYPE:KIND:ID:*` the values of that type whose key names an entity, `*` in place of a type all types. An id may
//! end in `*`, which matches what it begins with. Nothing of a pattern ever reaches a backend.

use crate::{CacheKey, CacheType, Tag, TypeSet, entity_tag};

/// The longest pattern, in bytes.
pub const MAX_PATTERN_BYTES: usize = 1_024;

/// What an invalidation kills.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kill {
    /// What carries a tag.
    Tag(Tag),
    /// What is of a cache type, or composed of a part that is.
    Type(CacheType),
    /// What a rule matches.
    Rule(Rule),
    /// Everything.
    All,
}

/// A matcher that is no single tag and no whole type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    pub(crate) cache_type: Option<CacheType>,
    pub(crate) kind: Box<str>,
    pub(crate) id: IdMatch,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum IdMatch {
    Any,
    Exactly(Box<str>),
    Prefix(Box<str>),
}

/// Why a pattern was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("pattern {pattern:?}: {fault}; write TYPE:*, TYPE:KIND:ID:* or *:KIND:ID:*, for example {example}")]
pub struct PatternError {
    pattern: String,
    fault: String,
    example: String,
}

impl Kill {
    /// Reads a pattern. What is equal to a tag or to a type becomes that; anything else becomes a rule.
    ///
    /// # Errors
    /// Where the pattern has another form, or names a cache type that is not among `types`.
    pub fn parse_pattern(pattern: &str, types: &[CacheType]) -> Result<Self, PatternError> {
        let refuse = |fault: String| PatternError {
            pattern: pattern.chars().take(64).collect(),
            fault,
            example: types.first().map_or_else(|| "*:user:ann:*".to_owned(), |known| format!("{}:*", known.name())),
        };
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(refuse(format!("it has {} bytes, at most {MAX_PATTERN_BYTES} are allowed", pattern.len())));
        }
        if pattern.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(refuse("it holds white space or a control character".to_owned()));
        }
        if pattern == "*" {
            return Ok(Self::All);
        }
        let Some((type_name, rest)) = pattern.split_once(':') else {
            return Err(refuse("it has no colon".to_owned()));
        };
        let cache_type = match type_name {
            "*" => None,
            name => match types.iter().find(|known| known.name() == name) {
                Some(known) => Some(*known),
                None => {
                    let known: Vec<_> = types.iter().map(|known| known.name()).collect();
                    return Err(refuse(format!("{name:?} is no cache type (there are {})", known.join(", "))));
                }
            },
        };
        if rest == "*" {
            return Ok(cache_type.map_or(Self::All, Self::Type));
        }
        let Some(middle) = rest.strip_suffix(":*") else {
            return Err(refuse("it does not end in :*".to_owned()));
        };
        let Some((kind, id)) = middle.split_once(':') else {
            return Err(refuse(format!("{middle:?} is not KIND:ID")));
        };
        if kind.is_empty() || kind.contains('*') {
            return Err(refuse(format!("{kind:?} is no kind of entity")));
        }
        let id = match id.split_once('*') {
            None if id.is_empty() => return Err(refuse("the id is empty".to_owned())),
            None => IdMatch::Exactly(id.into()),
            Some(("", "")) => IdMatch::Any,
            Some((prefix, "")) => IdMatch::Prefix(prefix.into()),
            Some(_) => return Err(refuse("in an id, * may stand at the end only".to_owned())),
        };
        Ok(match (cache_type, id) {
            (None, IdMatch::Exactly(id)) => Self::Tag(entity_tag(kind, &id)),
            (cache_type, id) => Self::Rule(Rule { cache_type, kind: kind.into(), id }),
        })
    }
}

impl Rule {
    /// Whether a value under `key`, made of parts of `types`, is matched.
    ///
    /// The entities of a composed value's parts are known by their tags alone, which a prefix can't be compared with. So a composed value is
    /// matched where its parts might be: too much is killed, never too little.
    #[must_use]
    pub fn matches(&self, key: &dyn CacheKey, types: TypeSet) -> bool {
        if self.cache_type.is_some_and(|cache_type| !types.contains(cache_type)) {
            return false;
        }
        if types.is_composed() {
            return true;
        }
        let mut found = false;
        key.entities(&mut |kind, id| {
            found |= *kind == *self.kind
                && match &self.id {
                    IdMatch::Any => true,
                    IdMatch::Exactly(exact) => *id == **exact,
                    IdMatch::Prefix(prefix) => id.starts_with(&**prefix),
                };
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyEncoder;

    const RIGHTS: CacheType = CacheType::new(0, "generation_rights");
    const ACCESS: CacheType = CacheType::new(1, "team_access");

    struct Asked;

    impl CacheKey for Asked {
        fn cache_type(&self) -> CacheType {
            RIGHTS
        }

        fn encode(&self, _: &mut KeyEncoder) {}

        fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
            visit("user", "ann");
            visit("generation", "9:a");
        }
    }

    fn parse(pattern: &str) -> Result<Kill, PatternError> {
        Kill::parse_pattern(pattern, &[RIGHTS, ACCESS])
    }

    #[test]
    fn what_is_a_tag_a_type_or_everything_becomes_just_that() {
        assert_eq!(parse("generation_rights:*").unwrap(), Kill::Type(RIGHTS));
        assert_eq!(parse("*:user:ann:*").unwrap(), Kill::Tag(entity_tag("user", "ann")));
        assert_eq!(parse("*:generation:9:a:*").unwrap(), Kill::Tag(entity_tag("generation", "9:a")));
        assert_eq!(parse("*:*").unwrap(), Kill::All);
        assert_eq!(parse("*").unwrap(), Kill::All);
    }

    #[test]
    fn a_rule_matches_the_fields_of_the_request() {
        let matches = |pattern: &str| match parse(pattern).unwrap() {
            Kill::Rule(rule) => rule.matches(&Asked, TypeSet::of(RIGHTS)),
            other => panic!("{pattern} became {other:?}"),
        };
        assert!(matches("generation_rights:user:ann:*"));
        assert!(matches("*:user:a*:*"));
        assert!(matches("generation_rights:user:*:*"));
        assert!(matches("*:generation:9:*:*"));
        assert!(!matches("team_access:user:ann:*"));
        assert!(!matches("*:user:b*:*"));
        assert!(!matches("*:team:a*:*"));
    }

    #[test]
    fn a_composed_value_is_matched_where_its_parts_might_be() {
        let Kill::Rule(rule) = parse("team_access:team:9*:*").unwrap() else { panic!("a rule") };
        assert!(!rule.matches(&Asked, TypeSet::of(RIGHTS)));
        let composed = TypeSet::of(RIGHTS).union(TypeSet::of(ACCESS)).union(TypeSet::composed());
        assert!(rule.matches(&Asked, composed));
    }

    #[test]
    fn hostile_patterns_are_refused_with_the_reason() {
        for pattern in
            ["", "a", "nothing:*", "*:user", "*:user:*a*:*", "*:u*:a:*", "*:user::*", "a b:*", "*:user:a\0:*"]
        {
            assert!(parse(pattern).is_err(), "{pattern:?}");
        }
        assert!(parse(&"*".repeat(1 << 20)).is_err());
        assert_eq!(
            parse("nothing:*").unwrap_err().to_string(),
            "pattern \"nothing:*\": \"nothing\" is no cache type (there are generation_rights, team_access); write TYPE:*, \
             TYPE:KIND:ID:* or *:KIND:ID:*, for example generation_rights:*"
        );
    }
}
