//! What every list does in the same way.

use super::{MAX_PAGE, Page, PageRequest};

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
