//! The tests of hostile and damaged values once more, over encrypted ones; and what encryption and a ring of keys add to them.

#[path = "../faults/junk.rs"]
mod junk;
mod rotation;
mod secrecy;
#[path = "../support/mod.rs"]
mod support;
#[path = "../faults/values.rs"]
mod values;
