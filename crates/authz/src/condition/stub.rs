use super::ConditionDefinition;
use crate::relation::Text;
use serde_json::Value;
pub trait Values {
    fn value(&self, name: &str) -> Option<&Value>;
}
#[derive(Debug)]
pub struct Program;
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("x")]
pub enum ConditionError {
    X,
}
#[derive(Debug)]
pub struct ConditionFault;
pub struct Outcome {
    pub met: bool,
    pub until: Option<u64>,
}
pub struct Budget;
impl Budget {
    pub fn new(_: u64) -> Self {
        Self
    }
}
pub const DEFAULT_MAX_STEPS: u64 = 100;
impl Program {
    pub fn compile(_: &ConditionDefinition) -> Result<Self, Vec<ConditionFault>> {
        Err(vec![])
    }
    pub fn reads(&self) -> &[Text] {
        &[]
    }
    pub fn evaluate(&self, _: &dyn Values, _: Option<(&str, u64)>, _: &mut Budget) -> Result<Outcome, ConditionError> {
        Err(ConditionError::X)
    }
}
