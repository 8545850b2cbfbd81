//! What comes in and goes out as JSON: read strictly, bounded in length and depth.

mod body;
mod hex;
mod reply;
mod strict;
mod time;
mod word;

pub(crate) use body::JsonBody;
pub(crate) use hex::hex;
pub(crate) use reply::{created, no_content, ok, reply};
pub(crate) use time::{millis, rfc3339};
pub(crate) use word::{Fields, Word};
