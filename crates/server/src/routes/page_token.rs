//! Tokens of pages: a place in one list, opaque to the caller.
//!
//! A token is the place behind a digest over the place and everything that the list depends on, under a secret of this process. Altered, made up, or brought to
//! another list, it is refused; it ends with the process that gave it. A place is the last item that was passed on, never a count: items that come and go
//! before it neither repeat nor hide others.

use std::hash::{BuildHasher, Hash, RandomState};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip128::{Hasher128, SipHasher13};

/// The longest token that is looked at: a type and an id of the greatest length behind a digest, in base64.
const MAX_TOKEN_BYTES: usize = 1_024;
const DIGEST_BYTES: usize = 16;

/// Makes tokens, and knows them again.
#[derive(Clone)]
pub(crate) struct PageTokens {
    secret: (u64, u64),
}

/// A list that is read page by page.
pub(crate) struct PagedList {
    digest: SipHasher13,
}

impl Default for PageTokens {
    fn default() -> Self {
        let seed = RandomState::new();
        Self { secret: (seed.hash_one(0_u8), seed.hash_one(1_u8)) }
    }
}

impl PageTokens {
    /// A list of a kind, bound to everything that decides what is in it.
    pub(crate) fn list(&self, kind: &'static str, bound: &impl Hash) -> PagedList {
        let mut digest = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
        kind.hash(&mut digest);
        bound.hash(&mut digest);
        PagedList { digest }
    }
}

impl PagedList {
    /// The token of a place.
    pub(crate) fn token(&self, place: &str) -> String {
        let mut bytes = self.digest(place).to_vec();
        bytes.extend(place.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a token; none where it is not one of this list.
    pub(crate) fn place(&self, token: &str) -> Option<String> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (digest, place) = bytes.split_at_checked(DIGEST_BYTES)?;
        let place = std::str::from_utf8(place).ok()?;
        (digest == self.digest(place)).then(|| place.to_owned())
    }

    fn digest(&self, place: &str) -> [u8; DIGEST_BYTES] {
        let mut digest = self.digest;
        place.hash(&mut digest);
        digest.finish128().as_bytes()
    }
}

impl std::fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageTokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_again_in_its_own_list_and_in_no_other() {
        let tokens = PageTokens::default();
        let list = tokens.list("results", &("ann", 2));
        let token = list.token("plan");
        assert_eq!(list.place(&token).as_deref(), Some("plan"));
        assert_eq!(list.place(&list.token("")).as_deref(), Some(""), "the beginning is a place too");
        for other in [tokens.list("results", &("ann", 3)), tokens.list("entities", &("ann", 2))] {
            assert_eq!(other.place(&token), None);
        }
        assert_eq!(PageTokens::default().list("results", &("ann", 2)).place(&token), None, "another secret");
    }

    #[test]
    fn an_altered_token_is_refused_whichever_byte_it_is() {
        let list = PageTokens::default().list("results", &());
        let bytes = URL_SAFE_NO_PAD.decode(list.token("plan")).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(list.place(&URL_SAFE_NO_PAD.encode(altered)), None);
        }
        for forged in ["", "x", "!!", "AAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(1 << 20)] {
            assert_eq!(list.place(forged), None);
        }
    }
}
