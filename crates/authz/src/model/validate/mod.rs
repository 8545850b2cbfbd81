//! Whether a model makes sense: the rules by which OpenFGA accepts one, gathered instead of stopping at the first.
//!
//! The checks run in an order in which a later one may trust what an earlier one found right. A relation with a fault is left
//! out of the later checks, so that one mistake is told once.

mod condition;
mod cycle;
mod entrypoint;
mod reference;
mod site;
mod suggest;

use std::collections::{HashMap, HashSet};

use super::bounds::MAX_NESTING;
use super::error::{Faults, ModelError, ModelErrorKind};
use super::{Model, ModelErrors, RelationDefinition, Rewrite, TypeDefinition};
use crate::relation::{check_relation, check_type};
use site::Site;

/// Names that older forms of the language give a meaning to, so that nothing may be called by them.
const RESERVED: [&str; 2] = ["self", "this"];

impl Model {
    /// Checks that the model makes sense:
    ///
    /// - There is a type; types and the relations of each have names of their own that are allowed and not reserved.
    /// - What a relation refers to is defined. For `viewer from parent`, at least one type of `parent` has a `viewer`.
    /// - What stands after `from` is a plain list of types, without usersets, wildcards and operators.
    /// - A relation lists who may be written directly if and only if it says where.
    /// - A condition under which somebody is let in is defined; conditions and the parameters of each have names of their own, and
    ///   the expression of each makes sense. That nothing uses a condition is no fault.
    /// - No relation is computed from itself.
    /// - Somebody can stand in every relation: its definition leads to a type somehow. All operands of `and` must, and both
    ///   sides of `but not`.
    ///
    /// # Errors
    /// Every fault: with its place where the model came from the DSL, and with its path in the JSON elsewhere.
    pub fn validate(&self) -> Result<(), ModelErrors> {
        let mut faults = Faults::default();
        if self.types.is_empty() {
            let remedy = "define at least one, as in `type user`";
            faults.push(ModelError::new(ModelErrorKind::Undefined, "the model has no types", remedy));
        }
        let mut index = Index::new(self, &mut faults);
        condition::check(self, &mut faults);
        reference::check(&mut index, &mut faults);
        cycle::check(&mut index, &mut faults);
        if !faults.is_full() {
            entrypoint::check(&index, &mut faults);
        }
        faults.into_result(())
    }
}

/// All relations of a model, numbered.
struct Index<'m> {
    conditions: HashSet<&'m str>,
    types: HashMap<&'m str, HashMap<&'m str, usize>>,
    relations: Vec<Indexed<'m>>,
    /// The relations of one name, whatever their types.
    namesakes: HashMap<&'m str, Vec<usize>>,
}

struct Indexed<'m> {
    of: &'m TypeDefinition,
    definition: &'m RelationDefinition,
    /// Where it is defined.
    site: Site<'m>,
    /// The types in its list of who may be written directly.
    lets_in: HashSet<&'m str>,
    /// Whether a fault of it was told, so that later checks take it as right.
    faulty: bool,
}

impl<'m> Index<'m> {
    /// Numbers the relations, and tells of names that are wrong or used twice.
    fn new(model: &'m Model, faults: &mut Faults) -> Self {
        let conditions = model.conditions.iter().map(|definition| &*definition.name).collect();
        let mut index = Self { conditions, types: HashMap::new(), relations: Vec::new(), namesakes: HashMap::new() };
        for (number, of) in model.types.iter().enumerate() {
            let site = Site::of_type(number, of);
            check_type_name(of, site, faults);
            if index.types.insert(&of.name, HashMap::with_capacity(of.relations.len())).is_some() {
                let what = format!("the type `{}` is defined twice", of.name);
                let remedy = "keep one definition with the relations of both";
                faults.push(ModelError::new(ModelErrorKind::Duplicate, what, remedy).of(site));
            }
            for definition in &of.relations {
                let site = site.relation(definition);
                let too_deep = check_depth(of, definition, site, faults);
                check_relation_name(of, definition, site, faults);
                let number = index.relations.len();
                let lets_in = definition.restrictions.iter().map(|entry| &*entry.type_name).collect();
                index.relations.push(Indexed { of, definition, site, lets_in, faulty: too_deep });
                index.namesakes.entry(&definition.name).or_default().push(number);
                let known = index.types.entry(&of.name).or_default().insert(&definition.name, number);
                if known.is_some() {
                    let what = format!("{} is defined twice", named(of, definition));
                    let remedy = "keep one definition, for example with `or` between the two";
                    faults.push(ModelError::new(ModelErrorKind::Duplicate, what, remedy).of(site));
                }
            }
        }
        index
    }

    fn relation(&self, type_name: &str, relation: &str) -> Option<usize> {
        self.types.get(type_name)?.get(relation).copied()
    }

    /// The relations called `computed` that `computed from tupleset` leads to; `tupleset` is a relation's number.
    ///
    /// A model can hold many such pairs, each with many types and namesakes: the shorter list is looked up in the longer one.
    fn reached(&self, tupleset: usize, computed: &str) -> Vec<usize> {
        let types = &self.relations[tupleset].lets_in;
        match self.namesakes.get(computed) {
            Some(namesakes) if namesakes.len() <= types.len() => {
                let within = |&number: &usize| types.contains(&*self.relations[number].of.name);
                namesakes.iter().copied().filter(within).collect()
            }
            Some(_) => types.iter().filter_map(|type_name| self.relation(type_name, computed)).collect(),
            None => Vec::new(),
        }
    }
}

impl Indexed<'_> {
    fn named(&self) -> String {
        named(self.of, self.definition)
    }
}

/// The leaves of a rewrite: [`Rewrite::Direct`], [`Rewrite::Computed`] and [`Rewrite::TupleToUserset`].
fn leaves(rewrite: &Rewrite) -> impl Iterator<Item = &Rewrite> {
    let mut open = vec![rewrite];
    std::iter::from_fn(move || {
        loop {
            let next = open.pop()?;
            match next {
                Rewrite::Direct | Rewrite::Computed { .. } | Rewrite::TupleToUserset { .. } => return Some(next),
                Rewrite::Union(operands) | Rewrite::Intersection(operands) => open.extend(operands.iter().rev()),
                Rewrite::Exclusion { base, subtract } => open.extend([&**subtract, &**base]),
            }
        }
    })
}

/// Whether a rewrite is too deep for a check that recurses. Readers refuse such a model; one that a program built may hold it.
fn check_depth(of: &TypeDefinition, definition: &RelationDefinition, site: Site<'_>, faults: &mut Faults) -> bool {
    let mut open = vec![(&definition.rewrite, 0)];
    while let Some((rewrite, level)) = open.pop() {
        if level > MAX_NESTING {
            let what = format!("{} has more than {MAX_NESTING} operators within each other", named(of, definition));
            let remedy = "give the inner part a relation of its own";
            faults.push(ModelError::new(ModelErrorKind::TooLarge, what, remedy).of(site));
            return true;
        }
        match rewrite {
            Rewrite::Direct | Rewrite::Computed { .. } | Rewrite::TupleToUserset { .. } => {}
            Rewrite::Union(operands) | Rewrite::Intersection(operands) => {
                open.extend(operands.iter().map(|operand| (operand, level + 1)));
            }
            Rewrite::Exclusion { base, subtract } => open.extend([(&**base, level + 1), (&**subtract, level + 1)]),
        }
    }
    false
}

fn check_type_name(of: &TypeDefinition, site: Site<'_>, faults: &mut Faults) {
    if let Err(error) = check_type(&of.name) {
        faults.push(ModelError::name(&of.name, &error).of(site));
    }
    if RESERVED.contains(&&*of.name) {
        faults.push(reserved(format!("a type is called `{}`", of.name)).of(site));
    }
}

fn check_relation_name(of: &TypeDefinition, definition: &RelationDefinition, site: Site<'_>, faults: &mut Faults) {
    if let Err(error) = check_relation(&definition.name) {
        faults.push(ModelError::name(&definition.name, &error).of(site));
    }
    if RESERVED.contains(&&*definition.name) {
        let what = format!("a relation of `{}` is called `{}`", of.name, definition.name);
        faults.push(reserved(what).of(site));
    }
}

fn reserved(what: String) -> ModelError {
    ModelError::new(ModelErrorKind::Name, format!("{what}, which is a reserved word"), "choose another name")
}

fn named(of: &TypeDefinition, definition: &RelationDefinition) -> String {
    format!("the relation `{}` of `{}`", definition.name, of.name)
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
