//! Which relations have an exclusion below another one.

use std::collections::BTreeSet;

use authz::model::{Model, RestrictionTarget, Rewrite};
use authz::relation::Text;

type Name = (Text, Text);

/// Whether a relation leads to an exclusion in which another one takes part.
pub(crate) fn has_nested_exclusions(model: &Model, of: &Text, relation: &Text) -> bool {
    below(model, (of.clone(), relation.clone())).into_iter().any(|(of, name)| {
        let found = model.relation(&of, &name);
        found
            .is_some_and(|found| exclusions(&found.rewrite).into_iter().any(|parts| excludes(model, &of, &name, parts)))
    })
}

/// The outermost exclusions of a rewrite.
fn exclusions(rewrite: &Rewrite) -> Vec<[&Rewrite; 2]> {
    match rewrite {
        Rewrite::Exclusion { base, subtract } => vec![[base, subtract]],
        Rewrite::Union(parts) | Rewrite::Intersection(parts) => parts.iter().flat_map(exclusions).collect(),
        Rewrite::Direct | Rewrite::Computed { .. } | Rewrite::TupleToUserset { .. } => Vec::new(),
    }
}

/// Whether an exclusion takes part in these.
fn excludes(model: &Model, of: &Text, name: &Text, parts: [&Rewrite; 2]) -> bool {
    parts.into_iter().any(|part| {
        !exclusions(part).is_empty()
            || uses(model, of, name, part).into_iter().flat_map(|used| below(model, used)).any(|(of, name)| {
                model.relation(&of, &name).is_some_and(|found| !exclusions(&found.rewrite).is_empty())
            })
    })
}

/// A relation and all that it leads to.
fn below(model: &Model, root: Name) -> BTreeSet<Name> {
    let (mut found, mut work) = (BTreeSet::new(), vec![root]);
    while let Some((of, name)) = work.pop() {
        if found.insert((of.clone(), name.clone()))
            && let Some(definition) = model.relation(&of, &name)
        {
            work.extend(uses(model, &of, &name, &definition.rewrite));
        }
    }
    found
}

/// The relations that a rewrite takes its subjects from.
fn uses(model: &Model, of: &Text, name: &Text, rewrite: &Rewrite) -> Vec<Name> {
    let restrictions =
        |name: &Text| model.relation(of, name).map(|found| found.restrictions.clone()).unwrap_or_default();
    match rewrite {
        Rewrite::Direct => restrictions(name)
            .into_iter()
            .filter_map(|restriction| match restriction.target {
                RestrictionTarget::Userset(relation) => Some((restriction.type_name, relation)),
                RestrictionTarget::Object | RestrictionTarget::Wildcard => None,
            })
            .collect(),
        Rewrite::Computed { relation } => vec![(of.clone(), relation.clone())],
        Rewrite::TupleToUserset { tupleset, computed } => {
            restrictions(tupleset).into_iter().map(|restriction| (restriction.type_name, computed.clone())).collect()
        }
        Rewrite::Union(parts) | Rewrite::Intersection(parts) => {
            parts.iter().flat_map(|part| uses(model, of, name, part)).collect()
        }
        Rewrite::Exclusion { base, subtract } => {
            [base, subtract].into_iter().flat_map(|part| uses(model, of, name, part)).collect()
        }
    }
}
