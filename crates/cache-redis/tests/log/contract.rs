//! What every log promises: positions, late horizons, records of any size.

use std::sync::{Arc, Weak};

use cache_core::testing::{ALPHA, TYPES};
use cache_core::{ErrorKind, Horizon, HorizonConfig, Kill, KillSink, Log as _, Position, Revision, Tag};
use cache_redis::{LogConfig, RedisLog};

use crate::support::{Bed, PATIENCE, config};

fn kill(number: u64) -> Vec<Kill> {
    vec![Kill::Tag(Tag::from_hash(number))]
}

fn attached(log: &RedisLog) -> Arc<Horizon> {
    let horizon = Arc::new(Horizon::new(HorizonConfig::default()));
    let sink: Arc<dyn KillSink> = Arc::clone(&horizon) as _;
    log.attach(Arc::downgrade(&sink));
    horizon
}

async fn applied(log: &RedisLog, revision: Revision) {
    tokio::time::timeout(PATIENCE, log.until(|status| status.applied >= revision)).await.expect("it arrives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_gets_what_came_after_its_position() {
    let Some(bed) = Bed::start() else { return };
    let log = RedisLog::connect(&bed.config(), config()).await.unwrap();
    let start = log.read(None).await.unwrap().position;
    let mut revisions = Vec::new();
    for number in 0..1_500 {
        revisions.push(log.append(kill(number)).await.unwrap());
    }
    let delta = log.read(Some(&start)).await.unwrap();
    assert_eq!(delta.changes.iter().map(|(revision, _)| *revision).collect::<Vec<_>>(), revisions);
    assert!(delta.changes.iter().zip(0..).all(|((_, kills), number)| **kills == *kill(number)));
    assert_eq!(delta.floor, None);
    assert!(!log.covers(&start, revisions[0]) && log.covers(&delta.position, revisions[1_499]));
    assert!(log.read(Some(&delta.position)).await.unwrap().changes.is_empty());
    applied(&log, revisions[1_499]).await;
    assert_eq!(log.position(), Some(delta.position));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_was_away_for_too_long_is_told_to_raise_its_floor() {
    let Some(bed) = Bed::start() else { return };
    let config = LogConfig { retained_records: 100, ..config() };
    let log = RedisLog::connect(&bed.config(), config).await.unwrap();
    let start = log.read(None).await.unwrap().position;
    let mut revisions = Vec::new();
    for number in 0..500 {
        revisions.push(log.append(kill(number)).await.unwrap());
    }
    let delta = log.read(Some(&start)).await.unwrap();
    let first = delta.changes[0].0;
    let before = revisions[revisions.iter().position(|revision| *revision == first).unwrap() - 1];
    assert_eq!(delta.floor, Some(before), "the highest revision that is missing");
    bed.ask(&["FLUSHALL"]);
    let delta = log.read(Some(&delta.position)).await.unwrap();
    assert!(delta.changes.is_empty() && delta.floor > Some(revisions[499]), "it is another log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_of_another_log_is_an_error_and_one_of_another_epoch_covers_nothing() {
    let Some(bed) = Bed::start() else { return };
    let log = RedisLog::connect(&bed.config(), config()).await.unwrap();
    let error = log.read(Some(&Position::from_bytes(*b"0/16B3748"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let position = log.position().unwrap();
    let first = log.status().applied;
    assert!(log.covers(&position, first));
    bed.ask(&["FLUSHALL"]);
    tokio::time::timeout(PATIENCE, log.until(|status| status.epochs == 1)).await.unwrap();
    assert!(!log.covers(&position, first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_horizon_that_joins_late_knows_what_is_retained_and_is_told_before_the_writer() {
    let Some(bed) = Bed::start() else { return };
    let other = RedisLog::connect(&bed.config(), config()).await.unwrap();
    let early = attached(&other);
    for number in 0..1_500 {
        other.append(kill(number)).await.unwrap();
    }
    assert_eq!(early.usage().tags, 1_500, "each of them when its append returned");
    let log = RedisLog::connect(&bed.config(), config()).await.unwrap();
    let late = attached(&log);
    assert_eq!(late.usage().tags, 1_500);
    assert_eq!(late.usage().floor, early.usage().floor);
    log.append(kill(1 << 40)).await.unwrap();
    assert_eq!(late.usage().tags, 1_501);
    let gone: Weak<dyn KillSink> = Arc::downgrade(
        &(Arc::new(Horizon::<cache_core::sync::Std>::new(HorizonConfig::default())) as Arc<dyn KillSink>),
    );
    log.attach(gone);
    assert!(log.append(kill(2)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stamps_contain_what_was_appended_before_and_nothing_that_comes_after() {
    let Some(bed) = Bed::start() else { return };
    let a = RedisLog::connect(&bed.config(), config()).await.unwrap();
    let b = RedisLog::connect(&bed.config(), config()).await.unwrap();
    for number in 0..50 {
        let before = (a.stamp(), b.stamp());
        let revision = a.append(kill(number)).await.unwrap();
        assert!(a.stamp().contains(revision), "at once where it was appended");
        assert!(!before.0.contains(revision) && !before.1.contains(revision));
        applied(&b, revision).await;
        assert!(b.stamp().contains(revision));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_would_be_too_large_kills_everything() {
    let Some(bed) = Bed::start() else { return };
    let log = RedisLog::connect(&bed.config(), LogConfig { max_record_bytes: 1_000, ..config() }).await.unwrap();
    let horizon = attached(&log);
    let many: Vec<_> = (0..90).flat_map(kill).collect();
    log.append(many.clone()).await.unwrap();
    assert_eq!(horizon.usage().tags, 90);
    let revision = log.append(many.into_iter().chain((1_000..1_100).flat_map(kill)).collect()).await.unwrap();
    assert_eq!(horizon.usage().floor, revision);
    assert_eq!(*log.read(None).await.unwrap().changes.last().unwrap().1, [Kill::All]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_does_not_know_a_type_kills_everything() {
    let Some(bed) = Bed::start() else { return };
    let knowing = RedisLog::connect(&bed.config(), LogConfig::for_types(&TYPES)).await.unwrap();
    let ignorant = RedisLog::connect(&bed.config(), LogConfig::default()).await.unwrap();
    let (informed, cautious) = (attached(&knowing), attached(&ignorant));
    let revision = knowing.append(vec![Kill::Type(ALPHA)]).await.unwrap();
    applied(&ignorant, revision).await;
    assert_eq!(cautious.usage().floor, revision);
    assert!(informed.usage().floor < revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_different_names_in_one_redis_know_nothing_of_one_another() {
    let Some(bed) = Bed::start() else { return };
    let one = RedisLog::connect(&bed.config(), config()).await.unwrap();
    let two = RedisLog::connect(&bed.config(), LogConfig { name: "other".to_owned(), ..config() }).await.unwrap();
    assert_ne!(one.identity(), two.identity());
    let before = two.status().applied;
    one.append(kill(1)).await.unwrap();
    let revision = two.append(kill(2)).await.unwrap();
    applied(&two, revision).await;
    assert_eq!(two.read(None).await.unwrap().changes.len(), 2);
    assert!(before < revision);
}
