//! Who may call: API keys, what each is for, and in which store.
//!
//! Invariants: whoever shows no valid key is nobody, and nobody gets only what is open to all; what is wrong with a key is not told, and comparing takes the
//! same time whatever is compared; a new file of keys takes the old one's place as a whole, or not at all.

mod access;
mod file;
mod key;
mod scope;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use authz::store::{StoreId, SystemWallClock, UnixMillis, WallClock};
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use crate::error::{Api, Fault, FaultKind};
pub(crate) use access::{Access, Guarded};
pub use file::{KeyFileError, KeyInfo, KeysFile, MAX_KEYS};
use key::{Digest, Presented};
pub use scope::{Scope, Scopes};

/// The header that a key may stand in, where `Authorization` is somebody else's: a gateway's belongs to its client.
pub(crate) const KEY_HEADER: HeaderName = HeaderName::from_static("tiergate-key");
/// How `Authorization` begins where a key stands in it (RFC 6750), in whatever case.
const BEARER: &str = "bearer ";

/// The keys that are valid now.
pub struct Credentials {
    /// None where nobody needs one.
    file: Option<PathBuf>,
    keys: ArcSwap<Keys>,
    wall: Arc<dyn WallClock>,
}

/// Keys by their ids.
type Keys = HashMap<Box<str>, Known>;

/// A key as it is known here.
struct Known {
    digest: Digest,
    expires: Option<UnixMillis>,
    credential: Arc<Credential>,
}

/// What a key stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Credential {
    /// Whom it is for. Several keys have one name while they take turns.
    pub name: Box<str>,
    /// The key's id, which is no secret.
    pub id: Box<str>,
    /// What it may be used for.
    pub scopes: Scopes,
    /// The only store that it is for; all of them without.
    pub store: Option<StoreId>,
}

/// Who sends a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Somebody, where no keys are asked for.
    Anyone,
    /// Somebody without a valid key.
    Nobody,
    /// The holder of a key.
    Known(Arc<Credential>),
}

impl Credentials {
    /// Those of a file; without one, nobody needs any.
    ///
    /// # Errors
    /// Where the file can't be used.
    pub fn open(file: Option<&Path>) -> Result<Self, KeyFileError> {
        Self::with_clock(file, Arc::new(SystemWallClock))
    }

    /// As [`Credentials::open`], by a clock that ends keys.
    ///
    /// # Errors
    /// As there.
    pub fn with_clock(file: Option<&Path>, wall: Arc<dyn WallClock>) -> Result<Self, KeyFileError> {
        let keys = file.map(read).transpose()?.unwrap_or_default();
        Ok(Self { file: file.map(Path::to_owned), keys: ArcSwap::from_pointee(keys), wall })
    }

    /// Whether requests need a key.
    #[must_use]
    pub fn are_required(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file anew, without using what it says yet; none where there is no file.
    ///
    /// # Errors
    /// Where the file can't be used.
    pub(crate) fn read_again(&self) -> Result<Option<NewKeys>, KeyFileError> {
        self.file.as_deref().map(|file| read(file).map(NewKeys)).transpose()
    }

    /// From now on these keys are valid, and no others; how many they are.
    pub(crate) fn replace(&self, NewKeys(keys): NewKeys) -> usize {
        let count = keys.len();
        self.keys.store(Arc::new(keys));
        count
    }

    /// Who shows what these headers hold. The `Authorization` that comes through a gateway is its client's.
    pub(crate) fn caller(&self, headers: &HeaderMap, api: Api) -> Caller {
        if !self.are_required() {
            return Caller::Anyone;
        }
        presented(headers, api).and_then(|key| self.find(&key)).map_or(Caller::Nobody, Caller::Known)
    }

    fn find(&self, presented: &Presented<'_>) -> Option<Arc<Credential>> {
        let keys = self.keys.load();
        let known = keys.get(presented.id);
        // Hashed and compared whether there is such a key or not.
        let is_same = presented.digest().is(known.map(|known| &known.digest));
        let known = known.filter(|known| is_same && known.expires.is_none_or(|end| self.wall.unix_millis() < end))?;
        Some(Arc::clone(&known.credential))
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Keys that were read and are not used yet.
pub(crate) struct NewKeys(Keys);

fn read(file: &Path) -> Result<Keys, KeyFileError> {
    let file = KeysFile::read(file)?;
    let known = |(info, digest): (&KeyInfo, Digest)| {
        let KeyInfo { id, name, scopes, store, expires } = info;
        let credential =
            Credential { name: name.as_str().into(), id: id.as_str().into(), scopes: *scopes, store: *store };
        (Box::from(id.as_str()), Known { digest, expires: *expires, credential: Arc::new(credential) })
    };
    Ok(file.entries().map(known).collect())
}

/// The key that a request shows; none where it shows several, or something else.
fn presented(headers: &HeaderMap, api: Api) -> Option<Presented<'_>> {
    let only = |name: &HeaderName| {
        let mut all = headers.get_all(name).iter();
        all.next().filter(|_| all.next().is_none()).and_then(|value| value.to_str().ok())
    };
    if headers.contains_key(&KEY_HEADER) {
        return Presented::parse(only(&KEY_HEADER)?);
    }
    if api == Api::Gateway {
        return None;
    }
    let value = only(&AUTHORIZATION)?;
    let scheme = value.get(..BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| Presented::parse(value[BEARER.len()..].trim()))?
}

impl Caller {
    /// The store that the caller's paths without a store stand for, where its key says so.
    pub(crate) fn own_store(&self) -> Option<StoreId> {
        match self {
            Self::Known(credential) => credential.store,
            Self::Anyone | Self::Nobody => None,
        }
    }

    /// Whether the caller operates the server.
    pub(crate) fn operates(&self) -> bool {
        match self {
            Self::Anyone => true,
            Self::Nobody => false,
            Self::Known(credential) => credential.scopes.contains(Scope::Admin) && credential.store.is_none(),
        }
    }

    /// Whether the caller may name this store.
    ///
    /// # Errors
    /// Where the key is for another one, whether this one exists or not.
    pub(crate) fn may_name(&self, store: StoreId) -> Result<(), Fault> {
        match self.own_store() {
            Some(own) if own != store => Err(foreign_store()),
            _ => Ok(()),
        }
    }
}

/// What the edge put into the request.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // A request that went past the edge is nobody's.
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self::Nobody))
    }
}

fn foreign_store() -> Fault {
    Fault::new(FaultKind::Forbidden, "forbidden", "the key that was shown is for another store")
}

#[cfg(test)]
mod tests;
