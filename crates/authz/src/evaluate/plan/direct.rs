//! Relations that are written and nothing else: their subjects are objects, and those who are in other such relations.
//!
//! Who is in such a relation follows from relationships alone, by going from a subject to where it is written, and from there on to where
//! that relation is written. No rewrite, wildcard or condition has a say. So a closure that somebody computed without knowing the model can
//! answer, once it is told which of its steps the model allows: that is what [`Rules`] are.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, Step};
use crate::model::RestrictionTarget;
use crate::relation::{Subject, Text};

/// The steps that a model allows on the way to one relation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rules {
    relations: BTreeMap<(Text, Text), BTreeSet<Kind>>,
}

/// A kind of subject: a type, and a relation where it is a userset.
type Kind = (Text, Option<Text>);

impl Rules {
    /// Those of a relation; none where it, or one that it takes its subjects from, is not written directly and unconditionally.
    fn of(plan: &Plan, type_name: &str, relation: &str) -> Option<Self> {
        let mut rules = Self::default();
        let mut work = vec![(Text::from(type_name), Text::from(relation))];
        while let Some((type_name, relation)) = work.pop() {
            if rules.relations.contains_key(&(type_name.clone(), relation.clone())) {
                continue;
            }
            let planned = plan.relation(&type_name, &relation)?;
            if !matches!(planned.step, Step::Direct { .. }) {
                return None;
            }
            let mut kinds = BTreeSet::new();
            for restriction in &planned.written {
                let userset = match &restriction.target {
                    _ if restriction.condition.is_some() => return None,
                    RestrictionTarget::Wildcard => return None,
                    RestrictionTarget::Object => None,
                    RestrictionTarget::Userset(userset) => {
                        work.push((restriction.type_name.clone(), userset.clone()));
                        Some(userset.clone())
                    }
                };
                kinds.insert((restriction.type_name.clone(), userset));
            }
            rules.relations.insert((type_name, relation), kinds);
        }
        Some(rules)
    }

    /// Whether a subject may be written into a relation.
    pub(crate) fn allows(&self, type_name: &str, relation: &str, subject: &Subject) -> bool {
        let kinds = self.relations.get(&(Text::from(type_name), Text::from(relation)));
        kinds.is_some_and(|kinds| !matches!(subject, Subject::Wildcard { .. }) && kinds.contains(&kind(subject)))
    }

    /// The relations into which a subject may be written.
    pub(crate) fn open_to<'r>(&'r self, subject: &Subject) -> impl Iterator<Item = (&'r Text, &'r Text)> {
        let kind = kind(subject);
        self.relations
            .iter()
            .filter(move |(_, kinds)| kinds.contains(&kind))
            .map(|((name, relation), _)| (name, relation))
    }

    /// One line for each relation: itself, and the kinds of its subjects. Names hold neither white space nor `#`.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        for ((type_name, relation), kinds) in &self.relations {
            text.extend([type_name, "#", relation]);
            for (type_name, userset) in kinds {
                text.extend([" ", type_name]);
                if let Some(userset) = userset {
                    text.extend(["#", userset]);
                }
            }
            text.push('\n');
        }
        text
    }

    /// Reads what [`Self::to_text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut relations = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split(' ');
            let (type_name, relation) = words.next()?.split_once('#')?;
            let kinds = words.map(|word| match word.split_once('#') {
                Some((type_name, userset)) => (Text::from(type_name), Some(Text::from(userset))),
                None => (Text::from(word), None),
            });
            relations.insert((Text::from(type_name), Text::from(relation)), kinds.collect());
        }
        Some(Self { relations })
    }
}

fn kind(subject: &Subject) -> Kind {
    (subject.type_name().clone(), subject.relation().cloned())
}

/// The rules of every relation of a type whose relations are given to others, as text; none for relations that have none.
pub(super) fn rules(plan: &Plan) -> Vec<(Text, Text, Box<str>)> {
    let mut all = Vec::new();
    for (type_name, types) in plan.types.iter().filter(|(_, types)| types.grants_to_members) {
        for relation in types.relations.keys() {
            if let Some(rules) = Rules::of(plan, type_name, relation) {
                all.push((type_name.clone(), relation.clone(), rules.to_text().into()));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Model;

    fn plan(text: &str) -> Plan {
        Plan::new(Arc::new(Model::from_dsl(text).unwrap()))
    }

    const MODEL: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
    define owner: [user]
    define guest: [user, user:*]
    define temporary: [user with soon]
    define anybody: member or owner
    define friend: [group#anybody]
type team
  relations
    define member: [group#member, user]
type doc
  relations
    define viewer: [team#member, group#guest]
condition soon(x: int) {
  x > 1
}
";

    #[test]
    fn only_what_is_written_and_nothing_else_has_rules() {
        let plan = plan(MODEL);
        let rules = |type_name, relation| plan.direct(type_name, relation).map(ToOwned::to_owned);
        assert_eq!(rules("group", "member").as_deref(), Some("group#member group#member user\n"));
        assert_eq!(rules("group", "owner").as_deref(), Some("group#owner user\n"));
        assert_eq!(
            rules("team", "member").as_deref(),
            Some("group#member group#member user\nteam#member group#member user\n")
        );
        for (type_name, relation) in [
            ("group", "guest"),
            ("group", "temporary"),
            ("group", "anybody"),
            ("group", "friend"),
            ("doc", "viewer"),
            ("group", "nothing"),
            ("user", "member"),
        ] {
            assert_eq!(rules(type_name, relation), None, "{type_name}#{relation}");
        }
    }

    #[test]
    fn rules_read_back_as_they_were_written() {
        let plan = plan(MODEL);
        let text = plan.direct("team", "member").unwrap();
        let rules = Rules::parse(text).unwrap();
        assert_eq!(rules.to_text(), text);
        let subject = |text| Subject::parse(text).unwrap();
        assert!(rules.allows("team", "member", &subject("group:a#member")));
        assert!(rules.allows("team", "member", &subject("user:ann")));
        for refused in ["user:*", "group:a", "group:a#owner", "bot:ann"] {
            assert!(!rules.allows("team", "member", &subject(refused)), "{refused}");
        }
        assert!(!rules.allows("team", "owner", &subject("user:ann")));
        assert_eq!(rules.open_to(&subject("user:ann")).count(), 2);
        assert_eq!(rules.open_to(&subject("team:a#member")).count(), 0);
    }
}
