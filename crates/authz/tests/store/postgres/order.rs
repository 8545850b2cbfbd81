//! Transactions that end in another order than they are numbered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use authz::condition::Context;
use authz::store::postgres::PostgresStore;
use authz::store::{ChangeFilter, ChangePlace, OnConflict, PageRequest, Store, StoreError, WriteBatch};
use fastrand::Rng;

use super::{psql, world};
use crate::support::{World, tuple};

fn row(text: &str) -> String {
    let found = tuple(text);
    format!(
        "'{}', '{}', '{}', '{}', '{}'",
        found.object.type_name,
        found.object.id,
        found.relation,
        found.subject.type_name(),
        found.subject.id()
    )
}

fn insert(text: &str) -> String {
    format!(
        "INSERT INTO tiergate.tuples (store, object_type, object_id, relation, subject_type, subject_id) \
         SELECT id, {} FROM tiergate.stores",
        row(text)
    )
}

fn delete(text: &str) -> String {
    format!(
        "DELETE FROM tiergate.tuples WHERE (object_type, object_id, relation, subject_type, subject_id) = ({})",
        row(text)
    )
}

async fn page(
    world: &World<PostgresStore>,
    after: Option<ChangePlace>,
    limit: usize,
) -> (Vec<String>, Option<ChangePlace>) {
    let page = PageRequest { after, limit };
    let page = world.origin.changes(world.store, ChangeFilter::default(), page).await.unwrap();
    let told = page.items.iter().map(|change| format!("{}{}", if change.inserted { '+' } else { '-' }, change.tuple));
    (told.collect(), page.next)
}

const ANN: &str = "doc:1#viewer@user:ann";
const BOB: &str = "doc:1#viewer@user:bob";
/// Long enough for an answer that waits for nothing.
const MOMENT: Duration = Duration::from_millis(300);
const EVE: &str = "doc:1#viewer@user:eve";

#[tokio::test]
async fn changes_of_one_relationship_come_as_they_happened_whichever_transaction_began_first() {
    let (world, first) = world!();
    let second = psql(world.database.as_ref().unwrap().url()).await;
    // The first one has the lower number, and its change rests on that of the second one.
    first.batch_execute(&format!("BEGIN; {}", insert(BOB))).await.unwrap();
    second.batch_execute(&insert(ANN)).await.unwrap();
    first.batch_execute(&format!("{}; COMMIT", delete(ANN))).await.unwrap();
    assert_eq!(page(&world, None, 10).await.0, [format!("+{BOB}"), format!("+{ANN}"), format!("-{ANN}")]);
}

#[tokio::test]
async fn a_transaction_that_stays_open_holds_nobody_up_and_comes_later() {
    let (world, first) = world!();
    let second = psql(world.database.as_ref().unwrap().url()).await;
    first.batch_execute(&format!("BEGIN; {}", insert(BOB))).await.unwrap();
    second.batch_execute(&insert(ANN)).await.unwrap();
    let (told, next) = page(&world, None, 10).await;
    assert_eq!(told, [format!("+{ANN}")], "what is committed is listed");
    assert_eq!(page(&world, next.clone(), 10).await, (vec![], next.clone()));
    first.batch_execute("COMMIT").await.unwrap();
    let (told, next) = page(&world, next, 10).await;
    assert_eq!(told, [format!("+{BOB}")], "also where its number and its id are lower");
    second.batch_execute(&insert(EVE)).await.unwrap();
    assert_eq!(page(&world, next, 10).await.0, [format!("+{EVE}")]);
}

/// Another instance has applied the newest change, and not the one that was committed after it. Who repeats that one has to wait for it.
#[tokio::test]
async fn who_finds_a_change_made_that_somebody_has_not_applied_gets_a_number_that_stands_for_it() {
    let (world, first) = world!();
    let other = psql(world.database.as_ref().unwrap().url()).await;
    world.write(&[ANN]).await;
    let described = |level: Context| vec![(tuple(ANN).object, level)];
    let level = Context::new([("level".into(), "9".into())]);
    world.origin.write_properties(world.store, described(level)).await.unwrap();
    let change = format!("{}; {}; DELETE FROM tiergate.properties", delete(ANN), insert(EVE));
    first.batch_execute(&format!("BEGIN; {change}")).await.unwrap();
    let newest = world.origin.write(world.store, WriteBatch::of([tuple(BOB)])).await.unwrap();
    let join = "WITH joined AS (INSERT INTO tiergate.members (name, lease_ms) VALUES ('other', 60000) RETURNING incarnation)
        INSERT INTO tiergate.positions SELECT incarnation, pg_current_snapshot()::text, tiergate.incarnation() FROM joined";
    other.batch_execute(join).await.unwrap();
    first.batch_execute("COMMIT").await.unwrap();

    let deletes = WriteBatch { deletes: vec![tuple(ANN)], on_missing: OnConflict::Ignore, ..WriteBatch::default() };
    let deleted = world.origin.write(world.store, deletes.clone()).await.unwrap();
    assert!(deleted.revision > newest.revision, "{deleted:?} {newest:?}");
    let writes = WriteBatch { on_duplicate: OnConflict::Ignore, ..WriteBatch::of([tuple(EVE)]) };
    let written = world.origin.write(world.store, writes).await.unwrap();
    assert!(written.revision > deleted.revision, "{written:?} {deleted:?}");
    let undescribed = world.origin.write_properties(world.store, described(Context::default())).await.unwrap();
    assert!(undescribed.revision > written.revision, "{undescribed:?} {written:?}");
    let removals = page(&world, None, 10).await.0.into_iter().filter(|told| *told == format!("-{ANN}"));
    assert_eq!(removals.count(), 1, "the history has it once");

    let report = "UPDATE tiergate.positions p SET seen = pg_current_snapshot()::text FROM tiergate.members m
        WHERE m.incarnation = p.incarnation AND m.name = 'other'";
    other.batch_execute(report).await.unwrap();
    let again = world.origin.write(world.store, deletes).await.unwrap();
    assert_eq!(again, undescribed, "nobody is behind, and nothing is told");
}

/// Nobody reports that he has applied what the log does not tell any more, and a token that named it would be too old at once.
#[tokio::test]
async fn who_finds_a_change_made_after_a_quiet_time_gets_a_number_that_is_told_and_not_too_old() {
    let (world, other) = world!();
    world.write(&[BOB]).await;
    let trims = [
        // What was told is kept for those who list changes, and is whole no more for those who follow.
        "UPDATE tiergate.log_state SET trimmed_below = pg_current_xact_id()",
        "UPDATE tiergate.log_state SET trimmed_below = pg_current_xact_id(); DELETE FROM tiergate.log",
    ];
    for trim in trims {
        other.batch_execute(trim).await.unwrap();
        let floor = "SELECT trimmed_below::text::bigint FROM tiergate.log_state";
        let floor: i64 = other.query_one(floor, &[]).await.unwrap().get(0);
        let deletes = WriteBatch { deletes: vec![tuple(ANN)], on_missing: OnConflict::Ignore, ..WriteBatch::default() };
        let found = world.origin.write(world.store, deletes.clone()).await.unwrap();
        assert!(found.revision.get() >= floor as u64, "{trim}: {found:?}, and the log is whole from {floor}");
        world.origin.apply_through(found.revision).await.unwrap();
        let told = format!("SELECT count(*) FROM tiergate.log WHERE xid = '{}'", found.revision.get());
        assert_eq!(
            other.query_one(&told, &[]).await.unwrap().get::<_, i64>(0),
            1,
            "{trim}: whoever follows hears of it"
        );
        assert_eq!(world.origin.write(world.store, deletes).await.unwrap(), found, "once is enough");
    }
}

/// What was applied may be of before a crash of the server, and its number that of another change since.
#[tokio::test]
async fn a_change_is_contained_once_a_poll_says_so_and_not_because_its_number_was_seen() {
    let (world, other) = world!();
    let written = world.origin.write(world.store, WriteBatch::of([tuple(ANN)])).await.unwrap();
    other.batch_execute("BEGIN; LOCK TABLE tiergate.log IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let asked = tokio::time::timeout(MOMENT, world.origin.apply_through(written.revision)).await;
    assert!(!matches!(asked, Ok(Ok(()))), "nobody can have read the log");
    other.batch_execute("ROLLBACK").await.unwrap();
    world.origin.apply_through(written.revision).await.unwrap();
}

#[tokio::test]
async fn a_place_of_a_history_that_was_set_back_is_refused() {
    let (world, _psql) = world!();
    world.write(&[ANN]).await;
    let (_, place) = page(&world, None, 10).await;
    // As one of a server that is further on would be: its second number is the distance of the numbers of transactions.
    let mut bytes = place.unwrap().as_bytes().to_vec();
    let mut of_another = bytes.clone();
    bytes[2] |= 0x80;
    bytes.splice(3..3, [0xff, 0xff, 0xff, 0xff, 0x7f]);
    // Whose numbers these are comes last.
    *of_another.last_mut().unwrap() ^= 1;
    for bytes in [bytes, of_another, vec![0; 8], vec![]] {
        let page = PageRequest { after: Some(ChangePlace::from_bytes(bytes)), limit: 10 };
        let refused = world.origin.changes(world.store, ChangeFilter::default(), page).await;
        assert!(matches!(refused, Err(StoreError::UnknownPlace)), "{refused:?}");
    }
}

/// Whoever follows hears of each change once, and never that something is there twice or gone twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_ends_with_what_there_is() {
    const WRITERS: u64 = 4;
    const WRITES: usize = 60;
    let (world, _psql) = world!();
    let names: Vec<String> = (0..6).map(|n| format!("doc:{n}#viewer@user:ann")).collect();
    let done = AtomicBool::new(false);
    let writing = async {
        let writers = (0..WRITERS).map(|seed| {
            let (origin, names, store) = (Arc::clone(&world.origin), names.clone(), world.store);
            tokio::spawn(async move {
                let mut rng = Rng::with_seed(seed);
                for _ in 0..WRITES {
                    let mut batch = WriteBatch {
                        on_duplicate: OnConflict::Ignore,
                        on_missing: OnConflict::Ignore,
                        ..WriteBatch::default()
                    };
                    for name in &names {
                        match rng.u8(..3) {
                            0 => batch.writes.push(tuple(name).into()),
                            1 => batch.deletes.push(tuple(name)),
                            _ => {}
                        }
                    }
                    match origin.write(store, batch).await {
                        Ok(_) | Err(StoreError::Busy { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        done.store(true, Ordering::Release);
    };
    let reading = async {
        let (mut there, mut place, mut heard) = (BTreeMap::<String, bool>::new(), None, 0_usize);
        loop {
            let finished = done.load(Ordering::Acquire);
            let (told, next) = page(&world, place.clone(), 3).await;
            heard += told.len();
            for change in &told {
                let (inserted, name) = (change.starts_with('+'), change[1..].to_owned());
                assert_ne!(there.insert(name, inserted).unwrap_or_default(), inserted, "{change}");
            }
            place = next;
            if told.is_empty() && finished {
                return (there, heard);
            }
        }
    };
    let ((), (there, heard)) = tokio::join!(writing, reading);
    let mut found = BTreeSet::new();
    for name in &names {
        if world.has(name).await {
            found.insert(name.clone());
        }
    }
    let told: BTreeSet<String> = there.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect();
    assert_eq!(told, found);
    assert!(heard > 100, "only {heard} changes: nothing was tried");
}
