//! Reads the JSON form. Faults are gathered; each says where in the document it is.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::condition::condition_of;
use super::fields::{
    Parsed, array, expected, member, name, name_of_relation, object, optional_object, syntax, too_large,
};
use super::module::module_of;
use super::path::Path;
use super::rewrite::rewrite_of;
use crate::model::bounds::{MAX_CONDITIONS, MAX_JSON_BYTES, MAX_RELATIONS, MAX_RESTRICTIONS, MAX_TYPES};
use crate::model::error::{Faults, ModelError, ModelErrorKind};
use crate::model::{
    ConditionDefinition, Model, ModelErrors, RelationDefinition, Restriction, RestrictionTarget, SchemaVersion,
    TypeDefinition, check_condition,
};
use crate::relation::{check_relation, check_type};

impl Model {
    /// Reads the JSON form of a model.
    ///
    /// Keys that are not known are passed over, as OpenFGA does. Where a key stands twice in an object, the last one counts.
    ///
    /// # Errors
    /// The faults of the document, each with its path; also where it exceeds one of the
    /// [`bounds`](crate::model::bounds).
    pub fn from_json(text: &str) -> Result<Self, ModelErrors> {
        if text.len() > MAX_JSON_BYTES {
            let what = format!("the model has {} bytes; at most {MAX_JSON_BYTES} are allowed", text.len());
            return Err(ModelError::new(ModelErrorKind::TooLarge, what, "split it into several stores").into());
        }
        match serde_json::from_str(text) {
            Ok(value) => Self::from_value(&value),
            Err(error) => {
                let what = format!("the model is not JSON: {error}");
                Err(ModelError::new(ModelErrorKind::Syntax, what, "send a JSON object with `type_definitions`").into())
            }
        }
    }

    /// Reads the JSON form of a model, where the JSON was read already.
    ///
    /// # Errors
    /// As [`Model::from_json`], but for the bound on the length of the text.
    pub fn from_value(value: &Value) -> Result<Self, ModelErrors> {
        let mut faults = Faults::default();
        let root = &Path::ROOT;
        let model = match object(value, root) {
            Ok(fields) => Reader { faults: &mut faults }.model(fields, root),
            Err(error) => return Err(error.into()),
        };
        faults.into_result(model)
    }
}

struct Reader<'f> {
    faults: &'f mut Faults,
}

impl Reader<'_> {
    /// The value, or a note of its fault.
    fn keep<T>(&mut self, read: Parsed<T>) -> Option<T> {
        read.map_err(|error| self.faults.push(error)).ok()
    }

    fn model(&mut self, fields: &Map<String, Value>, root: &Path<'_>) -> Model {
        let version = schema_version(fields, root);
        let schema_version = self.keep(version).unwrap_or(SchemaVersion::V1_1);

        let conditions = self.conditions(fields, root);
        let at = root.key("type_definitions");
        let definitions = match member(fields, &["type_definitions", "typeDefinitions"]) {
            None => Err(syntax(&at, "the model has no types", "give a list of at least one type")),
            Some(value) => array(value, &at, MAX_TYPES, "types"),
        };
        let definitions = self.keep(definitions).map_or(&[][..], Vec::as_slice);
        let mut types = Vec::with_capacity(definitions.len());
        let mut known = HashSet::new();
        for (index, value) in definitions.iter().enumerate() {
            if self.faults.is_full() {
                break;
            }
            let at = at.index(index);
            let read = self.type_definition(value, &at);
            let Some(definition) = self.keep(read) else { continue };
            if !known.insert(definition.name.clone()) {
                let what = format!("the type `{}` is defined twice", definition.name);
                let remedy = "keep one definition with the relations of both";
                self.faults.push(ModelError::new(ModelErrorKind::Duplicate, what, remedy).under(at));
            }
            types.push(definition);
        }
        Model { schema_version, types, conditions }
    }

    fn conditions(&mut self, fields: &Map<String, Value>, root: &Path<'_>) -> Vec<ConditionDefinition> {
        let at = root.key("conditions");
        let defined = optional_object(fields, &["conditions"], &at);
        let Some(defined) = self.keep(defined).flatten() else { return Vec::new() };
        if defined.len() > MAX_CONDITIONS {
            self.faults.push(too_large(&at, "conditions", MAX_CONDITIONS, "give them parameters instead of constants"));
            return Vec::new();
        }
        let mut found = Vec::with_capacity(defined.len());
        for (name, definition) in defined {
            let read = condition_of(name, definition, &at.key(name));
            found.extend(self.keep(read));
        }
        found
    }

    fn type_definition(&mut self, value: &Value, at: &Path<'_>) -> Parsed<TypeDefinition> {
        let fields = object(value, at)?;
        let name = name(fields, "type", at, check_type)?;
        let metadata_at = at.key("metadata");
        let metadata = optional_object(fields, &["metadata"], &metadata_at)?;
        let module = match metadata {
            Some(metadata) => module_of(metadata, &metadata_at)?,
            None => None,
        };
        let infos_at = metadata_at.key("relations");
        let infos = match metadata {
            Some(metadata) => optional_object(metadata, &["relations"], &infos_at)?,
            None => None,
        };

        let relations_at = at.key("relations");
        let defined = optional_object(fields, &["relations"], &relations_at)?;
        if defined.is_some_and(|defined| defined.len() > MAX_RELATIONS) {
            return Err(too_large(&relations_at, "relations", MAX_RELATIONS, "split the type"));
        }
        let mut relations = Vec::new();
        for (relation, rewrite) in defined.into_iter().flatten() {
            let read = self.relation(relation, rewrite, infos, &relations_at, &infos_at);
            relations.extend(self.keep(read));
        }
        Ok(TypeDefinition { name, relations, module, place: None })
    }

    /// `infos` may tell of relations that the type doesn't define; they are passed over, as OpenFGA does.
    fn relation(
        &mut self,
        name: &str,
        rewrite: &Value,
        infos: Option<&Map<String, Value>>,
        relations_at: &Path<'_>,
        infos_at: &Path<'_>,
    ) -> Parsed<RelationDefinition> {
        let at = relations_at.key(name);
        let checked = check_relation(name).map_err(|error| ModelError::name(name, &error).under(at))?;
        let rewrite = rewrite_of(rewrite, &at, 1)?;
        let info_at = infos_at.key(name);
        let info = match infos {
            Some(infos) => optional_object(infos, &[name], &info_at)?,
            None => None,
        };
        let (restrictions, module) = match info {
            Some(info) => (restrictions(info, &info_at)?, module_of(info, &info_at)?),
            None => (Vec::new(), None),
        };
        Ok(RelationDefinition { name: checked, rewrite, restrictions, module, place: None })
    }
}

fn restrictions(info: &Map<String, Value>, info_at: &Path<'_>) -> Parsed<Vec<Restriction>> {
    let at = info_at.key("directly_related_user_types");
    let Some(list) = member(info, &["directly_related_user_types", "directlyRelatedUserTypes"]) else {
        return Ok(Vec::new());
    };
    let mut restrictions = Vec::new();
    for (index, value) in array(list, &at, MAX_RESTRICTIONS, "entries")?.iter().enumerate() {
        let at = at.index(index);
        let fields = object(value, &at)?;
        let type_name = name(fields, "type", &at, check_type)?;
        let relation = match member(fields, &["relation"]) {
            Some(_) => Some(name_of_relation(fields, "relation", &at)?),
            None => None,
        };
        let target = match (relation, member(fields, &["wildcard"])) {
            (None, None) => RestrictionTarget::Object,
            (None, Some(_)) => RestrictionTarget::Wildcard,
            (Some(relation), None) => RestrictionTarget::Userset(relation),
            (Some(_), Some(_)) => {
                let what = "an entry is both a wildcard and a userset";
                return Err(syntax(&at, what, "give `relation` or `wildcard`, or make two entries"));
            }
        };
        let condition = match member(fields, &["condition"]) {
            Some(_) => Some(name(fields, "condition", &at, check_condition)?),
            None => None,
        };
        restrictions.push(Restriction { type_name, target, condition });
    }
    Ok(restrictions)
}

fn schema_version(fields: &Map<String, Value>, root: &Path<'_>) -> Parsed<SchemaVersion> {
    let at = root.key("schema_version");
    match member(fields, &["schema_version", "schemaVersion"]) {
        None => Err(syntax(&at, "the version of the schema is missing", "give \"1.1\"")),
        Some(Value::String(version)) => SchemaVersion::read(version).map_err(|error| error.under(at)),
        Some(other) => Err(expected(&at, "a string", other)),
    }
}
