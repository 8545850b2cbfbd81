//! Continuation tokens: a place in one list, opaque to the caller.
//!
//! A token holds the place and a checksum over the list's kind, its store, its filter and the place. Brought to another list, altered, or made
//! up, it is refused. The checksum is no secret, and need not be one: a place holds nothing that its bearer could not ask for without it. So
//! tokens outlive the process, which readers of changes rely on.

use std::hash::{Hash, Hasher};

use authz::relation::Tuple;
use authz::store::{ChangePlace, ModelId, StoreId};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip::SipHasher13;
use ulid::Ulid;

use super::given;
use crate::error::{Fault, FaultKind};

/// The longest token that is looked at: three identifiers of the greatest length, and what is around them.
const MAX_TOKEN_BYTES: usize = 4_096;
const CHECKSUM_BYTES: usize = 8;

/// A list that is read page by page: its kind, its store and its filter.
pub(super) struct List {
    checksum: SipHasher13,
}

/// A place in a list.
pub(super) trait Cursor: Sized {
    /// Which kind of list it belongs to.
    const KIND: &'static str;
    fn encode(&self) -> Vec<u8>;
    fn decode(bytes: &[u8]) -> Option<Self>;
}

impl List {
    pub(super) fn new<C: Cursor>(store: Option<StoreId>, filter: &impl Hash) -> Self {
        let mut checksum = SipHasher13::new();
        C::KIND.hash(&mut checksum);
        store.hash(&mut checksum);
        filter.hash(&mut checksum);
        Self { checksum }
    }

    /// The token of a place; empty at the end of the list.
    pub(super) fn token<C: Cursor>(&self, place: Option<&C>) -> String {
        let Some(place) = place else { return String::new() };
        let place = place.encode();
        let mut bytes = self.sum(&place).to_vec();
        bytes.extend(place);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place of a token; none where there is no token.
    pub(super) fn place<C: Cursor>(&self, token: Option<&str>) -> Result<Option<C>, Fault> {
        let Some(token) = given(token) else { return Ok(None) };
        let place = self.read(token).ok_or_else(|| {
            let message = "the continuation_token is none of this list; begin without one";
            Fault::new(FaultKind::Invalid, "invalid_continuation_token", message)
        })?;
        Ok(Some(place))
    }

    fn read<C: Cursor>(&self, token: &str) -> Option<C> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (sum, place) = bytes.split_at_checked(CHECKSUM_BYTES)?;
        if sum != self.sum(place) {
            return None;
        }
        C::decode(place)
    }

    fn sum(&self, place: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let mut checksum = self.checksum;
        place.hash(&mut checksum);
        checksum.finish().to_be_bytes()
    }
}

impl Cursor for StoreId {
    const KIND: &'static str = "stores";

    fn encode(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self(Ulid::from_bytes(bytes.try_into().ok()?)))
    }
}

impl Cursor for ModelId {
    const KIND: &'static str = "models";

    fn encode(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self(Ulid::from_bytes(bytes.try_into().ok()?)))
    }
}

impl Cursor for ChangePlace {
    const KIND: &'static str = "changes";

    fn encode(&self) -> Vec<u8> {
        [self.0.to_be_bytes(), self.1.to_be_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_first_chunk()?;
        Some(Self(u64::from_be_bytes(*first), u64::from_be_bytes(second.try_into().ok()?)))
    }
}

impl Cursor for Tuple {
    const KIND: &'static str = "tuples";

    /// No identifier holds a line break, so that lines keep its parts apart.
    fn encode(&self) -> Vec<u8> {
        format!("{}\n{}\n{}", self.object, self.relation, self.subject).into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(bytes).ok()?.split('\n');
        let tuple = Self::parse(parts.next()?, parts.next()?, parts.next()?).ok()?;
        parts.next().is_none().then_some(tuple)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId(Ulid::from_parts(1, 1));

    fn tuple() -> Tuple {
        Tuple::parse("document:a:b", "viewer", "team:9#member").unwrap()
    }

    #[test]
    fn a_token_reads_back_in_its_own_list() {
        let list = List::new::<Tuple>(Some(STORE), &"filter");
        let token = list.token(Some(&tuple()));
        assert_eq!(list.place(Some(&token)).unwrap(), Some(tuple()));
        assert_eq!(list.place::<Tuple>(Some("")).unwrap(), None);
        assert_eq!(list.token::<Tuple>(None), "");
    }

    #[test]
    fn a_token_is_refused_elsewhere() {
        let token = List::new::<Tuple>(Some(STORE), &"filter").token(Some(&tuple()));
        let elsewhere = [
            List::new::<Tuple>(Some(STORE), &"other filter"),
            List::new::<Tuple>(Some(StoreId(Ulid::from_parts(1, 2))), &"filter"),
            List::new::<ChangePlace>(Some(STORE), &"filter"),
        ];
        for list in elsewhere {
            assert!(list.place::<Tuple>(Some(&token)).is_err());
        }
    }

    #[test]
    fn an_altered_token_is_refused_whichever_byte_it_is() {
        let list = List::new::<ChangePlace>(Some(STORE), &());
        let token = list.token(Some(&ChangePlace(77, 7)));
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(list.place::<ChangePlace>(Some(&URL_SAFE_NO_PAD.encode(altered))).is_err());
        }
        for forged in ["x", "!!", "AAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(1 << 20)] {
            assert!(list.place::<ChangePlace>(Some(forged)).is_err());
        }
    }
}
