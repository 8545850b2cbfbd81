//! What is written reads back; what nobody wrote is no value.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Number, json};

use super::*;

fn numbers() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<u64>().prop_map(Number::from),
        any::<i64>().prop_map(Number::from),
        // Every pattern of bits: of the smallest, of the largest, and of those between two decimals.
        any::<u64>().prop_filter_map("JSON has no infinity", |bits| Number::from_f64(f64::from_bits(bits))),
        (-1e18_f64..1e18).prop_filter_map("a number", |number| Number::from_f64(number.trunc())),
        prop_oneof![Just(0.0), Just(-0.0), Just(f64::MAX), Just(5e-324), Just(1e16), Just(9_007_199_254_740_993.0)]
            .prop_filter_map("a number", Number::from_f64),
    ]
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        numbers().prop_map(Value::Number),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn conditions() -> impl Strategy<Value = Arc<RelationshipCondition>> {
    (any::<String>(), btree_map(any::<String>(), json_values(), 0..4)).prop_map(|(name, values)| {
        let context = Context::new(values.into_iter().map(|(name, value)| (Text::from(name), value)));
        Arc::new(RelationshipCondition { name: name.into(), context })
    })
}

fn ids() -> impl Strategy<Value = Text> {
    prop_oneof!["[a-z0-9-]{1,40}", "[a-zà-ÿ*:@]{2,8}", "x{256}"].prop_map(Text::from)
}

fn objects() -> impl Strategy<Value = Object> {
    ("[a-d]", ids()).prop_map(|(type_name, id)| Object { type_name: type_name.into(), id })
}

fn subjects() -> impl Strategy<Value = Subject> {
    prop_oneof![
        objects().prop_map(Subject::Object),
        (objects(), "[a-f]").prop_map(|(object, relation)| Subject::Userset { object, relation: relation.into() }),
        "[a-f]{1,3}".prop_map(|type_name| Subject::Wildcard { type_name: type_name.into() }),
    ]
}

fn values() -> impl Strategy<Value = CachedValue> {
    let members = (ids(), proptest::option::of(conditions())).prop_map(|(id, condition)| Member { id, condition });
    prop_oneof![
        any::<bool>().prop_map(CachedValue::Decision),
        prop_oneof![Just(Presence::Absent), Just(Presence::Present), conditions().prop_map(Presence::Conditional)]
            .prop_map(CachedValue::Exists),
        vec(members, 0..12).prop_map(|members| CachedValue::Subjects(Arc::new(members))),
        vec(ids(), 0..200).prop_map(|ids| CachedValue::Objects(Arc::new(ids))),
        vec(subjects(), 0..40).prop_map(|subjects| CachedValue::Users(Arc::new(subjects))),
    ]
}

fn written(value: &CachedValue) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn every_value_reads_back(value in values()) {
        let bytes = written(&value);
        let read = CachedValue::read(&bytes).expect("it was written by this schema");
        prop_assert_eq!(&read, &value);
        // Equal values of JSON may differ: 0.0 is equal to -0.0. Their bytes don't.
        prop_assert_eq!(written(&read), bytes);
    }

    #[test]
    fn no_part_of_a_value_is_a_value_nor_is_one_with_more_behind_it(
        value in values(),
        length in any::<prop::sample::Index>(),
        more in any::<u8>(),
    ) {
        let mut bytes = written(&value);
        prop_assert_eq!(CachedValue::read(&bytes[..length.index(bytes.len())]), None);
        bytes.push(more);
        prop_assert_eq!(CachedValue::read(&bytes), None);
    }

    #[test]
    fn a_flipped_bit_is_another_value_or_none(value in values(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = written(&value);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Some(other) = CachedValue::read(&bytes) {
            prop_assert_eq!(CachedValue::read(&written(&other)), Some(other));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(kind in 0_u8..10, mut bytes in vec(any::<u8>(), 0..64)) {
        bytes.insert(0, kind);
        let _ = CachedValue::read(&bytes);
    }
}

#[test]
fn a_count_beyond_its_bytes_or_beyond_any_list_is_no_value() {
    let all_ones = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
    for kind in [kind::CONDITIONAL, kind::SUBJECTS, kind::OBJECTS, kind::USERS] {
        assert_eq!(CachedValue::read(&[&[kind][..], &all_ones, b"aaaa"].concat()), None);
        // A sixth byte, and bits that have no place in the fifth.
        assert_eq!(CachedValue::read(&[&[kind][..], &[0x80; 5], &[0]].concat()), None);
        assert_eq!(CachedValue::read(&[kind, 0x80, 0x80, 0x80, 0x80, 0x10]), None);
    }
    let ids = |count| CachedValue::Objects(Arc::new(vec![Text::from("a"); count]));
    assert_eq!(CachedValue::read(&written(&ids(MAX_CACHED_ITEMS))), Some(ids(MAX_CACHED_ITEMS)));
    assert_eq!(CachedValue::read(&written(&ids(MAX_CACHED_ITEMS + 1))), None);
}

#[test]
fn identifiers_that_nobody_may_have_are_no_value() {
    let object = |id: &str| written(&CachedValue::Objects(Arc::new(vec![Text::from(id)])));
    assert!(CachedValue::read(&object("budget")).is_some());
    for id in ["", "*", "a#b", "a b", &"x".repeat(257)] {
        assert_eq!(CachedValue::read(&object(id)), None, "{id:?}");
    }
    let wildcard =
        |name: &str| written(&CachedValue::Users(Arc::new(vec![Subject::Wildcard { type_name: name.into() }])));
    assert!(CachedValue::read(&wildcard("user")).is_some());
    assert_eq!(CachedValue::read(&wildcard("user:1")), None);
}

#[test]
fn the_names_of_types_are_shared_after_reading() {
    let subjects: Vec<_> = (0..100).map(|n| Subject::object("employee", &format!("e{n}")).unwrap()).collect();
    let bytes = written(&CachedValue::Users(Arc::new(subjects)));
    let Some(CachedValue::Users(read)) = CachedValue::read(&bytes) else { panic!("users") };
    assert!(read.iter().all(|subject| Arc::ptr_eq(subject.type_name(), read[0].type_name())));
    assert!(bytes.len() < 100 * 6, "{} bytes", bytes.len());
}

/// Whoever changes one of these bytes gives the encoding another number: other instances may run another release.
#[test]
fn the_bytes_of_schema_1_stay_as_they_are() {
    assert_eq!(CachedValue::SCHEMA, 1);
    let context = |value: Value| Context::new([("b".into(), value), ("a".into(), json!([1, -2, 1.0, null, true]))]);
    let condition = |value| Arc::new(RelationshipCondition { name: "until".into(), context: context(value) });
    let plain = Arc::new(RelationshipCondition { name: "n".into(), context: Context::default() });
    let members = vec![
        Member { id: "ann".into(), condition: None },
        Member { id: "bob".into(), condition: Some(Arc::clone(&plain)) },
    ];
    let users = ["user:ann", "team:9#member", "user:*", "team:10#member"].map(|text| Subject::parse(text).unwrap());
    let samples: [(CachedValue, &[u8]); 9] = [
        (CachedValue::Decision(false), b"\x00"),
        (CachedValue::Decision(true), b"\x01"),
        (CachedValue::Exists(Presence::Absent), b"\x02"),
        (CachedValue::Exists(Presence::Present), b"\x03"),
        (
            CachedValue::Exists(Presence::Conditional(condition(json!({"x": 0.1})))),
            b"\x04\x05until\x28{\"a\":[1,-2,1.0,null,true],\"b\":{\"x\":0.1}}",
        ),
        (CachedValue::Exists(Presence::Conditional(plain)), b"\x04\x01n\x02{}"),
        (CachedValue::Subjects(Arc::new(members)), b"\x05\x02\x06ann\x07bob\x01n\x02{}"),
        (
            CachedValue::Objects(Arc::new(vec!["1".into(), "x".repeat(128).into()])),
            &[b"\x06\x02\x011\x80\x01".as_slice(), &[b'x'; 128]].concat(),
        ),
        (
            CachedValue::Users(Arc::new(users.to_vec())),
            b"\x07\x03\x04user\x04team\x06member\x04\x00\x03ann\x04\x019\x02\x02\x04\x0210\x02",
        ),
    ];
    for (value, expected) in samples {
        assert_eq!(written(&value).escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
}
