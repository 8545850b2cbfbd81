//! What lies in the stream: each record says which epoch it belongs to and which record came before it.
//!
//! So a reader needs no second question to know that nothing is missing between two records, however the stream was trimmed, emptied or
//! replaced meanwhile: what comes next either names the last one that was read, or shows how far the gap reaches.

use cache_core::{Identity, Revision};
use redis::streams::StreamId;

use super::id;

/// The fields of a record. Never rename them.
const EPOCH: &str = "e";
const PREVIOUS: &str = "p";
const KILLS: &str = "k";

/// A record of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Record {
    /// Its id.
    pub(super) revision: Revision,
    /// What it says; none where the log's own script has not written it.
    pub(super) content: Option<Content>,
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Content {
    /// Whose record it is.
    pub(super) epoch: Identity,
    /// The record before it, also where that is trimmed by now; zero for the first one of an epoch.
    pub(super) previous: Revision,
    /// What it kills, encoded.
    pub(super) kills: Box<[u8]>,
}

impl Record {
    /// Reads a record; none where not even its id can be one.
    pub(super) fn read(entry: &StreamId) -> Option<Self> {
        let content = || {
            let epoch: Vec<u8> = entry.get(EPOCH)?;
            let previous: String = entry.get(PREVIOUS)?;
            let kills: Vec<u8> = entry.get(KILLS)?;
            Some(Content {
                epoch: Identity(epoch.try_into().ok()?),
                previous: id::parse(&previous)?,
                kills: kills.into(),
            })
        };
        Some(Self { revision: id::parse(&entry.id)?, content: content() })
    }
}
