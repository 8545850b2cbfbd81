//! The demo world: a media platform with users, nested teams, projects, generations and media, the same each time.
//!
//! It is what a newcomer meets first and what benchmarks measure. Team sizes and the popularity of projects follow Zipf's law; one user in a
//! hundred is suspended; one project in twelve is public.

mod world;

use crate::model::Model;
use crate::relation::Tuple;

pub use world::{Question, Size, World};

/// The name of the demo store.
pub const STORE_NAME: &str = "demo";

const MODEL: &str = include_str!("media.fga");

/// The model of the demo world, in the modelling language.
#[must_use]
pub fn model_text() -> &'static str {
    MODEL
}

/// The model of the demo world.
///
/// # Panics
/// Never: a test reads it.
#[must_use]
pub fn model() -> Model {
    match Model::from_dsl(MODEL) {
        Ok(model) => model,
        Err(errors) => unreachable!("the demo model is part of this crate and tested: {errors}"),
    }
}

/// What the start-up text lets a newcomer try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tour {
    /// Who is allowed, as `type` and `id`.
    pub allowed: (&'static str, &'static str),
    /// Who is denied.
    pub denied: (&'static str, &'static str),
    /// The action.
    pub action: &'static str,
    /// On which resource.
    pub resource: (&'static str, &'static str),
    /// The one relationship that the allow rests on.
    pub revoked: Tuple,
}

/// A tour through the demo world: an allow, a deny, and the revocation that turns the one into the other.
///
/// # Panics
/// Never: a test walks it.
#[must_use]
pub fn tour() -> Tour {
    let revoked = match Tuple::parse("team:studio", "member", "user:ann") {
        Ok(tuple) => tuple,
        Err(error) => unreachable!("a literal that a test reads: {error}"),
    };
    Tour {
        allowed: ("user", "ann"),
        denied: ("user", "bob"),
        action: "can_view",
        resource: ("generation", "teaser"),
        revoked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_makes_sense() {
        model().validate().unwrap();
    }

    #[test]
    fn the_tour_can_be_walked() {
        let tour = tour();
        let world = World::new(Size::SMALL);
        assert!(world.tuples().any(|tuple| tuple == tour.revoked));
    }
}
