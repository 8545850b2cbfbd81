//! Reads a model from the DSL that people write.
//!
//! Text becomes tokens, tokens become lines, and what a `define` says becomes a [`Rewrite`](super::Rewrite). Nothing here asks
//! whether the model makes sense; that is for [`Model::validate`].

mod cursor;
mod document;
mod expression;
mod token;

use super::bounds::MAX_DSL_BYTES;
use super::error::{Faults, ModelError, ModelErrorKind};
use super::{Model, ModelErrors};

impl Model {
    /// Reads a model from the DSL, schema 1.1.
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
    /// The faults of the text, each with its line and column; also where it needs a [`Feature`](super::Feature) that isn't
    /// supported yet, or exceeds one of the [`bounds`](super::bounds).
    pub fn from_dsl(text: &str) -> Result<Self, ModelErrors> {
        if text.len() > MAX_DSL_BYTES {
            let what = format!("the model has {} bytes; at most {MAX_DSL_BYTES} are allowed", text.len());
            return Err(ModelError::new(ModelErrorKind::TooLarge, what, "split it into several stores").into());
        }
        let mut faults = Faults::default();
        let model = document::read(cursor::Cursor::new(token::tokens(text)), &mut faults);
        faults.into_result(model)
    }
}

#[cfg(test)]
mod tests;
