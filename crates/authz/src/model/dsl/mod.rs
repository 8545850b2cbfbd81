//! Reads a model from the DSL that people write.
//!
//! Text becomes tokens, tokens become lines, and what a `define` says becomes a [`Rewrite`](super::Rewrite). Nothing here asks
//! whether the model makes sense; that is for [`Model::validate`].

mod body;
mod condition;
mod cursor;
mod document;
mod expression;
mod header;
mod token;

pub(super) use document::{Extension, Part, read_part};

use super::bounds::MAX_DSL_BYTES;
use super::error::{Faults, ModelError, ModelErrorKind};
use super::{Model, ModelErrors};

impl Model {
    /// Reads a model from the DSL: one file with its own `model` and `schema`.
    ///
    /// ```
    /// let model = authz::model::Model::from_dsl("
    ///     model
    ///       schema 1.1
    ///     type user
    ///     type document
    ///       relations
    ///         define owner: [user]
    ///         define viewer: [user, user:*] or owner
    /// ")?;
    /// assert!(model.relation("document", "viewer").is_some());
    /// model.validate()?;
    /// # Ok::<(), authz::model::ModelErrors>(())
    /// ```
    ///
    /// # Errors
    /// The faults of the text, each with its line and column; also where it exceeds one of the [`bounds`](super::bounds), or is a
    /// part of a modular model, which [`Model::from_modules`] reads.
    pub fn from_dsl(text: &str) -> Result<Self, ModelErrors> {
        if text.len() > MAX_DSL_BYTES {
            let what = format!("the model has {} bytes; at most {MAX_DSL_BYTES} are allowed", text.len());
            return Err(ModelError::new(ModelErrorKind::TooLarge, what, "split it into several stores").into());
        }
        let mut faults = Faults::default();
        let model = document::read(cursor::Cursor::new(text), &mut faults);
        faults.into_result(model)
    }
}

#[cfg(test)]
mod tests;
