//! Writes the JSON form.

use serde_json::{Map, Value, json};

use crate::model::{Model, RelationDefinition, Restriction, RestrictionTarget, Rewrite, TypeDefinition};

impl Model {
    /// The JSON form: an object with `schema_version`, `type_definitions` and `conditions`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "schema_version": self.schema_version.as_str(),
            "type_definitions": self.types.iter().map(type_definition).collect::<Vec<_>>(),
            "conditions": {},
        })
    }
}

fn type_definition(definition: &TypeDefinition) -> Value {
    let by_name = |value: fn(&RelationDefinition) -> Value| -> Map<String, Value> {
        definition.relations.iter().map(|relation| (relation.name.to_string(), value(relation))).collect()
    };
    let metadata = match definition.relations.as_slice() {
        [] => Value::Null,
        _ => json!({ "relations": by_name(information) }),
    };
    json!({
        "type": &*definition.name,
        "relations": by_name(|relation| rewrite(&relation.rewrite)),
        "metadata": metadata,
    })
}

fn information(relation: &RelationDefinition) -> Value {
    json!({ "directly_related_user_types": relation.restrictions.iter().map(restriction).collect::<Vec<_>>() })
}

fn restriction(restriction: &Restriction) -> Value {
    let type_name = &*restriction.type_name;
    match &restriction.target {
        RestrictionTarget::Object => json!({ "type": type_name }),
        RestrictionTarget::Userset(relation) => json!({ "type": type_name, "relation": &**relation }),
        RestrictionTarget::Wildcard => json!({ "type": type_name, "wildcard": {} }),
    }
}

fn rewrite(value: &Rewrite) -> Value {
    let joined = |operands: &[Rewrite]| json!({ "child": operands.iter().map(rewrite).collect::<Vec<_>>() });
    match value {
        Rewrite::Direct => json!({ "this": {} }),
        Rewrite::Computed { relation } => json!({ "computedUserset": { "relation": &**relation } }),
        Rewrite::TupleToUserset { tupleset, computed } => json!({
            "tupleToUserset": {
                "tupleset": { "relation": &**tupleset },
                "computedUserset": { "relation": &**computed },
            }
        }),
        Rewrite::Union(operands) => json!({ "union": joined(operands) }),
        Rewrite::Intersection(operands) => json!({ "intersection": joined(operands) }),
        Rewrite::Exclusion { base, subtract } => {
            json!({ "difference": { "base": rewrite(base), "subtract": rewrite(subtract) } })
        }
    }
}
