//! What every list does in the same way.

use cache_core::Revision;

use super::{MAX_PAGE, Page, PageRequest, StoreError};

/// A place in the history of a store's changes, for readers who go on from it. Only the origin that gave it can read it; no revision is a
/// place where writers commit in another order than they are numbered.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ChangePlace(Box<[u8]>);

impl ChangePlace {
    /// A place as its origin wrote it.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The revision after which an origin goes on whose revisions are in the order of its commits; from the beginning without a place.
    pub(super) fn revision(place: Option<&Self>) -> Result<Revision, StoreError> {
        let Some(Self(bytes)) = place else { return Ok(Revision::ZERO) };
        let bytes = bytes[..].try_into().map_err(|_| StoreError::UnknownPlace)?;
        Ok(Revision::new(u64::from_be_bytes(bytes)))
    }
}

impl From<Revision> for ChangePlace {
    /// Of an origin whose revisions are in the order of its commits.
    fn from(revision: Revision) -> Self {
        Self(Box::from(revision.get().to_be_bytes()))
    }
}

impl<C> PageRequest<C> {
    /// The limit within its bounds.
    pub(super) fn bounded(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE)
    }
}

impl<T, C> Page<T, C> {
    /// A page of what follows in a list. One item more than the limit is taken, to see whether there is another page.
    pub(super) fn cut(rest: impl IntoIterator<Item = T>, limit: usize, cursor: impl Fn(&T) -> C) -> Self {
        let mut items: Vec<T> = rest.into_iter().take(limit + 1).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}
