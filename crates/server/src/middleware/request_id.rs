//! `X-Request-ID`: the caller's own where it is short and plain, so that logs on both sides can be put side by side; otherwise a new one.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::ids::new_id;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id of a caller that is given back.
const MAX_BYTES: usize = 128;

/// The id of a request.
#[derive(Debug)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(HEADER) {
            Some(given) if is_plain(given.as_bytes()) => Self(given.clone()),
            _ => Self::new(),
        }
    }

    fn new() -> Self {
        let mut text = [0; ulid::ULID_LEN];
        let text = new_id().array_to_str(&mut text);
        // The letters of a ULID are those of a header.
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")))
    }

    pub(super) fn put(self, headers: &mut HeaderMap) {
        headers.insert(HEADER, self.0);
    }
}

fn is_plain(id: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_back(id: &'static [u8]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(id).unwrap());
        RequestId::of(&headers).0.as_bytes() == id
    }

    #[test]
    fn a_short_plain_id_is_given_back_and_any_other_replaced() {
        assert!(given_back(b"bfe9eb29-ab87-4ca3-be83-a1d5d8305716"));
        assert!(given_back(&[b'a'; MAX_BYTES]));
        assert!(!given_back(&[b'a'; MAX_BYTES + 1]));
        assert!(!given_back(b""));
        assert!(!given_back(b"a b"));
        assert!(!given_back("ä".as_bytes()));
    }
}
