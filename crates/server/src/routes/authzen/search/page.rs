//! Pages of a search.
//!
//! A page goes on after the last item of the one before, by its value. Its token belongs to one request, down to the limit, and to one version of the model.

use std::hash::Hash;

use authz::relation::Text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::Fault;
use crate::routes::page_token::PagedList;
use crate::wire::Word;

/// Results of a page where the caller doesn't say.
const DEFAULT_LIMIT: u64 = 100;
/// The most results of a page; a higher limit is taken for this one.
const MAX_LIMIT: u64 = 1_000;

/// The page that is wanted.
#[derive(Deserialize, ToSchema)]
#[schema(as = PageRequest)]
pub(super) struct PageWish<'a> {
    #[serde(borrow, default)]
    token: Option<Word<'a>>,
    #[serde(default)]
    limit: Option<u64>,
}

/// What a caller learns of a page.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(super) struct PageOut {
    /// Asks for the next page; empty at the end.
    next_token: String,
    /// Results on this page.
    count: usize,
    /// Results on all pages, as it is now.
    pub(super) total: usize,
}

/// Cuts pages out of lists.
pub(super) struct Paging {
    list: PagedList,
    after: Option<String>,
    limit: usize,
}

impl Paging {
    /// Of a kind of search, and of everything that decides what it finds.
    ///
    /// # Errors
    /// Where the token is none of this search.
    pub(super) fn new(
        app: &App,
        kind: &'static str,
        bound: &impl Hash,
        wish: Option<&PageWish<'_>>,
    ) -> Result<Self, Fault> {
        let limit = wish.and_then(|wish| wish.limit).unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
        let list = app.page_tokens.list(kind, &(bound, limit));
        let after = match wish.and_then(|wish| wish.token.as_deref()).filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => Some(list.place(token).ok_or_else(|| Fault::invalid(FOREIGN))?),
        };
        Ok(Self { list, after, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
    }

    /// The page's part of a sorted list.
    pub(super) fn cut<'i>(&self, items: &'i [Text]) -> (&'i [Text], PageOut) {
        let after = self.after.as_deref().unwrap_or_default();
        let begin = items.partition_point(|item| **item <= *after);
        let end = items.len().min(begin.saturating_add(self.limit));
        let page = items.get(begin..end).unwrap_or_default();
        let next_token = match page.last() {
            _ if end == items.len() => String::new(),
            Some(last) => self.list.token(last),
            None => self.list.token(after),
        };
        (page, PageOut { next_token, count: page.len(), total: items.len() })
    }
}

const FOREIGN: &str = "page.token belongs to another request, to an older version of the model, or to the time before the server was started; \
                       send the request as it was with the first page, or begin without a token";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::page_token::PageTokens;

    fn items(ids: &[&str]) -> Vec<Text> {
        ids.iter().copied().map(Text::from).collect()
    }

    fn paging(after: Option<&str>, limit: usize) -> Paging {
        Paging { list: PageTokens::default().list("results", &()), after: after.map(str::to_owned), limit }
    }

    #[test]
    fn a_page_goes_on_after_an_item_that_is_gone() {
        let all = items(&["a", "c", "d"]);
        let (page, out) = paging(Some("b"), 1).cut(&all);
        assert_eq!((page, out.count, out.total), (items(&["c"]).as_slice(), 1, 3));
        assert!(!out.next_token.is_empty());
    }

    #[test]
    fn the_last_page_says_so_also_where_it_is_full() {
        let all = items(&["a", "b"]);
        assert_eq!(paging(None, 2).cut(&all).1.next_token, "");
        assert_eq!(paging(Some("b"), 2).cut(&all).1.next_token, "");
        assert_eq!(paging(None, 2).cut(&[]).1.next_token, "");
    }

    #[test]
    fn a_page_of_nothing_goes_on_where_it_began() {
        let all = items(&["a", "b"]);
        let paging = paging(Some("a"), 0);
        let (page, out) = paging.cut(&all);
        assert!(page.is_empty());
        assert_eq!(paging.list.place(&out.next_token).as_deref(), Some("a"));
    }
}
