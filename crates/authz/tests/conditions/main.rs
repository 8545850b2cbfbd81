//! Conditions against another implementation of their language.

mod generator;
mod oracle_fga;
