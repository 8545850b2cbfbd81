//! What the tests of a tier need: a clock that they own, a tier that misbehaves on request, and the laws that every tier keeps.
//!
//! Ten lines give a tier its suite: a [`Fixture`] that makes it, and [`conformance!`](crate::conformance), which expands to one
//! test for each law.
//!
//! ```
//! use cache_core::testing::{FakeLayer, Fixture, Setting, SharedLayer};
//!
//! #[derive(Default)]
//! struct Remote;
//!
//! impl Fixture for Remote {
//!     async fn layer(&self, _: &Setting) -> SharedLayer {
//!         SharedLayer::new(FakeLayer::remote("remote"))
//!     }
//! }
//!
//! mod laws_of_the_remote_tier {
//!     cache_core::conformance!(super::Remote);
//! }
//! ```
//!
//! Failures panic: this is test code, and the name of the law is the message.
#![allow(clippy::missing_panics_doc, reason = "a law that is broken panics; that is all a law does")]

mod clock;
mod fake;
mod fixture;
mod gate;
pub mod laws;
pub mod measure;
mod shared;

pub use clock::{FixedEntropy, TestClock};
pub use fake::{FakeLayer, Operation};
pub use fixture::{ALPHA, BETA, Fixture, Setting, TYPES, TestKey, TestValue, VIEW, World};
pub use gate::Gate;
pub use shared::{MirroredRow, SharedLayer};
