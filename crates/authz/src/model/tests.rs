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
    (name(), target, prop::option::of(name())).prop_map(|(type_name, target, condition)| Restriction {
        type_name,
        target,
        condition,
    })
}

fn parameter_type() -> impl Strategy<Value = ParameterType> {
    let simple = prop::sample::select(vec![
        ParameterType::Any,
        ParameterType::Bool,
        ParameterType::String,
        ParameterType::Int,
        ParameterType::Uint,
        ParameterType::Double,
        ParameterType::Duration,
        ParameterType::Timestamp,
        ParameterType::IpAddress,
    ]);
    simple.prop_recursive(3, 4, 1, |inner| {
        let inner = inner.prop_map(Box::new);
        prop_oneof![inner.clone().prop_map(ParameterType::List), inner.prop_map(ParameterType::Map)]
    })
}

/// Expressions with strings, braces and line ends in every place; what they mean has no meaning here.
fn expression() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "x",
        "< 12",
        "\n",
        "\n\t&&",
        "\r\n",
        "\"\\\"} #//\"",
        "'{'",
        "r'\\'",
        "\"\\\\\"",
        "'''\n}'''",
        "r\"}\"",
        "ß",
        "[(",
        "/",
        "' #'",
    ]);
    let flat = prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.join(" "));
    let nested = flat.prop_recursive(3, 12, 3, |inner| {
        prop::collection::vec(inner, 0..3).prop_map(|inner| format!("{{ {} }}", inner.join(" ")))
    });
    nested.prop_map(|text| text.trim().to_owned())
}

fn conditions() -> impl Strategy<Value = Vec<ConditionDefinition>> {
    let parameters = prop::collection::btree_map(name(), parameter_type(), 0..4);
    prop::collection::btree_map(name(), (parameters, expression()), 0..4).prop_map(|conditions| {
        let condition = |(name, (parameters, expression)): (Text, (std::collections::BTreeMap<_, _>, String))| {
            let expression = if expression.is_empty() { "true".to_owned() } else { expression };
            let parameters = parameters.into_iter().map(|(name, kind)| Parameter { name, kind }).collect();
            ConditionDefinition { name, parameters, expression, module: None, place: None, expression_place: None }
        };
        conditions.into_iter().map(condition).collect()
    })
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
    let types = prop::collection::btree_map(name(), relations, 0..5);
    let version = prop::sample::select(vec![SchemaVersion::V1_1, SchemaVersion::V1_2]);
    (types, conditions(), version).prop_map(|(types, conditions, schema_version)| Model {
        conditions,
        schema_version,
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
    for condition in &mut model.conditions {
        condition.place = None;
        condition.expression_place = None;
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
fn a_condition_is_printed_with_its_expression_on_lines_of_its_own() {
    let text = "model\nschema 1.1\ntype user\ntype doc\nrelations\ndefine a:[user with c,user:* with c]\n\
                condition c(x:int,l:list<map<any>>){x<1# why\n  && y}";
    insta::assert_snapshot!(Model::from_dsl(text).unwrap().to_dsl(), @r#"
    model
      schema 1.1

    type user

    type doc
      relations
        define a: [user with c, user:* with c]

    condition c(x: int, l: list<map<any>>) {
      x<1
      && y
    }
    "#);
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
