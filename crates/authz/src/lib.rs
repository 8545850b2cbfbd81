//! Relationship-based authorization.

pub mod condition;
pub mod decide;
pub mod demo;
pub mod dry_run;
pub mod evaluate;
pub mod model;
pub mod relation;
pub mod store;
pub mod storefile;
pub mod views;
