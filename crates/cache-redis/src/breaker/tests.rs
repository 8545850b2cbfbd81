use cache_core::testing::{FixedEntropy, TestClock};

use super::*;

const CONFIG: BreakerConfig = BreakerConfig {
    window_ms: 10_000,
    minimum_calls: 10,
    failure_rate_percent: 50,
    slow_call_rate_percent: 80,
    slow_call_ms: 10,
    open_ms: 1_000,
    open_jitter_percent: 50,
    half_open_calls: 3,
};

fn breaker() -> (Arc<TestClock>, Breaker) {
    let clock = Arc::new(TestClock::default());
    let breaker = Breaker::new(CONFIG, Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(FixedEntropy(499)));
    (clock, breaker)
}

fn calls(breaker: &Breaker, count: usize, verdict: Verdict) {
    for _ in 0..count {
        breaker.permit().expect("it lets calls through").end(verdict);
    }
}

fn wait(clock: &TestClock, ms: u64) {
    clock.advance(Duration::from_millis(ms));
}

#[test]
fn it_opens_at_the_failure_rate_and_not_before_there_were_enough_calls() {
    let (_, breaker) = breaker();
    calls(&breaker, 9, Verdict::Failure);
    assert_eq!(breaker.state(), BreakerState::Closed, "nine calls say too little");
    calls(&breaker, 1, Verdict::Success);
    assert_eq!(breaker.state(), BreakerState::Open);
    assert!(breaker.permit().is_none());
    assert_eq!(breaker.opened(), 1);
}

#[test]
fn failures_below_the_rate_leave_it_closed() {
    let (_, breaker) = breaker();
    for _ in 0..50 {
        calls(&breaker, 2, Verdict::Success);
        calls(&breaker, 1, Verdict::Failure);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn what_left_the_window_does_not_count() {
    let (clock, breaker) = breaker();
    calls(&breaker, 9, Verdict::Failure);
    wait(&clock, 11_000);
    calls(&breaker, 9, Verdict::Failure);
    assert_eq!(breaker.state(), BreakerState::Closed);
    wait(&clock, 5_000);
    calls(&breaker, 1, Verdict::Failure);
    assert_eq!(breaker.state(), BreakerState::Open, "nine of these are still in it");
}

#[test]
fn slow_calls_open_it_although_they_succeed() {
    let (clock, breaker) = breaker();
    for _ in 0..10 {
        let permit = breaker.permit().expect("closed");
        wait(&clock, 10);
        permit.end(Verdict::Success);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn half_open_it_lets_a_few_probe_and_closes_when_they_succeed() {
    let (clock, breaker) = breaker();
    breaker.open();
    wait(&clock, 1_498);
    assert!(breaker.permit().is_none(), "a second and a jitter of 499 ms");
    wait(&clock, 1);
    let probes: Vec<_> = (0..3).map(|_| breaker.permit().expect("a probe")).collect();
    assert!(breaker.permit().is_none(), "three probe at once and no more");
    probes.into_iter().for_each(|probe| probe.end(Verdict::Success));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn probes_that_fail_open_it_again() {
    let (clock, breaker) = breaker();
    breaker.open();
    wait(&clock, 1_500);
    calls(&breaker, 1, Verdict::Success);
    calls(&breaker, 2, Verdict::Failure);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn a_probe_that_is_given_up_makes_room_for_another_one() {
    let (clock, breaker) = breaker();
    breaker.open();
    wait(&clock, 1_500);
    for _ in 0..100 {
        drop(breaker.permit().expect("the one before was given up"));
    }
    calls(&breaker, 3, Verdict::Success);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_call_from_before_it_opened_says_nothing_afterwards() {
    let (clock, breaker) = breaker();
    let old: Vec<_> = (0..10).map(|_| breaker.permit().expect("closed")).collect();
    breaker.open();
    wait(&clock, 1_500);
    let probe = breaker.permit().expect("a probe");
    old.into_iter().for_each(|permit| permit.end(Verdict::Failure));
    probe.end(Verdict::Success);
    calls(&breaker, 2, Verdict::Success);
    assert_eq!(breaker.state(), BreakerState::Closed);
}
