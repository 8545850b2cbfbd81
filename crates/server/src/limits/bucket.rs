//! What a bucket is for, as a key: the same bytes name it in Redis, in memory, and among the refusals.

use std::net::{IpAddr, Ipv6Addr};

use authz::decide::RATE_LIMIT_STATUS;
use authz::relation::{Object, Subject};
use authz::store::StoreId;
use cache_core::{CacheKey, CacheType, KeyEncoder};

/// What a bucket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bucket<'a> {
    /// Whoever asks from an address.
    Caller(IpAddr),
    /// A kind of actions, in a store.
    Class { store: StoreId, name: &'a str },
    /// Who is asked about, in a store.
    Subject { store: StoreId, subject: &'a Subject },
}

impl Bucket<'_> {
    /// Of an address. Whoever has one address of IPv6 has a network of them.
    pub(super) fn of_caller(address: IpAddr) -> Self {
        Self::Caller(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            address @ IpAddr::V4(_) => address,
        })
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

    #[test]
    fn no_two_buckets_have_one_key() {
        let (one, two) = (StoreId(Ulid(1)), StoreId(Ulid(2)));
        let subjects = ["user:ann", "user:bob", "group:ann", "user:ann#friend", "user:*"];
        let subjects = subjects.map(|text| Subject::parse(text).unwrap());
        let address = |text: &str| Bucket::of_caller(text.parse().unwrap());
        let mut buckets: Vec<Bucket<'_>> = vec![
            address("10.0.0.1"),
            address("10.0.0.2"),
            address("2001:db8::1"),
            address("2001:db8:0:1::1"),
            Bucket::Class { store: one, name: "a" },
            Bucket::Class { store: one, name: "b" },
            Bucket::Class { store: two, name: "a" },
        ];
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
        let address = |text: &str| Bucket::of_caller(text.parse().unwrap());
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_eq!(address("2001:db8::1"), address("2001:db8::2"), "one network, and so one caller");
    }
}
