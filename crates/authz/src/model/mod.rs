//! The authorization model: which types there are, which relations they have, and how a relation follows from others.
//!
//! The language is OpenFGA's modelling language, in both of its forms: the DSL that people write ([`Model::from_dsl`]) and the
//! JSON that APIs carry ([`Model::from_json`]). A model may be spread over files ([`Model::from_modules`]). A [`Model`] that was
//! read is not yet known to make sense; [`Model::validate`] says so, with the place of each fault.

pub mod bounds;
mod dsl;
mod error;
mod json;
mod modules;
mod name;
mod parameter;
mod print;
mod validate;

pub use error::{MAX_ERRORS, ModelError, ModelErrorKind, ModelErrors, Place};
pub(crate) use modules::bounded_text;
pub use name::check_condition;

pub use crate::condition::{ConditionDefinition, Parameter, ParameterType};
use crate::relation::{SubjectKind, Text};

/// An authorization model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Model {
    /// The version of the language.
    pub schema_version: SchemaVersion,
    /// The types, in the order in which they were written.
    pub types: Vec<TypeDefinition>,
    /// The conditions, in the order in which they were written.
    pub conditions: Vec<ConditionDefinition>,
}

/// The version of the modelling language.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SchemaVersion {
    /// `schema 1.1`
    V1_1,
    /// `schema 1.2`: that of modular models.
    V1_2,
}

/// One type of objects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeDefinition {
    /// Its name.
    pub name: Text,
    /// Its relations, in the order in which they were written.
    pub relations: Vec<RelationDefinition>,
    /// The module that defines it; none outside of modular models.
    pub module: Option<Module>,
    /// Where it stands in the DSL; none for models that came as JSON.
    pub place: Option<Place>,
}

/// One relation of a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelationDefinition {
    /// Its name.
    pub name: Text,
    /// How it is computed.
    pub rewrite: Rewrite,
    /// Who may be written into it directly; empty where its rewrite has no [`Rewrite::Direct`].
    pub restrictions: Vec<Restriction>,
    /// The module that adds it to its type by `extend type`; none elsewhere.
    pub module: Option<Module>,
    /// Where it stands in the DSL.
    pub place: Option<Place>,
}

/// The part of a modular model that something comes from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Module {
    /// The name of the module.
    pub name: Text,
    /// Which of its files, as `fga.mod` names it.
    pub file: Option<Text>,
}

/// How a relation is computed. The field calls it a userset rewrite.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rewrite {
    /// `[user, team#member]`: the relationships that were written ("this").
    Direct,
    /// `editor`: whoever stands in another relation to the same object.
    Computed {
        /// That relation.
        relation: Text,
    },
    /// `viewer from parent`: whoever stands in `computed` to an object that `tupleset` names.
    TupleToUserset {
        /// The relation that leads to the other objects.
        tupleset: Text,
        /// The relation to them.
        computed: Text,
    },
    /// `a or b`
    Union(Vec<Rewrite>),
    /// `a and b`
    Intersection(Vec<Rewrite>),
    /// `a but not b`
    Exclusion {
        /// Who is in,
        base: Box<Rewrite>,
        /// unless they are in here.
        subtract: Box<Rewrite>,
    },
}

/// Who may be written directly into a relation: `[user]`, `[user:*]`, `[team#member]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Restriction {
    /// The type of the subject.
    pub type_name: Text,
    /// Which subjects of that type.
    pub target: RestrictionTarget,
    /// `[user with valid_until]`: the condition under which such relationships are written.
    pub condition: Option<Text>,
}

/// Which subjects of a type a [`Restriction`] lets in.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum RestrictionTarget {
    /// `[user]`: single objects.
    Object,
    /// `[team#member]`: a userset.
    Userset(Text),
    /// `[user:*]`: all objects of the type at once.
    Wildcard,
}

impl SchemaVersion {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    fn read(text: &str) -> Result<Self, ModelError> {
        match text {
            "1.1" => Ok(Self::V1_1),
            "1.2" => Ok(Self::V1_2),
            "1.0" => Err(ModelError::new(
                ModelErrorKind::SchemaVersion,
                "schema 1.0 has no type restrictions and is no longer served",
                "write `schema 1.1`, and in brackets who may be written directly, as in `define viewer: [user]`",
            )),
            other => {
                let shown: String = other.chars().take(64).collect();
                let what = format!("{shown:?} is no known version of the schema");
                Err(ModelError::new(ModelErrorKind::SchemaVersion, what, "write 1.1, or 1.2 for a modular model"))
            }
        }
    }
}

impl Model {
    /// The definition of a type.
    #[must_use]
    pub fn type_definition(&self, name: &str) -> Option<&TypeDefinition> {
        self.types.iter().find(|definition| &*definition.name == name)
    }

    /// The definition of a condition.
    #[must_use]
    pub fn condition(&self, name: &str) -> Option<&ConditionDefinition> {
        self.conditions.iter().find(|definition| &*definition.name == name)
    }

    /// The definition of a relation of a type.
    #[must_use]
    pub fn relation(&self, type_name: &str, relation: &str) -> Option<&RelationDefinition> {
        self.type_definition(type_name)?.relation(relation)
    }
}

impl TypeDefinition {
    /// The definition of one of its relations.
    #[must_use]
    pub fn relation(&self, name: &str) -> Option<&RelationDefinition> {
        self.relations.iter().find(|definition| &*definition.name == name)
    }
}

impl Restriction {
    /// The kind of the subjects that it lets in.
    #[must_use]
    pub fn kind(&self) -> SubjectKind {
        let relation = match &self.target {
            RestrictionTarget::Userset(relation) => Some(relation.clone()),
            RestrictionTarget::Object | RestrictionTarget::Wildcard => None,
        };
        SubjectKind { type_name: self.type_name.clone(), relation }
    }
}

#[cfg(test)]
mod tests;
