//! What the tier does when Redis fails, is slow, or lies: each fault on a real server, and by its symptom.

#[path = "../support/mod.rs"]
mod support;

mod crowd;
mod down;
mod junk;
mod memory;
mod nodes;
mod parts;
mod places;
mod refused;
mod silent;
mod values;
