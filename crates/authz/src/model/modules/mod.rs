//! Modular models: several files, each with a module's part, become one model.
//!
//! Every file is read before any two are put together, so that a type may be extended above the file that defines it. What comes
//! from which module and file stays in the model: its JSON says so, and so does every fault.

mod load;
mod manifest;

use std::collections::HashMap;

pub(crate) use load::bounded_text;

use super::bounds::{MAX_CONDITIONS, MAX_DSL_BYTES, MAX_MODULE_FILES, MAX_RELATIONS, MAX_TYPES};
use super::dsl::{Extension, Part, read_part};
use super::error::{Faults, ModelError, ModelErrorKind};
use super::{ConditionDefinition, Model, ModelErrors, Module, SchemaVersion, TypeDefinition};
use crate::relation::Text;

impl Model {
    /// Puts a modular model together. Each file is given with the name by which its faults and the model's JSON call it.
    ///
    /// ```
    /// let model = authz::model::Model::from_modules([
    ///     ("core.fga", "module core\ntype user"),
    ///     ("wiki.fga", "module wiki\nextend type user\n  relations\n    define friend: [user]"),
    /// ])?;
    /// assert!(model.relation("user", "friend").is_some());
    /// # Ok::<(), authz::model::ModelErrors>(())
    /// ```
    ///
    /// # Errors
    /// The faults of the files, each with its file, line and column; also where one of the [`bounds`](super::bounds) is exceeded.
    pub fn from_modules<N: AsRef<str>, T: AsRef<str>>(
        files: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, ModelErrors> {
        let mut faults = Faults::default();
        let mut parts = Vec::new();
        let mut bytes = 0;
        for (name, text) in files {
            let (name, text) = (Text::from(name.as_ref()), text.as_ref());
            if parts.len() == MAX_MODULE_FILES {
                let what = format!("the model has more than {MAX_MODULE_FILES} files");
                return Err(too_large(what, "join some of them").in_file(Some(&name)).into());
            }
            bytes += text.len();
            if bytes > MAX_DSL_BYTES {
                let what = format!("the files up to this one have more than {MAX_DSL_BYTES} bytes together");
                return Err(too_large(what, "split the model into several stores").in_file(Some(&name)).into());
            }
            let mut of_file = Faults::default();
            parts.push(read_part(text, &name, &mut of_file));
            faults.extend_from(of_file, &name);
        }
        let model = Merge::new(&mut faults).model(parts);
        if named_bytes(&model) > MAX_DSL_BYTES {
            // JSON names them with every type and relation, and must not grow beyond its own bound by that.
            let what = format!("the names of modules and files take more than {MAX_DSL_BYTES} bytes in the model");
            faults.push(too_large(what, "give the files shorter paths"));
        }
        faults.into_result(model)
    }
}

/// How many bytes the names of modules and files take, where each part of the model names its own.
fn named_bytes(model: &Model) -> usize {
    let types = model.types.iter().flat_map(|of| {
        std::iter::once(of.module.as_ref()).chain(of.relations.iter().map(|relation| relation.module.as_ref()))
    });
    types
        .chain(model.conditions.iter().map(|condition| condition.module.as_ref()))
        .flatten()
        .map(|Module { name, file }| name.len() + file.as_ref().map_or(0, |file| file.len()))
        .sum()
}

/// A model that grows by one part after the other.
struct Merge<'f> {
    faults: &'f mut Faults,
    types: Vec<TypeDefinition>,
    /// Where each type is among them, and the part that it comes from.
    by_name: HashMap<Text, (usize, usize)>,
    conditions: Vec<ConditionDefinition>,
    by_condition: HashMap<Text, usize>,
}

impl<'f> Merge<'f> {
    fn new(faults: &'f mut Faults) -> Self {
        let (by_name, by_condition) = (HashMap::new(), HashMap::new());
        Self { faults, types: Vec::new(), by_name, conditions: Vec::new(), by_condition }
    }

    fn model(mut self, parts: Vec<Part>) -> Model {
        let mut extensions = Vec::new();
        for (number, part) in parts.into_iter().enumerate() {
            part.types.into_iter().for_each(|definition| self.add_type(definition, number));
            part.conditions.into_iter().for_each(|definition| self.add_condition(definition));
            extensions.extend(part.extensions.into_iter().map(|extension| (extension, number)));
        }
        extensions.into_iter().for_each(|(extension, number)| self.extend(extension, number));
        Model { schema_version: SchemaVersion::V1_2, types: self.types, conditions: self.conditions }
    }

    fn add_type(&mut self, definition: TypeDefinition, part: usize) {
        if let Some(&(known, of)) = self.by_name.get(&definition.name) {
            let known = &self.types[known].module;
            // Two types of one file were told of when it was read.
            if of != part {
                let what = format!("the type `{}` is defined in {} already", definition.name, called(known.as_ref()));
                let remedy = format!("write `extend type {}`, or give it another name", definition.name);
                self.tell(ModelError::new(ModelErrorKind::Duplicate, what, remedy), &definition);
            }
        } else if self.types.len() == MAX_TYPES {
            let what = format!("the model has more than {MAX_TYPES} types");
            self.tell(too_large(what, "split it into several stores"), &definition);
        } else {
            self.by_name.insert(definition.name.clone(), (self.types.len(), part));
            self.types.push(definition);
        }
    }

    fn add_condition(&mut self, definition: ConditionDefinition) {
        let error = if let Some(&known) = self.by_condition.get(&definition.name) {
            let already = called(self.conditions[known].module.as_ref());
            let what = format!("the condition `{}` is defined in {already} already", definition.name);
            ModelError::new(ModelErrorKind::Duplicate, what, "keep one of them, or give one another name")
        } else if self.conditions.len() == MAX_CONDITIONS {
            let what = format!("the model has more than {MAX_CONDITIONS} conditions");
            too_large(what, "give conditions parameters instead of constants")
        } else {
            self.by_condition.insert(definition.name.clone(), self.conditions.len());
            self.conditions.push(definition);
            return;
        };
        self.faults.push(error.at(definition.place).in_file(file_of(definition.module.as_ref())));
    }

    fn extend(&mut self, Extension(extension): Extension, part: usize) {
        let name = &extension.name;
        let Some(&(number, defined_by)) = self.by_name.get(name) else {
            // The name may be what was wrong with the line, which was told.
            if !name.is_empty() {
                let what = format!("the type `{name}` is extended, but no file defines it");
                let remedy = format!("define it in one of the files with `type {name}`");
                self.tell(ModelError::new(ModelErrorKind::Undefined, what, remedy), &extension);
            }
            return;
        };
        let of = &mut self.types[number];
        if defined_by == part {
            let what = format!("the type `{name}` is extended in the file that defines it");
            let remedy = "move the relations to the type itself";
            self.tell(ModelError::new(ModelErrorKind::Duplicate, what, remedy), &extension);
            return;
        }
        for relation in extension.relations {
            let error = if let Some(known) = of.relation(&relation.name) {
                let already = called(known.module.as_ref().or(of.module.as_ref()));
                let what = format!("the type `{}` has a relation `{}` from {already} already", of.name, relation.name);
                ModelError::new(ModelErrorKind::Duplicate, what, "give one of the two another name")
            } else if of.relations.len() == MAX_RELATIONS {
                let what = format!("the type `{}` gets more than {MAX_RELATIONS} relations", of.name);
                too_large(what, "split the type")
            } else {
                of.relations.push(relation);
                continue;
            };
            self.faults.push(error.at(relation.place).in_file(file_of(relation.module.as_ref())));
        }
    }

    fn tell(&mut self, error: ModelError, of: &TypeDefinition) {
        self.faults.push(error.at(of.place).in_file(file_of(of.module.as_ref())));
    }
}

fn file_of(module: Option<&Module>) -> Option<&Text> {
    module.and_then(|module| module.file.as_ref())
}

fn called(module: Option<&Module>) -> String {
    match module {
        Some(Module { file: Some(file), .. }) => format!("`{file}`"),
        Some(Module { name, file: None }) => format!("the module `{name}`"),
        None => "another file".to_owned(),
    }
}

fn too_large(what: String, remedy: &str) -> ModelError {
    ModelError::new(ModelErrorKind::TooLarge, what, remedy)
}

#[cfg(test)]
mod tests;
