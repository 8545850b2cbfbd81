//! test
pub mod measure;
