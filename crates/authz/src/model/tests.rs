//! The three forms of a model (in memory, DSL and JSON) carry the same.

use proptest::prelude::*;

use super::*;

/// Names that every form can carry.
fn name() -> impl Strategy<Value = Text> {
    "[a-z_ß-ö][a-z0-9_./-]{0,10}".prop_map(|name| match name.as_str() {
        "or" | "and" | "but" | "from" | "with" | "not" => Text::from(name + "_"),
        _ => Text::from(name),
    })
}

fn rewrite() -> impl Strategy<Value = Rewrite> {
    let leaf = prop_oneof![
        Just(Rewrite::Direct),
        name().prop_map(|relation| Rewrite::Computed { relation }),
        (name(), name()).prop_map(|(tupleset, computed)| Rewrite::TupleToUserset { tupleset, computed }),
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Rewrite::Union),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Rewrite::Intersection),
            (inner.clone(), inner)
                .prop_map(|(base, subtract)| Rewrite::Exclusion { base: Box::new(base), subtract: Box::new(subtract) }),
        ]
    })
}

fn restriction() -> impl Strategy<Value = Restriction> {
    let target = prop_oneof![
        Just(RestrictionTarget::Object),
        Just(RestrictionTarget::Wildcard),
        name().prop_map(RestrictionTarget::Userset),
    ];
    (name(), target).prop_map(|(type_name, target)| Restriction { type_name, target, condition: None })
}

fn is_direct(rewrite: &Rewrite) -> bool {
    match rewrite {
        Rewrite::Direct => true,
        Rewrite::Computed { .. } | Rewrite::TupleToUserset { .. } => false,
        Rewrite::Union(operands) | Rewrite::Intersection(operands) => operands.iter().any(is_direct),
        Rewrite::Exclusion { base, subtract } => is_direct(base) || is_direct(subtract),
    }
}

fn relation() -> impl Strategy<Value = (Rewrite, Vec<Restriction>)> {
    (rewrite(), prop::collection::vec(restriction(), 0..4)).prop_map(|(rewrite, restrictions)| {
        let restrictions = if is_direct(&rewrite) { restrictions } else { Vec::new() };
        (rewrite, restrictions)
    })
}

/// Models that can be written down; whether they make sense is another question. Names are in order, because JSON has none.
fn model() -> impl Strategy<Value = Model> {
    let relations = prop::collection::btree_map(name(), relation(), 0..5);
    prop::collection::btree_map(name(), relations, 0..5).prop_map(|types| Model {
        conditions: Vec::new(),
        schema_version: SchemaVersion::V1_1,
        types: types
            .into_iter()
            .map(|(name, relations)| TypeDefinition {
                module: None,
                name,
                relations: relations
                    .into_iter()
                    .map(|(name, (rewrite, restrictions))| RelationDefinition {
                        module: None,
                        name,
                        rewrite,
                        restrictions,
                        place: None,
                    })
                    .collect(),
                place: None,
            })
            .collect(),
    })
}

fn without_places(mut model: Model) -> Model {
    for definition in &mut model.types {
        definition.place = None;
        for relation in &mut definition.relations {
            relation.place = None;
        }
    }
    model
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same_model(model in model()) {
        let text = model.to_dsl();
        let read = Model::from_dsl(&text).map_err(|errors| TestCaseError::fail(format!("{text}\n{errors}")))?;
        prop_assert_eq!(without_places(read), model);
    }

    #[test]
    fn what_is_written_as_json_reads_back_as_the_same_model(model in model()) {
        let text = model.to_json().to_string();
        let read = Model::from_json(&text).map_err(|errors| TestCaseError::fail(format!("{text}\n{errors}")))?;
        prop_assert_eq!(read, model);
    }

    #[test]
    fn validating_any_model_ends(model in model()) {
        let _ = model.validate();
    }
}

#[test]
fn the_canonical_form_is_two_spaces_a_level_and_few_parentheses() {
    let text = "model\nschema 1.1\ntype user\ntype  doc # a comment\nrelations\ndefine a:[user,doc#a,user:*]or(b and((c)))or d from e\n\
                define f: (a but not b) but not (c or d)";
    insta::assert_snapshot!(Model::from_dsl(text).unwrap().to_dsl(), @r"
    model
      schema 1.1

    type user

    type doc
      relations
        define a: [user, doc#a, user:*] or (b and c) or d from e
        define f: (a but not b) but not (c or d)
    ");
}
