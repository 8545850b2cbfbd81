//! Tokens of changes: which change of which history, opaque to the caller and the same on every instance.
//!
//! A token says nothing that its bearer could not know, and opens nothing. It is authenticated so that nobody asks about a change that there never was.

use std::hash::Hasher;
use std::sync::Arc;

use authz::decide::CheckError;
use authz::store::postgres::PostgresStore;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cache_core::{Identity, Revision};
use siphasher::sip128::{Hasher128, SipHasher24};
use tokio::sync::OnceCell;

use crate::error::{Fault, FaultKind};

/// The name of the secret that all instances share.
const SECRET: &str = "tokens";
const VERSION: u8 = 1;
const BODY_BYTES: usize = 1 + 16 + 8;
const DIGEST_BYTES: usize = 16;
/// The text of the longest token.
const MAX_TOKEN_CHARS: usize = (BODY_BYTES + DIGEST_BYTES).div_ceil(3) * 4;

/// Makes tokens, and knows them again.
pub struct ChangeTokens {
    /// Keeps the secret for all instances; without it this process is the only one.
    store: Option<Arc<PostgresStore>>,
    key: OnceCell<[u8; 16]>,
}

/// What a token says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NamedChange {
    pub(crate) history: Identity,
    pub(crate) revision: Revision,
}

impl ChangeTokens {
    /// For the instances that share a store, or for one alone.
    #[must_use]
    pub fn new(store: Option<Arc<PostgresStore>>) -> Self {
        Self { store, key: OnceCell::new() }
    }

    pub(crate) async fn write(&self, change: NamedChange) -> Result<String, Fault> {
        let mut bytes = body(change).to_vec();
        bytes.extend(digest(self.key().await?, &bytes));
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What a token says, of which history ever.
    pub(crate) async fn read(&self, token: &str) -> Result<NamedChange, Fault> {
        let key = self.key().await?;
        read(key, token).ok_or_else(|| {
            Fault::new(
                FaultKind::NotFound,
                "unknown_token",
                "this is no token of a change here; it was altered, or comes from another deployment",
            )
        })
    }

    async fn key(&self) -> Result<&[u8; 16], Fault> {
        self.key
            .get_or_try_init(async || {
                let mut key = [0; 16];
                match &self.store {
                    Some(store) => {
                        let secret = store.shared_secret(SECRET).await.map_err(CheckError::from)?;
                        let Some(found) = secret.first_chunk() else {
                            tracing::error!("the secret of tokens in tiergate.secrets is shorter than 16 bytes");
                            return Err(Fault::internal());
                        };
                        key = *found;
                    }
                    None => getrandom::fill(&mut key).map_err(|_| Fault::internal())?,
                }
                Ok(key)
            })
            .await
    }
}

fn body(change: NamedChange) -> [u8; BODY_BYTES] {
    let mut bytes = [VERSION; BODY_BYTES];
    bytes[1..17].copy_from_slice(&change.history.0);
    bytes[17..].copy_from_slice(&change.revision.get().to_be_bytes());
    bytes
}

fn digest(key: &[u8; 16], body: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(body);
    hasher.finish128().as_bytes()
}

fn read(key: &[u8; 16], token: &str) -> Option<NamedChange> {
    if token.len() > MAX_TOKEN_CHARS {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (body, given) = bytes.split_at_checked(BODY_BYTES)?;
    // Every byte is looked at, however many are right.
    let right = digest(key, body);
    let differs = given.iter().zip(right).fold(0, |differs, (given, right)| differs | (given ^ right));
    if given.len() != DIGEST_BYTES || differs != 0 || body[0] != VERSION {
        return None;
    }
    Some(NamedChange {
        history: Identity(*body[1..].first_chunk()?),
        revision: Revision::new(u64::from_be_bytes(*body[17..].first_chunk()?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_comes_back_and_no_other_text_does() {
        let (tokens, others) = (ChangeTokens::new(None), ChangeTokens::new(None));
        let change = NamedChange { history: Identity([7; 16]), revision: Revision::new(u64::MAX / 3) };
        let token = tokens.write(change).await.unwrap();
        assert_eq!(tokens.read(&token).await.unwrap(), change);
        assert!(others.read(&token).await.is_err(), "another deployment's");
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(tokens.read(&URL_SAFE_NO_PAD.encode(altered)).await.is_err(), "bit {bit}");
        }
        for other in ["", "AQ", &token[1..], &format!("{token}A"), &"A".repeat(10_000)] {
            assert!(tokens.read(other).await.is_err(), "{other}");
        }
    }
}
