//! The checks for cycles and entry points against their definitions, followed naively on small models of every shape.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::{Restriction, RestrictionTarget, SchemaVersion};
use crate::relation::Text;

const TYPES: [&str; 2] = ["s", "t"];
const RELATIONS: [&str; 4] = ["a", "b", "c", "d"];

/// A relation by its type and name.
type Named<'m> = (&'m str, &'m str);

fn relation_name() -> impl Strategy<Value = Text> {
    prop::sample::select(&RELATIONS[..]).prop_map(Text::from)
}

fn restriction() -> impl Strategy<Value = Restriction> {
    let target = prop_oneof![
        1 => Just(RestrictionTarget::Object),
        1 => Just(RestrictionTarget::Wildcard),
        6 => relation_name().prop_map(RestrictionTarget::Userset),
    ];
    (prop::sample::select(&TYPES[..]), target).prop_map(|(type_name, target)| Restriction {
        type_name: Text::from(type_name),
        target,
        condition: None,
    })
}

fn rewrite() -> impl Strategy<Value = Rewrite> {
    let leaf = prop_oneof![
        3 => Just(Rewrite::Direct),
        2 => relation_name().prop_map(|relation| Rewrite::Computed { relation }),
        2 => relation_name().prop_map(|computed| Rewrite::TupleToUserset { tupleset: Text::from("parent"), computed }),
    ];
    leaf.prop_recursive(3, 6, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2).prop_map(Rewrite::Union),
            prop::collection::vec(inner.clone(), 2).prop_map(Rewrite::Intersection),
            (inner.clone(), inner)
                .prop_map(|(base, subtract)| Rewrite::Exclusion { base: Box::new(base), subtract: Box::new(subtract) }),
        ]
    })
}

fn relation(name: &str) -> impl Strategy<Value = RelationDefinition> {
    let name = Text::from(name);
    (rewrite(), prop::collection::vec(restriction(), 1..3)).prop_map(move |(rewrite, mut restrictions)| {
        if !leaves(&rewrite).any(|leaf| matches!(leaf, Rewrite::Direct)) {
            restrictions.clear();
        }
        RelationDefinition { name: name.clone(), rewrite, restrictions, module: None, place: None }
    })
}

/// Models in which every reference is right, so that only cycles and entry points are in question.
fn model() -> impl Strategy<Value = Model> {
    let definition = |name: &'static str| {
        (RELATIONS.map(relation), prop::sample::select(&TYPES[..])).prop_map(move |(relations, parent)| {
            let parent = RelationDefinition {
                module: None,
                name: Text::from("parent"),
                rewrite: Rewrite::Direct,
                restrictions: vec![Restriction {
                    type_name: Text::from(parent),
                    target: RestrictionTarget::Object,
                    condition: None,
                }],
                place: None,
            };
            let relations = relations.into_iter().chain([parent]).collect();
            TypeDefinition { name: Text::from(name), relations, module: None, place: None }
        })
    };
    (definition(TYPES[0]), definition(TYPES[1])).prop_map(|(s, t)| Model {
        schema_version: SchemaVersion::V1_1,
        types: vec![s, t],
        conditions: Vec::new(),
    })
}

/// Whether a rewrite leads to somebody without passing one relation twice.
fn leads_somewhere<'m>(model: &'m Model, way: &[Named<'m>], rewrite: &'m Rewrite) -> bool {
    let Some(&(of, name)) = way.last() else { return false };
    let reaches = |next: Named<'m>| {
        let way: Vec<_> = way.iter().copied().chain([next]).collect();
        !way[..way.len() - 1].contains(&next)
            && model.relation(next.0, next.1).is_some_and(|relation| leads_somewhere(model, &way, &relation.rewrite))
    };
    match rewrite {
        Rewrite::Direct => model.relation(of, name).unwrap().restrictions.iter().any(|entry| match &entry.target {
            RestrictionTarget::Object | RestrictionTarget::Wildcard => true,
            RestrictionTarget::Userset(relation) => reaches((&entry.type_name, relation)),
        }),
        Rewrite::Computed { relation } => reaches((of, relation)),
        Rewrite::TupleToUserset { tupleset, computed } => {
            let parents = &model.relation(of, tupleset).unwrap().restrictions;
            parents.iter().any(|entry| reaches((&entry.type_name, computed)))
        }
        Rewrite::Union(operands) => operands.iter().any(|operand| leads_somewhere(model, way, operand)),
        Rewrite::Intersection(operands) => operands.iter().all(|operand| leads_somewhere(model, way, operand)),
        Rewrite::Exclusion { base, subtract } => {
            leads_somewhere(model, way, base) && leads_somewhere(model, way, subtract)
        }
    }
}

/// All that a relation is computed from, however far away, within its type.
fn computed_from<'m>(model: &'m Model, (of, name): Named<'m>) -> BTreeSet<Named<'m>> {
    let mut found = BTreeSet::new();
    let mut open = vec![(of, name)];
    while let Some((of, name)) = open.pop() {
        for leaf in leaves(&model.relation(of, name).unwrap().rewrite) {
            if let Rewrite::Computed { relation } = leaf
                && found.insert((of, &**relation))
            {
                open.push((of, relation));
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_model_is_refused_exactly_where_the_definitions_refuse_it(model in model()) {
        let all: Vec<Named<'_>> =
            model.types.iter().flat_map(|of| of.relations.iter().map(|relation| (&*of.name, &*relation.name))).collect();
        let ring = all.iter().any(|&relation| computed_from(&model, relation).contains(&relation));
        let stuck: Vec<String> = all
            .iter()
            .filter(|&&(of, name)| !leads_somewhere(&model, &[(of, name)], &model.relation(of, name).unwrap().rewrite))
            .map(|(of, name)| format!("`{name}` of `{of}`"))
            .collect();

        let faults = model.validate().map_or_else(|errors| errors.iter().cloned().collect(), |()| Vec::new());
        prop_assert_eq!(faults.iter().any(|fault| fault.kind == ModelErrorKind::Cycle), ring);
        // Where there is a ring, its relations are taken as right afterwards, and others through them.
        if !ring {
            let told: Vec<&str> = faults
                .iter()
                .filter(|fault| fault.kind == ModelErrorKind::NoEntrypoint)
                .map(|fault| fault.what.as_str())
                .collect();
            prop_assert_eq!(told.len(), stuck.len(), "{:?} {:?}", &told, &stuck);
            for (told, stuck) in told.iter().zip(&stuck) {
                prop_assert!(told.contains(stuck.as_str()), "{told} {stuck}");
            }
            prop_assert_eq!(faults.len(), stuck.len());
        }
    }
}
