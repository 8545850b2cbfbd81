//! A condition is checked once and evaluated often. It has an outcome only where that is certain; everything else is an error.

use std::sync::Arc;

use serde_json::Value as Json;

use super::bounds::{DEFAULT_MAX_STEPS, MAX_FAULTS, MAX_PARAMETERS, MAX_TYPE_DEPTH};
use super::budget::Budget;
use super::check::Checker;
use super::convert::{Refusal, convert};
use super::error::{ConditionError, Stop, shown};
use super::evaluate::Machine;
use super::fault::ConditionFault;
use super::horizon::Horizon;
use super::node::Node;
use super::parse::parse;
use super::time;
use super::types::Type;
use super::value::{Moving, Value};
use super::{ConditionDefinition, Context, Parameter, ParameterType};
use crate::relation::Text;
use crate::store::UnixMillis;

const NANOS_PER_MILLI: i128 = 1_000_000;

/// A condition that was checked and can be evaluated.
#[derive(Debug)]
pub struct Program {
    name: Text,
    /// As they were declared, with whether the expression refers to them.
    parameters: Vec<(Parameter, bool)>,
    reads: Vec<Text>,
    root: Node,
}

/// What came of a condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Whether the condition is met.
    pub met: bool,
    /// The first instant (milliseconds since 1970) at which the clock could give another outcome; none where time plays no part.
    pub until: Option<u64>,
}

impl Program {
    /// Checks a definition: its size, the types of all parts of its expression, and that it comes to a bool.
    ///
    /// # Errors
    ///
    /// All faults that were found, in the order of their places, and at most [`MAX_FAULTS`].
    pub fn compile(definition: &ConditionDefinition) -> Result<Self, Vec<ConditionFault>> {
        let mut faults = parameter_faults(&definition.parameters);
        if !faults.is_empty() {
            return Err(faults);
        }
        let parsed = parse(&definition.expression)?;
        let mut checker = Checker::new(&parsed, &definition.parameters);
        let (root, kind) = checker.check(&parsed.root);
        if checker.faults.is_empty() && kind != Type::BOOL {
            let remedy = if kind == Type::Dyn {
                "compare it with something, as in `value == true`"
            } else {
                "compare it with something"
            };
            checker.fault(parsed.root.id, format!("the expression comes to {kind}, and a condition to bool"), remedy);
        }
        faults.append(&mut checker.faults);
        if !faults.is_empty() {
            faults.sort_by_key(|fault| fault.place);
            faults.truncate(MAX_FAULTS);
            return Err(faults);
        }
        let parameters: Vec<_> = definition.parameters.iter().cloned().zip(checker.used).collect();
        let mut reads: Vec<Text> =
            parameters.iter().filter(|(_, used)| *used).map(|(parameter, _)| Arc::clone(&parameter.name)).collect();
        reads.sort();
        Ok(Self { name: Arc::clone(&definition.name), parameters, reads, root })
    }

    /// The name of the condition.
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// The parameters that the expression refers to, sorted, each once.
    #[must_use]
    pub fn reads(&self) -> &[Text] {
        &self.reads
    }

    /// Evaluates it with what `given` tells of its parameters; only those of [`reads`](Self::reads) are asked for.
    ///
    /// `clock` is the name of the parameter that stands for the current time where nobody gives it, and the time. It counts only where that parameter is
    /// declared as a timestamp.
    ///
    /// # Errors
    ///
    /// Where there is no telling, or too much to do: see [`ConditionError`].
    pub fn evaluate<'v>(
        &self,
        given: &dyn Fn(&str) -> Option<&'v Json>,
        clock: Option<(&str, UnixMillis)>,
        budget: &mut Budget,
    ) -> Result<Outcome, ConditionError> {
        let mut parameters = Vec::with_capacity(self.parameters.len());
        for (parameter, used) in &self.parameters {
            let value = if *used { self.value(parameter, given, clock, budget)? } else { None };
            parameters.push(value);
        }
        let now = clock.map_or(0, |(_, now)| now);
        let mut machine = Machine { parameters, variables: Vec::new(), budget, horizon: Horizon::new(now) };
        let met = machine.truth(&self.root).map_err(|stop| self.told(stop))?;
        Ok(Outcome { met, until: machine.horizon.until() })
    }

    /// Whether what a relationship brings fits the parameters: each is declared, and has a value of its type.
    ///
    /// # Errors
    ///
    /// The first one that does not fit, or that is too large.
    pub fn accepts(&self, context: &Context) -> Result<(), ConditionError> {
        let mut budget = Budget::new(DEFAULT_MAX_STEPS);
        for (name, value) in context.iter() {
            let declared = self.parameters.iter().find(|(parameter, _)| parameter.name == *name);
            let Some((parameter, _)) = declared else {
                let (condition, parameter) = (Arc::clone(&self.name), Arc::clone(name));
                return Err(ConditionError::Undeclared { condition, parameter });
            };
            self.value(parameter, &|_| Some(value), None, &mut budget)?;
        }
        Ok(())
    }

    fn value<'v>(
        &self,
        parameter: &Parameter,
        given: &dyn Fn(&str) -> Option<&'v Json>,
        clock: Option<(&str, UnixMillis)>,
        budget: &mut Budget,
    ) -> Result<Option<Value>, ConditionError> {
        if let Some(json) = given(&parameter.name) {
            return convert(json, &parameter.kind, budget).map(Some).map_err(|refusal| match refusal {
                Refusal::Stop(stop) => self.told(stop),
                Refusal::Type { expected, found } => ConditionError::WrongType {
                    condition: Arc::clone(&self.name),
                    parameter: Arc::clone(&parameter.name),
                    expected,
                    found,
                },
            });
        }
        let is_clock =
            |(name, _): &(&str, UnixMillis)| *name == &*parameter.name && parameter.kind == ParameterType::Timestamp;
        Ok(clock.filter(is_clock).and_then(|(_, now)| {
            let nanos = i128::from(now) * NANOS_PER_MILLI;
            (nanos <= time::LAST).then_some(Value::Timestamp(Moving { nanos, slope: 1 }))
        }))
    }

    fn told(&self, stop: Stop) -> ConditionError {
        let condition = Arc::clone(&self.name);
        match stop {
            Stop::Missing(positions) => {
                let name =
                    |position: usize| self.parameters.get(position).map(|(parameter, _)| Arc::clone(&parameter.name));
                let mut names: Vec<_> = positions.into_iter().filter_map(name).collect();
                names.sort();
                names.dedup();
                ConditionError::Missing { condition, names }
            }
            Stop::Failed(what) => ConditionError::Failed { condition, what },
            Stop::Exceeded { bound, limit } => ConditionError::Exceeded { condition, bound, limit },
        }
    }
}

fn parameter_faults(parameters: &[Parameter]) -> Vec<ConditionFault> {
    let mut faults = Vec::new();
    if parameters.len() > MAX_PARAMETERS {
        let what = format!("the condition has {} parameters, more than {MAX_PARAMETERS}", parameters.len());
        return vec![ConditionFault::new(what, "put some of them together into a map")];
    }
    for (at, parameter) in parameters.iter().enumerate() {
        let name = shown(&parameter.name);
        if parameters[..at].iter().any(|before| before.name == parameter.name) {
            faults.push(ConditionFault::new(format!("the parameter `{name}` is declared twice"), "remove one of them"));
        }
        let mut kind = &parameter.kind;
        let mut depth = 0;
        while let ParameterType::List(inner) | ParameterType::Map(inner) = kind {
            (kind, depth) = (inner, depth + 1);
        }
        if depth > MAX_TYPE_DEPTH {
            let what = format!("the type of `{name}` is deeper than {MAX_TYPE_DEPTH} levels");
            faults.push(ConditionFault::new(what, "declare the inner part as `any`"));
        }
    }
    faults
}
