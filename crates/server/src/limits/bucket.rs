//! What a bucket is for, as a key: the same bytes name it in Redis, in memory, and among the refusals.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use authz::decide::RATE_LIMIT_STATUS;
use authz::relation::{Object, Subject};
use authz::store::StoreId;
use cache_core::{CacheKey, CacheType, KeyEncoder};

use crate::credentials::Credential;

/// What a bucket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bucket<'a> {
    /// Whoever asks from an address.
    Caller(IpAddr),
    /// Whoever asks with a key of this name.
    Key(&'a str),
    /// A kind of actions, in a store.
    Class { store: StoreId, name: &'a str },
    /// Who is asked about, in a store.
    Subject { store: StoreId, subject: &'a Subject },
}

/// Who pays for a question.
#[derive(Clone, Debug)]
pub(crate) enum Payer {
    /// An address, where nobody is known by name.
    Address(IpAddr),
    /// The holder of a key, wherever they ask from, and with whichever of their keys.
    Key(Arc<Credential>),
}

impl<'a> Bucket<'a> {
    /// Of whoever pays. Whoever has one address of IPv6 has a network of them.
    pub(super) fn of(payer: &'a Payer) -> Self {
        match payer {
            Payer::Key(credential) => Self::Key(&credential.name),
            Payer::Address(address) => Self::Caller(match address.to_canonical() {
                IpAddr::V6(address) => {
                    let [a, b, c, d, ..] = address.segments();
                    IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
                }
                address @ IpAddr::V4(_) => address,
            }),
        }
    }
}

impl CacheKey for Bucket<'_> {
    fn cache_type(&self) -> CacheType {
        RATE_LIMIT_STATUS
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        match self {
            Self::Caller(IpAddr::V4(address)) => {
                encoder.variant(1).bytes(&address.octets());
            }
            Self::Caller(IpAddr::V6(address)) => {
                encoder.variant(2).bytes(&address.octets());
            }
            Self::Key(name) => {
                encoder.variant(5).text(name);
            }
            Self::Class { store, name } => {
                encoder.variant(3).u128(store.0.0).text(name);
            }
            Self::Subject { store, subject } => {
                encoder.variant(4).u128(store.0.0);
                match subject {
                    Subject::Object(Object { type_name, id }) => encoder.variant(1).text(type_name).text(id),
                    Subject::Userset { object: Object { type_name, id }, relation } => {
                        encoder.variant(2).text(type_name).text(id).text(relation)
                    }
                    Subject::Wildcard { type_name } => encoder.variant(3).text(type_name),
                };
            }
        }
    }

    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        if let Self::Subject { subject: Subject::Object(object) | Subject::Userset { object, .. }, .. } = self {
            visit(&object.type_name, &object.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use cache_core::Keyer;
    use ulid::Ulid;

    use super::*;

    fn payer(address: &str) -> Payer {
        Payer::Address(address.parse().unwrap())
    }

    #[test]
    fn no_two_buckets_have_one_key() {
        let (one, two) = (StoreId(Ulid(1)), StoreId(Ulid(2)));
        let subjects = ["user:ann", "user:bob", "group:ann", "user:ann#friend", "user:*"];
        let subjects = subjects.map(|text| Subject::parse(text).unwrap());
        let addresses = ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8:0:1::1"].map(payer);
        let mut buckets: Vec<Bucket<'_>> = addresses.iter().map(Bucket::of).collect();
        buckets.extend([
            Bucket::Key("a"),
            Bucket::Key("b"),
            Bucket::Class { store: one, name: "a" },
            Bucket::Class { store: one, name: "b" },
            Bucket::Class { store: two, name: "a" },
        ]);
        for store in [one, two] {
            buckets.extend(subjects.iter().map(|subject| Bucket::Subject { store, subject }));
        }
        let keyer = Keyer::with_secret((1, 2));
        let mut encoded: Vec<_> = buckets.iter().map(|bucket| keyer.key(bucket).encoded()).collect();
        encoded.sort();
        encoded.dedup();
        assert_eq!(encoded.len(), buckets.len());
    }

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let [mapped, plain, one, other] = ["::ffff:10.0.0.1", "10.0.0.1", "2001:db8::1", "2001:db8::2"].map(payer);
        assert_eq!(Bucket::of(&mapped), Bucket::of(&plain));
        assert_eq!(Bucket::of(&one), Bucket::of(&other), "one network, and so one caller");
    }
}
