//! Whoever changes and whoever asks, on threads of their own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use test_services::Session;

use crate::cluster::Cluster;
use crate::history::{Change, Endpoint, Event, Key, Kind, Outcome, Pen, Probe, Way};
use crate::http::Client;
use crate::world::{Asked, World};

/// Subjects that one writer changes in turn.
const SUBJECTS: usize = 6;
/// How long a writer waits until its change was asked for everywhere.
const ASKED: Duration = Duration::from_millis(100);
/// Questions that are under way at an instance that is stopped: it answers them the moment that it goes on.
const CALLED: usize = 16;
/// Questions that wait for one of those; one more is not asked.
const QUEUED: usize = 256;
/// Between two attempts at a change whose fate nobody knows.
const AGAIN: Duration = Duration::from_millis(100);
/// After so many a subject is left alone.
const ATTEMPTS: usize = 100;
/// How long a change by SQL may take until every instance has seen it.
const SPREAD: Duration = Duration::from_secs(5);

/// Between two looks how far it has got.
const LOOK: Duration = Duration::from_micros(300);

/// A change past every instance.
struct BySql {
    fault: String,
    begun: u64,
    ended: u64,
    /// None where nobody knows whether it was committed.
    transaction: Option<String>,
}

/// What the threads of a run share.
pub(crate) struct Load<'c> {
    pub(crate) cluster: &'c Cluster<'c>,
    pub(crate) world: &'c World,
    pub(crate) pen: Pen,
    pub(crate) stop: AtomicBool,
    /// The fault that is there now.
    pub(crate) fault: Mutex<String>,
    /// The numbers of the subjects that were made.
    pub(crate) subjects: AtomicU64,
    /// What each subject's access is by its last change, where that is known.
    pub(crate) expected: Mutex<std::collections::BTreeMap<Key, bool>>,
    /// Nobody asks more often than this on an instance, per second.
    pub(crate) pace: u32,
    /// The time between two revocations that a writer begins, at least.
    pub(crate) rest: Option<Duration>,
}

/// A subject that somebody has just changed, to be asked about at once.
struct Call {
    key: Key,
    endpoint: Endpoint,
    done: Sender<()>,
}

impl Load<'_> {
    fn on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn fault(&self) -> String {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn expect(&self, keys: &[Key], access: Option<bool>) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            match access {
                Some(access) => drop(expected.insert(*key, access)),
                None => drop(expected.remove(key)),
            }
        }
    }

    fn subject(&self) -> Key {
        self.subjects.fetch_add(1, Ordering::Relaxed)
    }

    fn instances(&self) -> usize {
        self.cluster.instances.len()
    }

    /// Starts everybody. They end when `stop` is set.
    pub(crate) fn start<'s>(&'s self, scope: &'s Scope<'s, '_>, writers: usize, seed: u64) {
        let mut calls = Vec::new();
        for instance in 0..self.instances() {
            let (call, called) = sync_channel(QUEUED);
            calls.push(call);
            let called = Arc::new(Mutex::new(called));
            for _ in 0..CALLED {
                let called = Arc::clone(&called);
                scope.spawn(move || self.answer_calls(instance, &called));
            }
            scope.spawn(move || self.ask_around(instance, seed ^ (instance as u64 + 1)));
        }
        for writer in 0..writers {
            let calls = calls.clone();
            scope.spawn(move || self.write(&calls, writer, seed.wrapping_mul(31).wrapping_add(writer as u64)));
        }
        scope.spawn(move || self.write_sql(seed.wrapping_mul(37)));
    }

    /// Asks, and records what came.
    pub(crate) fn probe(&self, client: &mut Client, instance: usize, endpoint: Endpoint, key: Key) -> [u32; 3] {
        let (fault, begun) = (self.fault(), self.pen.now());
        let at = self.cluster.instances[instance].public();
        let Asked { status, counts, sources } = self.world.ask(client, at, endpoint, key, false);
        let (ended, [allows, denies, failed]) = (self.pen.now(), counts);
        self.pen.write(Event::Probe(Probe {
            key,
            by: instance,
            endpoint,
            begun,
            ended,
            allows,
            denies,
            failed,
            status,
            sources,
            fault,
        }));
        counts
    }

    /// Asks about whoever has just been changed.
    fn answer_calls(&self, instance: usize, called: &Mutex<Receiver<Call>>) {
        let mut client = Client::default();
        let next = || called.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok(call) = next() {
            self.probe(&mut client, instance, call.endpoint, call.key);
            let _ = call.done.send(());
        }
    }

    /// Asks about anybody, all the time: what is cached is of every age, and loads run beside changes.
    fn ask_around(&self, instance: usize, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut client = Client::default();
        let pause = Duration::from_secs(1) / self.pace.max(1);
        let mut next = Instant::now();
        while self.on() {
            let subjects = self.subjects.load(Ordering::Relaxed).max(1);
            // Mostly about those who are changed now.
            let key =
                if random.u8(..) < 220 { subjects.saturating_sub(random.u64(..40)) } else { random.u64(..subjects) };
            let endpoint = if random.u8(..) < 200 {
                Endpoint::Batch
            } else {
                random.choice(Endpoint::ALL).unwrap_or(Endpoint::Batch)
            };
            let [_, _, failed] = self.probe(&mut client, instance, endpoint, key);
            // Whoever is not answered does not hurry.
            next = (next + pause).max(Instant::now());
            let wait = next.saturating_duration_since(Instant::now());
            std::thread::sleep(if failed > 0 { wait.max(AGAIN / 5) } else { wait });
        }
    }

    fn call(&self, calls: &[SyncSender<Call>], key: Key, endpoint: Endpoint, wait: bool) {
        let (done, finished) = channel();
        let sent =
            calls.iter().filter(|call| call.try_send(Call { key, endpoint, done: done.clone() }).is_ok()).count();
        drop(done);
        let begun = Instant::now();
        if wait {
            for _ in 0..sent {
                if finished.recv_timeout(ASKED.saturating_sub(begun.elapsed())).is_err() {
                    return;
                }
            }
        }
    }

    /// Grants and revokes by the instances.
    fn write(&self, calls: &[SyncSender<Call>], writer: usize, seed: u64) {
        // Each endpoint in its turn, so that all are reached in a short run.
        let mut endpoints = Endpoint::ALL.into_iter().cycle().skip(writer);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut client = Client::default();
        let mut subjects: Vec<Key> = (0..SUBJECTS).map(|_| self.subject()).collect();
        let mut next = Instant::now();
        while self.on() {
            if let Some(rest) = self.rest {
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                // Not all at once.
                next = Instant::now() + rest.mul_f64(0.5 + random.f64());
            }
            let several = random.u8(..) < 40;
            let chosen: Vec<usize> = if several { (0..SUBJECTS).collect() } else { vec![random.usize(..SUBJECTS)] };
            let keys: Vec<Key> = chosen.iter().map(|at| subjects[*at]).collect();
            let way = if random.bool() { Way::Ban } else { Way::Member };
            // Both ways give access: a member who is not banned.
            let mut granted = self.change(&mut client, &keys, Kind::Grant, Way::Member, &mut random);
            if granted == Outcome::Acknowledged && way == Way::Ban {
                for endpoint in [Endpoint::Batch, Endpoint::List] {
                    self.call(calls, keys[0], endpoint, true);
                }
            } else if granted == Outcome::Acknowledged {
                // Sometimes the revocation comes while the loads are under way.
                let wait = random.u8(..) < 170;
                keys.iter().for_each(|key| self.call(calls, *key, Endpoint::Batch, wait));
            }
            let revoked = self.until_known(&mut client, &keys, Kind::Revoke, way, &mut random);
            if revoked == Outcome::Acknowledged {
                for key in &keys {
                    self.call(calls, *key, Endpoint::Batch, false);
                }
                let endpoint = endpoints.next().unwrap_or(Endpoint::Single);
                self.call(calls, *random.choice(&keys).unwrap_or(&keys[0]), endpoint, true);
                if way == Way::Ban && granted == Outcome::Acknowledged {
                    // Without the membership lifting the ban gives nothing: the subject stays without access.
                    granted = self.until_known(&mut client, &keys, Kind::Revoke, Way::Member, &mut random);
                    if granted == Outcome::Acknowledged {
                        granted = self.lift(&mut client, &keys, &mut random);
                    }
                }
            }
            if granted != Outcome::Acknowledged || revoked != Outcome::Acknowledged {
                // What may still come would make these unjudgeable.
                self.expect(&keys, None);
                for at in chosen {
                    subjects[at] = self.subject();
                }
                std::thread::sleep(AGAIN);
            }
        }
    }

    fn until_known(
        &self,
        client: &mut Client,
        keys: &[Key],
        kind: Kind,
        way: Way,
        random: &mut fastrand::Rng,
    ) -> Outcome {
        for _ in 0..ATTEMPTS {
            let outcome = self.change(client, keys, kind, way, random);
            if outcome == Outcome::Acknowledged || !self.on() {
                return outcome;
            }
            std::thread::sleep(AGAIN);
        }
        Outcome::Unknown
    }

    /// Takes bans away, of subjects without a membership: no change of access, and recorded as none.
    fn lift(&self, client: &mut Client, keys: &[Key], random: &mut fastrand::Rng) -> Outcome {
        let path = format!("/stores/{}/write", self.world.store);
        let body = self.world.change(keys, Kind::Grant, Way::Ban);
        for _ in 0..ATTEMPTS {
            let at = self.cluster.instances[random.usize(..self.instances())].public();
            if client.post(at, &path, &body).is_ok_and(|answer| answer.status == 200) {
                return Outcome::Acknowledged;
            }
            if !self.on() {
                break;
            }
            std::thread::sleep(AGAIN);
        }
        Outcome::Unknown
    }

    fn change(&self, client: &mut Client, keys: &[Key], kind: Kind, way: Way, random: &mut fastrand::Rng) -> Outcome {
        let by = random.usize(..self.instances());
        let at = self.cluster.instances[by].public();
        let path = format!("/stores/{}/write", self.world.store);
        let body = self.world.change(keys, kind, way);
        let (fault, begun) = (self.fault(), self.pen.now());
        let outcome = match client.post(at, &path, &body) {
            Ok(answer) if answer.status == 200 => Outcome::Acknowledged,
            Ok(answer) if (400..500).contains(&answer.status) => Outcome::Refused,
            // Committed or not, nobody has promised anything.
            _ => Outcome::Unknown,
        };
        let ended = self.pen.now();
        self.expect(keys, (outcome == Outcome::Acknowledged).then_some(kind == Kind::Grant));
        self.pen.write(Event::Change(Change { keys: keys.to_vec(), kind, way, by, begun, ended, outcome, fault }));
        outcome
    }

    /// Grants and revokes by SQL, past every instance; then looks how long each one goes on allowing.
    fn write_sql(&self, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut session = Session::new(self.cluster.backends.postgres.url());
        let mut asked: Vec<Client> = (0..self.instances()).map(|_| Client::default()).collect();
        while self.on() {
            let key = self.subject();
            let granted = self.change_by_sql(&mut session, key, Kind::Grant);
            let known = granted.transaction.is_some();
            if known {
                self.everywhere(&mut asked, key, true);
            }
            // Before that nobody has promised anything.
            self.record_sql(key, Kind::Grant, &granted, known.then(|| self.pen.now()));
            if !known {
                std::thread::sleep(AGAIN);
                continue;
            }
            let revoked = self.change_by_sql(&mut session, key, Kind::Revoke);
            let Some(transaction) = &revoked.transaction else {
                self.record_sql(key, Kind::Revoke, &revoked, None);
                continue;
            };
            let applied = self.applied(&mut session, transaction);
            let settled = match applied {
                // It is in force: from now on an allow is a violation.
                Some(_) => self.probe_all(&mut asked, key, Endpoint::Single).then(|| self.pen.now()),
                None => self.everywhere(&mut asked, key, false).then(|| self.pen.now()),
            };
            self.record_sql(key, Kind::Revoke, &revoked, applied.or(settled));
            if applied.or(settled).is_some() {
                self.expect(&[key], Some(false));
            }
            if let Some(settled) = settled {
                let (took, applied) = (settled - revoked.ended, applied.map(|applied| applied - revoked.ended));
                self.pen.write(Event::Spread { key, applied, took, fault: revoked.fault });
                self.probe_all(&mut asked, key, Endpoint::Batch);
            }
            std::thread::sleep(Duration::from_millis(random.u64(5..60)));
        }
    }

    /// Asks every instance side by side, and records what it says. Whether each of them has denied.
    fn probe_all(&self, clients: &mut [Client], key: Key, endpoint: Endpoint) -> bool {
        side_by_side(clients, |instance, client| {
            let [allows, denies, _] = self.probe(client, instance, endpoint, key);
            allows == 0 && denies > 0
        })
    }

    fn change_by_sql(&self, session: &mut Session, key: Key, kind: Kind) -> BySql {
        let (fault, begun) = (self.fault(), self.pen.now());
        let rows = session.psql(&self.world.sql(key, kind)).unwrap_or_default();
        BySql { fault, begun, ended: self.pen.now(), transaction: rows.into_iter().flatten().flatten().next() }
    }

    /// Records a change by SQL, and since when it must be in force; none where that is not known.
    fn record_sql(&self, key: Key, kind: Kind, change: &BySql, in_force: Option<u64>) {
        self.pen.write(Event::Change(Change {
            keys: vec![key],
            kind,
            way: Way::Sql,
            by: usize::MAX,
            begun: change.begun,
            ended: in_force.unwrap_or(change.ended),
            outcome: if in_force.is_some() { Outcome::Acknowledged } else { Outcome::Unknown },
            fault: change.fault.clone(),
        }));
    }

    /// Waits until every instance has said that it applied a transaction.
    fn applied(&self, session: &mut Session, transaction: &str) -> Option<u64> {
        let (sql, begun) = (self.world.lagging(transaction), Instant::now());
        while begun.elapsed() < SPREAD && self.on() {
            let rows = session.psql(&sql).ok()?;
            if rows.into_iter().flatten().flatten().next().as_deref() == Some("0") {
                return Some(self.pen.now());
            }
            std::thread::sleep(LOOK);
        }
        None
    }

    /// Asks every instance side by side until each has said so. Of what it says no history is made: nobody has promised anything yet.
    fn everywhere(&self, clients: &mut [Client], key: Key, access: bool) -> bool {
        side_by_side(clients, |instance, client| {
            let begun = Instant::now();
            while begun.elapsed() < SPREAD && self.on() {
                let at = self.cluster.instances[instance].public();
                let [allows, denies, _] = self.world.ask(client, at, Endpoint::Single, key, false).counts;
                if (access && allows > 0) || (!access && denies > 0) {
                    return true;
                }
                std::thread::sleep(LOOK);
            }
            false
        })
    }
}

/// Does something with every instance's client at the same time. Whether it is true of all.
fn side_by_side(clients: &mut [Client], with: impl Fn(usize, &mut Client) -> bool + Sync) -> bool {
    let with = &with;
    std::thread::scope(|scope| {
        let asking =
            clients.iter_mut().enumerate().map(|(instance, client)| scope.spawn(move || with(instance, client)));
        let asking: Vec<_> = asking.collect();
        // All of them are waited for by the scope, also after one of which it is not.
        asking.into_iter().all(|one| one.join().unwrap_or(false))
    })
}
