//! How large a model may be. Every reader of models keeps these, so that a hostile model costs little and overflows nothing.

/// The longest model in the DSL, in bytes; of a modular model all files together.
pub const MAX_DSL_BYTES: usize = 256 * 1024;
/// The longest model as JSON, in bytes. The JSON form takes up to ten times the room of the DSL, and every model that can be read
/// from the DSL must be readable from its own JSON, because that is what stores keep.
pub const MAX_JSON_BYTES: usize = 16 * MAX_DSL_BYTES;
/// The most files of a modular model.
pub const MAX_MODULE_FILES: usize = 1_000;
/// The largest `fga.mod`, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 64 * 1024;
/// The most types of a model.
pub const MAX_TYPES: usize = 1_000;
/// The most relations of a type.
pub const MAX_RELATIONS: usize = 1_000;
/// The most entries in a list of who may be written directly.
pub const MAX_RESTRICTIONS: usize = 1_000;
/// The most things that one chain of `or` or of `and` joins.
pub const MAX_OPERANDS: usize = 1_000;
/// The most operators within each other: `a or b` has 1, `(a or b) and c` has 2.
pub const MAX_NESTING: usize = 32;
/// The most conditions of a model.
pub const MAX_CONDITIONS: usize = 1_000;
/// Bounds on single conditions.
pub use crate::condition::{MAX_EXPRESSION_BYTES, MAX_PARAMETERS, MAX_TYPE_DEPTH as MAX_PARAMETER_NESTING};
