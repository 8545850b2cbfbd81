//! Every bound on a condition, so that a hostile model or question costs no more than these say.

/// Bytes of an expression.
pub const MAX_EXPRESSION_BYTES: usize = 4096;
/// Levels of an expression: brackets, and operators that build upon each other. The parser and everything after it recurse no deeper.
pub const MAX_EXPRESSION_DEPTH: usize = 48;
/// Parameters of a condition.
pub const MAX_PARAMETERS: usize = 25;
/// Levels of lists and maps in the type of a parameter.
pub const MAX_TYPE_DEPTH: usize = 8;
/// Macros over lists and maps (`all`, `exists`, `exists_one`, `map`, `filter`) inside of each other.
pub const MAX_NESTED_MACROS: usize = 3;
/// Faults that are told of one condition.
pub const MAX_FAULTS: usize = 16;
/// Bytes of a regular expression.
pub const MAX_PATTERN_BYTES: usize = 512;
/// Bytes that a compiled regular expression may take.
pub const MAX_PATTERN_SIZE: usize = 256 * 1024;
/// Bytes of one that takes one step for each byte that it searches.
pub(super) const SMALL_PATTERN_SIZE: usize = 16 * 1024;
/// Levels of groups in a regular expression.
pub const MAX_PATTERN_DEPTH: u32 = 32;
/// Levels of lists and objects in a given value.
pub const MAX_VALUE_DEPTH: usize = 64;
/// Characters of a value that a message quotes.
pub const MAX_QUOTED_CHARS: usize = 64;
/// Steps that the evaluations of one question may take together: every part of an expression that is evaluated, every element, and every
/// [`BYTES_PER_STEP`] bytes of text that are looked at.
pub const DEFAULT_MAX_STEPS: u64 = 1_000_000;
/// Bytes of text that count as one step.
pub const BYTES_PER_STEP: usize = 16;
/// Steps for compiling a regular expression that is only known at evaluation.
pub(super) const STEPS_PER_PATTERN: u64 = 2_000;
