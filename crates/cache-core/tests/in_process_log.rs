//! The log in this process: what it tells readers, and horizons that come late.

use std::sync::Arc;

use cache_core::sync::Std;
use cache_core::{
    ErrorKind, Horizon, HorizonConfig, Identity, InProcessLog, Kill, KillSink, Log, Position, RETAINED_CHANGES,
    Revision, Tag,
};

fn log() -> InProcessLog<Std> {
    InProcessLog::with_identity(Identity([7; 16]))
}

fn kill(number: u64) -> Vec<Kill> {
    vec![Kill::Tag(Tag::from_hash(number))]
}

fn attached(log: &InProcessLog<Std>) -> Arc<Horizon<Std>> {
    let horizon = Arc::new(Horizon::new(HorizonConfig::default()));
    let sink = Arc::downgrade(&horizon);
    log.attach(sink as std::sync::Weak<dyn KillSink>);
    horizon
}

#[tokio::test]
async fn a_reader_gets_what_came_after_its_position() {
    let log = log();
    let start = log.read(None).await.expect("the log answers").position;
    let revisions = [1, 2, 3].map(|number| log.append_now(kill(number)));
    let delta = log.read(Some(&start)).await.expect("the log answers");
    assert_eq!(delta.changes.iter().map(|(revision, _)| *revision).collect::<Vec<_>>(), revisions);
    assert_eq!(delta.floor, None);
    assert!(!log.covers(&start, revisions[0]) && log.covers(&delta.position, revisions[2]));
    assert!(log.read(Some(&delta.position)).await.expect("the log answers").changes.is_empty());
}

#[tokio::test]
async fn a_reader_that_was_away_for_too_long_is_told_to_raise_its_floor() {
    let log = log();
    let start = log.read(None).await.expect("the log answers").position;
    for number in 0..RETAINED_CHANGES as u64 + 3 {
        log.append_now(kill(number));
    }
    let delta = log.read(Some(&start)).await.expect("the log answers");
    assert_eq!((delta.floor, delta.changes.len()), (Some(Revision::new(3)), RETAINED_CHANGES));
}

#[tokio::test]
async fn a_position_of_another_log_is_an_error() {
    let error = log().read(Some(&Position::from_bytes(*b"0/16B3748"))).await.expect_err("it is no number");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!log().covers(&Position::from_bytes(*b"0/16B3748"), Revision::new(1)));
}

#[test]
fn a_stamp_that_is_taken_after_an_append_contains_it_and_none_before_does() {
    let log = log();
    let before = log.stamp();
    let revision = log.append_now(kill(1));
    assert!(log.stamp().contains(revision) && !before.contains(revision));
}

#[test]
fn a_horizon_that_joins_late_knows_what_is_retained_and_mistrusts_what_is_not() {
    let log = log();
    let early = attached(&log);
    for number in 0..RETAINED_CHANGES as u64 + 3 {
        log.append_now(kill(number));
    }
    assert_eq!((early.usage().tags, early.usage().floor), (RETAINED_CHANGES + 3, Revision::ZERO));
    let late = attached(&log);
    assert_eq!((late.usage().tags, late.usage().floor), (RETAINED_CHANGES, Revision::new(3)));
    log.append_now(kill(1 << 40));
    assert_eq!(late.usage().tags, RETAINED_CHANGES + 1);
}

#[test]
fn a_horizon_that_is_gone_is_told_nothing() {
    let log = log();
    let horizon = attached(&log);
    drop(horizon);
    assert_eq!(log.append_now(kill(1)), Revision::new(1));
}
