//! The comparison of the model is the product's: whatever the kills, the floor, the stamp and the tags, both admit the same entries.

use cache_core::testing::{ALPHA, TestKey};
use cache_core::{Horizon, HorizonConfig, Kill, MIN_HORIZON_BYTES, Revision, Stamp, Tag, TypeSet, Verdict};

use super::instance::Horizon as Modelled;
use super::origin::{TAGS, Xid};
use super::tier::{Entry, Key};

const HIGHEST: Xid = 3;

fn tag(bit: usize) -> Tag {
    Tag::from_hash(bit as u64 + 1)
}

#[test]
fn the_model_compares_as_the_product_does() {
    let mut compared = 0;
    let base = u32::from(HIGHEST) + 1;
    for number in 0..base.pow(TAGS as u32 + 1) {
        let digit = |place: usize| (number / base.pow(place as u32) % base) as Xid;
        let killed_at: [Xid; TAGS] = std::array::from_fn(digit);
        let floor = digit(TAGS);
        let modelled = Modelled::of(killed_at, floor);
        let config = HorizonConfig { budget_bytes: MIN_HORIZON_BYTES, max_rules: 1 };
        let horizon = Horizon::<cache_core::sync::Std>::new(config);
        for (bit, revision) in killed_at.into_iter().enumerate().filter(|(_, revision)| *revision > 0) {
            horizon.apply(Revision::new(revision.into()), &[Kill::Tag(tag(bit))]);
        }
        horizon.raise_floor(Revision::new(floor.into()));
        for (stamp, tags) in (1..=HIGHEST + 1).flat_map(|stamp| (0..1 << TAGS).map(move |tags| (stamp, tags))) {
            let stamp = Stamp::new(stamp.into());
            let read_set: Vec<Tag> = (0..TAGS).filter(|bit| tags & (1 << bit) != 0).map(tag).collect();
            let entry = Entry { tags, ..Entry::new(Key::Decision, super::origin::Facts::default(), stamp, 0) };
            let verdict = horizon.verdict(stamp, &read_set, TypeSet::of(ALPHA), &TestKey::new(ALPHA, "key"));
            assert_eq!(modelled.admits(&entry), verdict == Verdict::Usable, "{modelled:?} and {entry:?}: {verdict:?}");
            compared += 1;
        }
    }
    println!("{compared} comparisons agree");
}
