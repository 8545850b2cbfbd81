//! Lists: to which objects is a subject in a relation, and which subjects are in a relation to an object?
//!
//! A list is complete and exact, or an error: what it holds is what checks would allow, under the same model, in the same snapshot.

mod bits;
mod level;
mod membership;
mod mention;
mod objects;
mod users;

pub use level::{Level, level};
pub use membership::Members;
pub use objects::{Found, ObjectSearch, SearchRead};
pub use users::{UserRead, UserSearch};
