//! Relationship-based authorization.

pub mod model;
pub mod relation;
pub mod store;
pub mod storefile;
