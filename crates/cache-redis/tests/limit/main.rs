//! Rate limits in a real Redis: exact, shared, and honest when they can't tell.

mod exact;
mod faults;
mod shared;
mod support;
