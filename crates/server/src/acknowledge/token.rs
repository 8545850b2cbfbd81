//! Tokens: which change, or which state, of which history; opaque to the caller and the same on every instance.
//!
//! A token says nothing that its bearer could not know, and opens nothing. It is authenticated so that nobody asks about a change that there never was.

use std::hash::Hasher;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use authz::decide::CheckError;
use authz::store::postgres::PostgresStore;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cache_core::{Identity, Position, Revision};
use siphasher::sip128::{Hasher128, SipHasher24};
use tokio::sync::OnceCell;

use super::state::StateToken;
use crate::error::{Fault, FaultKind};

/// The name of the secret that all instances share.
const SECRET: &str = "tokens";
/// The first byte says what is named.
const CHANGE: u8 = 1;
const STATE: u8 = 2;
const HEAD_BYTES: usize = 1 + 16;
/// The longest position of a state.
const MAX_POSITION_BYTES: usize = 384;
const DIGEST_BYTES: usize = 16;
/// The text of the longest token.
const MAX_TOKEN_CHARS: usize = (HEAD_BYTES + MAX_POSITION_BYTES + DIGEST_BYTES).div_ceil(3) * 4;

/// Authenticates tokens.
pub(super) type Key = [u8; 16];

/// Makes tokens, and knows them again.
pub struct Tokens {
    /// Keeps the secret for all instances; without it this process is the only one.
    store: Option<Arc<PostgresStore>>,
    key: OnceCell<Key>,
    /// The token of the state that was told last, under its number.
    pub(super) told: ArcSwapOption<(u64, StateToken)>,
}

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) history: Identity,
    pub(crate) names: Named,
}

/// What a token names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Named {
    /// One change.
    Change(Revision),
    /// A state that contains whatever an answer rests on.
    State(Position),
}

impl Tokens {
    /// For the instances that share a store, or for one alone.
    #[must_use]
    pub fn new(store: Option<Arc<PostgresStore>>) -> Self {
        Self { store, key: OnceCell::new(), told: ArcSwapOption::empty() }
    }

    pub(crate) async fn write(&self, token: &Token) -> Result<String, Fault> {
        Ok(write(self.key().await?, token))
    }

    /// What a token says, of which history ever; none where it is no token of this deployment.
    pub(crate) async fn read(&self, token: &str) -> Result<Option<Token>, Fault> {
        Ok(read(self.key().await?, token))
    }

    /// The secret of all instances, which is read once.
    pub(super) async fn key(&self) -> Result<&Key, Fault> {
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

/// What `/revocations` says of a token that it can't answer for.
pub(super) fn unknown() -> Fault {
    Fault::new(
        FaultKind::NotFound,
        "unknown_token",
        "this is no token of a change here; it was altered, comes from another deployment, or is that of an answer",
    )
}

fn body(Token { history, names }: &Token) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + 32 + DIGEST_BYTES);
    bytes.push(match names {
        Named::Change(_) => CHANGE,
        Named::State(_) => STATE,
    });
    bytes.extend(history.0);
    match names {
        Named::Change(revision) => bytes.extend(revision.get().to_be_bytes()),
        Named::State(position) => bytes.extend(position.as_bytes()),
    }
    bytes
}

pub(super) fn write(key: &Key, token: &Token) -> String {
    let mut bytes = body(token);
    bytes.extend(digest(key, &bytes));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn digest(key: &Key, body: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(body);
    hasher.finish128().as_bytes()
}

fn read(key: &Key, token: &str) -> Option<Token> {
    if token.len() > MAX_TOKEN_CHARS {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (body, given) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
    // Every byte is looked at, however many are right.
    let differs = given.iter().zip(digest(key, body)).fold(0, |differs, (given, right)| differs | (given ^ right));
    if differs != 0 {
        return None;
    }
    let (head, named) = body.split_first_chunk::<HEAD_BYTES>()?;
    let (kind, history) = head.split_first()?;
    let names = match *kind {
        CHANGE => Named::Change(Revision::new(u64::from_be_bytes(named.try_into().ok()?))),
        STATE => Named::State(Position::from_bytes(named)),
        _ => return None,
    };
    Some(Token { history: Identity(history.try_into().ok()?), names })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_comes_back_and_no_other_text_does() {
        let (tokens, others) = (Tokens::new(None), Tokens::new(None));
        let names = [
            Named::Change(Revision::new(u64::MAX / 3)),
            Named::State(Position::from_bytes([1, 9, 7])),
            Named::State(Position::from_bytes(vec![255; MAX_POSITION_BYTES])),
        ];
        for names in names {
            let named = Token { history: Identity([7; 16]), names };
            let token = tokens.write(&named).await.unwrap();
            assert_eq!(tokens.read(&token).await.unwrap(), Some(named));
            assert_eq!(others.read(&token).await.unwrap(), None, "another deployment's");
            let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut altered = bytes.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(tokens.read(&URL_SAFE_NO_PAD.encode(altered)).await.unwrap(), None, "bit {bit}");
            }
            for cut in 0..token.len() {
                assert_eq!(tokens.read(&token[..cut]).await.unwrap(), None, "cut at {cut}");
            }
            for other in ["AQ", &token[1..], &format!("{token}A"), &"A".repeat(10_000)] {
                assert_eq!(tokens.read(other).await.unwrap(), None, "{other}");
            }
        }
    }
}
