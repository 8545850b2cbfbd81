//! Where a fault of a definition is: its file, line and column in the DSL; elsewhere its path in the JSON.

use crate::model::error::ModelError;
use crate::model::json::Path;
use crate::model::{ConditionDefinition, Module, Place, RelationDefinition, TypeDefinition};

/// A definition that faults are told of.
#[derive(Clone, Copy)]
pub(super) struct Site<'m> {
    part: Part<'m>,
    place: Option<Place>,
    module: Option<&'m Module>,
}

#[derive(Clone, Copy)]
enum Part<'m> {
    /// By its number.
    Type(usize),
    /// By its type's number and its name.
    Relation(usize, &'m str),
    /// By its name.
    Condition(&'m str),
}

impl<'m> Site<'m> {
    pub(super) fn of_type(number: usize, of: &'m TypeDefinition) -> Self {
        Self { part: Part::Type(number), place: of.place, module: of.module.as_ref() }
    }

    /// A relation of the type.
    pub(super) fn relation(self, definition: &'m RelationDefinition) -> Self {
        let part = match self.part {
            Part::Type(number) => Part::Relation(number, &definition.name),
            other => other,
        };
        Self { part, place: definition.place, module: definition.module.as_ref().or(self.module) }
    }

    pub(super) fn of_condition(definition: &'m ConditionDefinition) -> Self {
        let part = Part::Condition(&definition.name);
        Self { part, place: definition.place, module: definition.module.as_ref() }
    }

    /// The same definition, but another place in it.
    pub(super) fn at(self, place: Option<Place>) -> Self {
        Self { place, ..self }
    }

    fn path(self) -> String {
        let root = Path::ROOT;
        match self.part {
            Part::Type(number) => root.key("type_definitions").index(number).to_string(),
            Part::Relation(number, name) => {
                root.key("type_definitions").index(number).key("relations").key(name).to_string()
            }
            Part::Condition(name) => root.key("conditions").key(name).to_string(),
        }
    }
}

impl ModelError {
    /// A fault of this definition.
    pub(super) fn of(self, site: Site<'_>) -> Self {
        match site.place {
            Some(_) => self.at(site.place).in_file(site.module.and_then(|module| module.file.as_ref())),
            None => self.under(site.path()),
        }
    }
}
