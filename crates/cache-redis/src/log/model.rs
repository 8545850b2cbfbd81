//! Random histories of two instances and a server that trims, deletes, forgets and restarts: whatever happens, once both have caught up neither uses
//! a value that a change has made old, and both cache again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::testing::{ALPHA, TestKey};
use cache_core::{Horizon, HorizonConfig, Identity, Kill, KillSink, Moment, Revision, Stamp, Tag, TypeSet, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;

use super::config::LogConfig;
use super::id;
use super::record::{Content, Record};
use super::state::{Lost, State};
use super::step::{Answer, LEAP_MS};

const TAGS: usize = 3;

#[derive(Clone, Debug)]
enum Event {
    /// A change of the origin, appended by an instance, which may not get the answer.
    Change { by: usize, tag: usize, answered: bool },
    /// An instance takes a ticket and reads, and fills later: when this many events have passed.
    Load { by: usize, tag: usize, lasts: usize },
    /// An instance reads some records.
    Read { by: usize, records: usize },
    /// An instance asks whether it is still the same log, and goes on.
    Look { by: usize },
    /// An instance hears nothing for too long.
    Silence { by: usize },
    /// The server drops its oldest records.
    Trim { records: usize },
    /// Somebody deletes a record.
    Delete { at: prop::sample::Index },
    /// A failover loses the newest records.
    Failover { lost: usize, clock_back_ms: u64 },
    /// The stream is replaced by an older copy of itself, and the server says nothing of it.
    Rewind { lost: usize },
    /// Everything is gone.
    Flush,
    /// Somebody writes into the stream by other means.
    Foreign,
}

fn event() -> impl Strategy<Value = Event> {
    let (by, tag) = (0..2_usize, 0..TAGS);
    prop_oneof![
        8 => (by.clone(), tag.clone(), prop::bool::weighted(0.9)).prop_map(|(by, tag, answered)| Event::Change { by, tag, answered }),
        8 => (by.clone(), tag, 0..6_usize).prop_map(|(by, tag, lasts)| Event::Load { by, tag, lasts }),
        6 => (by.clone(), 1..4_usize).prop_map(|(by, records)| Event::Read { by, records }),
        3 => by.clone().prop_map(|by| Event::Look { by }),
        1 => by.prop_map(|by| Event::Silence { by }),
        1 => (1..5_usize).prop_map(|records| Event::Trim { records }),
        1 => any::<prop::sample::Index>().prop_map(|at| Event::Delete { at }),
        1 => (0..4_usize, 0..LEAP_MS).prop_map(|(lost, clock_back_ms)| Event::Failover { lost, clock_back_ms }),
        1 => (1..4_usize).prop_map(|lost| Event::Rewind { lost }),
        1 => Just(Event::Flush),
        1 => Just(Event::Foreign),
    ]
}

/// What `step.lua` does, and what befalls its data.
struct Server {
    now_ms: u64,
    history: u64,
    /// The epoch, and the history that it began in.
    about: Option<(Identity, u64, Revision)>,
    last: Option<Revision>,
    records: Vec<Record>,
    epochs: u8,
}

impl Server {
    fn step(
        &mut self,
        begin: bool,
        mine: Option<Identity>,
        seen: Revision,
        above: Revision,
        kills: Option<&[Kill]>,
    ) -> Answer {
        self.now_ms += 1;
        let whole =
            |(_, history, last): &(Identity, u64, Revision)| *history == self.history && self.last == Some(*last);
        let same = self.about.filter(whole).map(|(epoch, ..)| epoch);
        let (epoch, mut last) = match (same, self.last) {
            (Some(epoch), Some(last)) if !(mine == same && (begin || seen > last)) => (epoch, last),
            (_, last) => {
                let known = seen.max(above).max(last.unwrap_or_default());
                let ms = (self.now_ms + LEAP_MS).max(id::millisecond(known) + 1);
                self.epochs += 1;
                let epoch = Identity([self.epochs; 16]);
                let first = Revision::new(ms << 20);
                self.records = vec![record(first, Revision::ZERO, epoch, &[Kill::All])];
                (epoch, first)
            }
        };
        if let Some(kills) = kills {
            let next = above.max(last).get() + 1;
            let next = Revision::new(next.max(self.now_ms << 20));
            self.records.push(record(next, last, epoch, kills));
            last = next;
        }
        self.about = Some((epoch, self.history, last));
        self.last = Some(last);
        Answer { epoch, last, server_ms: self.now_ms }
    }

    fn after(&self, revision: Revision, most: usize) -> Vec<Record> {
        self.records.iter().filter(|record| record.revision > revision).take(most).cloned().collect()
    }
}

fn record(revision: Revision, previous: Revision, epoch: Identity, kills: &[Kill]) -> Record {
    Record { revision, content: Some(Content { epoch, previous, kills: Kill::encode_all(kills).into() }) }
}

struct Instance {
    state: State,
    horizon: Arc<Horizon>,
    sink: Arc<Sink>,
    loads: Vec<(usize, Value)>,
}

/// What a chain is to its log: a horizon, a tier in memory, and the identity that tiers which outlive the process are bound to.
struct Sink {
    horizon: Arc<Horizon>,
    local: Mutex<Vec<Value>>,
    bound: Mutex<Identity>,
}

impl KillSink for Sink {
    fn apply(&self, revision: Revision, kills: &[Kill]) {
        self.horizon.apply(revision, kills);
    }

    fn bind(&self, identity: Identity) {
        if std::mem::replace(&mut *self.bound.lock().unwrap(), identity) != identity {
            self.local.lock().unwrap().clear();
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Value {
    tag: usize,
    stamp: Stamp,
    version: u64,
}

impl Instance {
    fn new() -> Self {
        let horizon = Arc::new(Horizon::new(HorizonConfig { budget_bytes: 0, ..HorizonConfig::default() }));
        let bound = Mutex::new(Identity([0xff; 16]));
        let sink = Arc::new(Sink { horizon: Arc::clone(&horizon), local: Mutex::default(), bound });
        let state = State::new(&LogConfig::default());
        state.attach(Arc::downgrade(&(Arc::clone(&sink) as Arc<dyn KillSink>)));
        Self { state, horizon, sink, loads: Vec::new() }
    }

    fn step(&self, server: &mut Server, begin: bool, kills: Option<&[Kill]>) -> Answer {
        let place = self.state.place();
        server.step(begin, place.epoch, place.seen, place.seen.max(place.floor), kills)
    }

    /// As the reader does: looks, reads what there is, and trusts what it has read.
    fn catch_up(&self, server: &mut Server, now: Moment) {
        let mut begin = false;
        // Each time it is lost an epoch begins that it has not lost.
        for _ in 0..4 {
            let answer = self.step(server, begin, None);
            self.state.enter(&answer, now);
            match self.state.take(server.after(self.state.place().applied, usize::MAX)) {
                Err(lost) => begin = lost == Lost::Records,
                Ok(()) => {
                    self.state.settle(answer.last);
                    while !self.state.trust(now) {
                        let bump = self.step(server, false, Some(&[]));
                        self.state.enter(&bump, now);
                    }
                    return;
                }
            }
        }
        panic!("it never catches up");
    }

    fn bound(&self) -> Identity {
        *self.sink.bound.lock().unwrap()
    }

    /// What its tiers would find: in memory, and in Redis under the identity that they are bound to.
    fn found(&self, shared: &[(Identity, Value)]) -> impl Iterator<Item = Value> + use<> {
        let bound = self.bound();
        let remote = shared.iter().filter(move |(identity, _)| *identity == bound).map(|(_, value)| *value);
        let all: Vec<_> = self.sink.local.lock().unwrap().iter().copied().chain(remote).collect();
        all.into_iter()
    }

    fn usable(&self, value: &Value) -> bool {
        let key = TestKey::new(ALPHA, "");
        let tags = [Tag::from_hash(value.tag as u64)];
        self.horizon.verdict(value.stamp, &tags, TypeSet::default(), &key) == Verdict::Usable
    }
}

fn run(events: Vec<Event>) {
    let mut server = Server { now_ms: 1_000_000, history: 1, about: None, last: None, records: Vec::new(), epochs: 0 };
    let mut now = Moment::from_millis(1);
    let mut instances = [Instance::new(), Instance::new()];
    let mut origin = [0_u64; TAGS];
    // What lies in Redis, by the identity that it was filled under.
    let mut shared: Vec<(Identity, Value)> = Vec::new();
    for instance in &instances {
        instance.catch_up(&mut server, now);
    }
    for event in events {
        match event {
            Event::Change { by, tag, answered } => {
                origin[tag] += 1;
                let kills = [Kill::Tag(Tag::from_hash(tag as u64))];
                let answer = instances[by].step(&mut server, false, Some(&kills));
                if answered {
                    let instance = &instances[by];
                    instance.state.appended(&answer, &kills, Kill::encode_all(&kills));
                    for value in instance.found(&shared) {
                        let old = value.tag == tag && value.version < origin[tag];
                        assert!(!(old && instance.usable(&value)), "{value:?} outlives what its own instance appended");
                    }
                }
            }
            Event::Load { by, tag, lasts } => {
                let value = Value { tag, stamp: instances[by].state.stamp(), version: origin[tag] };
                instances[by].loads.push((lasts, value));
            }
            Event::Read { by, records } => {
                let state = &instances[by].state;
                if state.take(server.after(state.place().applied, records)).is_err() {
                    instances[by].catch_up(&mut server, now);
                }
            }
            Event::Look { by } => instances[by].catch_up(&mut server, now),
            Event::Silence { by } => {
                now = now.after(Duration::from_secs(60));
                server.now_ms += 60_000;
                instances[1 - by].catch_up(&mut server, now);
                let instance = &instances[by];
                instance.state.watch(now);
                assert_eq!(instance.state.stamp(), Stamp::OLDEST);
                assert!(!instance.found(&shared).any(|value| instance.usable(&value)));
            }
            Event::Trim { records } => {
                let kept = server.records.len().saturating_sub(records).max(1);
                let trimmed = server.records.len().saturating_sub(kept);
                server.records.drain(..trimmed);
            }
            Event::Delete { at } => {
                if !server.records.is_empty() {
                    server.records.remove(at.index(server.records.len()));
                }
            }
            Event::Failover { lost, clock_back_ms } => {
                server.history += 1;
                server.now_ms -= clock_back_ms;
                lose(&mut server, lost);
            }
            Event::Rewind { lost } => lose(&mut server, lost),
            Event::Flush => (server.about, server.last, server.records) = (None, None, Vec::new()),
            Event::Foreign => {
                if let Some(last) = server.last {
                    let revision = Revision::new(last.get() + 1);
                    server.records.push(Record { revision, content: None });
                    server.last = Some(revision);
                }
            }
        }
        for instance in &mut instances {
            let (landed, flying) = std::mem::take(&mut instance.loads).into_iter().partition(|(lasts, _)| *lasts == 0);
            instance.loads = flying;
            instance.loads.iter_mut().for_each(|(lasts, _)| *lasts -= 1);
            let landed: Vec<(usize, Value)> = landed;
            for (_, value) in landed {
                // A chain offers its tiers nothing that is dead on arrival.
                if !instance.usable(&value) {
                    continue;
                }
                shared.push((instance.bound(), value));
                // What another one has filled is promoted with its stamp.
                let found: Vec<_> = instance.found(&shared).filter(|value| instance.usable(value)).collect();
                let mut local = instance.sink.local.lock().unwrap();
                *local = found;
                local.push(value);
            }
        }
    }
    // Twice: what the second one does may be news to the first one.
    for instance in instances.iter().chain(&instances) {
        instance.catch_up(&mut server, now);
    }
    for instance in &instances {
        assert_eq!(
            Some(instance.bound()),
            server.about.map(|(epoch, ..)| epoch),
            "both are bound to the log that it is"
        );
        let flying = instance.loads.iter().map(|(_, value)| *value);
        for value in instance.found(&shared).chain(flying) {
            let stale = value.version < origin[value.tag];
            assert!(!(stale && instance.usable(&value)), "{value:?} is used, but it is {origin:?}");
        }
        for tag in 0..TAGS {
            let fresh = Value { tag, stamp: instance.state.stamp(), version: origin[tag] };
            assert!(instance.usable(&fresh), "nothing is cached any more");
        }
        let place = instance.state.place();
        assert!(place.applied <= place.seen);
    }
}

fn lose(server: &mut Server, lost: usize) {
    server.records.truncate(server.records.len().saturating_sub(lost));
    server.last = server.records.last().map(|record| record.revision);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_lets_an_instance_use_what_a_change_has_made_old(events in vec(event(), 0..60)) {
        run(events);
    }
}
