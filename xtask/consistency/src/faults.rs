//! What goes wrong in a run, by its seed.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fault_proxy::{Direction, End, Fault, Proxy};
use rustix::process::Signal;

use crate::history::Event;
use crate::http::Client;
use crate::load::Load;

/// How long a fault stays, in milliseconds, and how long nothing is wrong after it.
pub(crate) const STAYS: std::ops::Range<u64> = 800..3_000;
pub(crate) const CALM: std::ops::Range<u64> = 600..1_500;
/// An instance is stopped for as long: less and more than its lease.
const STOPPED: std::ops::Range<u64> = 200..2_500;
/// The exit status of a server that only another process can take over from.
const START_AGAIN: i32 = 75;
const LOOK: Duration = Duration::from_millis(50);

/// A fault. Those of a network befall one instance, or all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    Redis(Network),
    RedisPaused,
    RedisKilled,
    RedisFlushed,
    Postgres(Network),
    PostgresPaused,
    PostgresKilled,
    SessionsEnded,
    LongTransaction,
    CoarseKill,
    AnotherHistory,
    InstancePaused,
    InstanceKilled,
    InstanceEnded,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Network {
    Late,
    Swallowed,
    Held,
    RepliesHeld,
    Reset,
    Refused,
    Corrupted,
    Cut,
}

impl Trouble {
    /// All there are, in no order.
    pub(crate) const ALL: &[Self] = &[
        Self::Redis(Network::Late),
        Self::Redis(Network::Swallowed),
        Self::Redis(Network::Held),
        Self::Redis(Network::Reset),
        Self::Redis(Network::Refused),
        Self::Redis(Network::Corrupted),
        Self::Redis(Network::Cut),
        Self::RedisPaused,
        Self::RedisKilled,
        Self::RedisFlushed,
        Self::Postgres(Network::Late),
        Self::Postgres(Network::Swallowed),
        Self::Postgres(Network::Held),
        Self::Postgres(Network::RepliesHeld),
        Self::Postgres(Network::Reset),
        Self::Postgres(Network::Refused),
        Self::Postgres(Network::Cut),
        Self::PostgresPaused,
        Self::PostgresKilled,
        Self::SessionsEnded,
        Self::LongTransaction,
        Self::CoarseKill,
        Self::AnotherHistory,
        Self::InstancePaused,
        Self::InstanceKilled,
        Self::InstanceEnded,
    ];

    pub(crate) fn name(self) -> String {
        let words = |text: String| {
            text.chars()
                .flat_map(|c| if c.is_uppercase() { vec![' ', c.to_ascii_lowercase()] } else { vec![c] })
                .collect::<String>()
                .trim()
                .to_owned()
        };
        match self {
            Self::Redis(network) => format!("redis {}", words(format!("{network:?}"))),
            Self::Postgres(network) => format!("postgres {}", words(format!("{network:?}"))),
            other => words(format!("{other:?}")),
        }
    }
}

impl Load<'_> {
    /// One fault after the other until `end`, each of them once before any comes again.
    pub(crate) fn trouble(&self, troubles: &[Trouble], end: Instant, seed: u64) -> Result<(), String> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut left: Vec<Trouble> = Vec::new();
        while Instant::now() < end && !self.stop.load(Ordering::Relaxed) {
            self.sleep(random.u64(CALM), end);
            if left.is_empty() {
                left = troubles.to_vec();
                random.shuffle(&mut left);
            }
            let Some(trouble) = left.pop().filter(|_| Instant::now() < end) else { continue };
            let one = random.usize(..self.cluster.instances.len());
            // A network fails for one, or for all.
            let all = random.u8(..) < 90;
            let begun = self.pen.now();
            self.name_fault(&trouble.name());
            let done = self.befall(trouble, one, all, end, &mut random);
            self.name_fault("");
            let target = if all { "all".to_owned() } else { one.to_string() };
            self.pen.write(Event::Fault { name: trouble.name(), target, begun, ended: self.pen.now() });
            done.map_err(|why| format!("{}: {why}", trouble.name()))?;
        }
        Ok(())
    }

    fn name_fault(&self, name: &str) {
        name.clone_into(&mut self.fault.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn sleep(&self, ms: u64, end: Instant) {
        let until = (Instant::now() + Duration::from_millis(ms)).min(end);
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
    }

    fn befall(
        &self,
        trouble: Trouble,
        one: usize,
        all: bool,
        end: Instant,
        random: &mut fastrand::Rng,
    ) -> Result<(), String> {
        let (cluster, backends) = (self.cluster, self.cluster.backends);
        let instance = &cluster.instances[one];
        let stays = random.u64(STAYS);
        let sql = |statements: &str| {
            test_services::psql(&backends.postgres.url(), statements).map(drop).map_err(|error| error.to_string())
        };
        match trouble {
            Trouble::Redis(network) | Trouble::Postgres(network) => {
                let befallen = cluster.instances.iter().enumerate().filter(|(at, _)| all || *at == one);
                for (_, instance) in befallen.clone() {
                    let of_redis = matches!(trouble, Trouble::Redis(_));
                    network.befall(if of_redis { &instance.redis } else { &instance.postgres });
                }
                self.sleep(stays, end);
                befallen.for_each(|(_, instance)| instance.heal());
            }
            Trouble::RedisPaused => {
                backends.redis.pause();
                self.sleep(stays, end);
                backends.redis.resume();
            }
            Trouble::RedisKilled => {
                backends.redis.kill();
                self.sleep(stays, end);
                backends.redis.restart().map_err(|error| error.to_string())?;
            }
            Trouble::RedisFlushed => {
                backends.redis.command(&["FLUSHALL"]).map_err(|error| error.to_string())?;
                self.sleep(stays / 2, end);
            }
            Trouble::PostgresPaused => {
                backends.postgres.pause();
                self.sleep(stays, end);
                backends.postgres.resume();
            }
            Trouble::PostgresKilled => {
                backends.postgres.kill();
                self.sleep(stays / 4, end);
                backends.postgres.restart().map_err(|error| error.to_string())?;
                self.sleep(stays, end);
            }
            Trouble::SessionsEnded => {
                for _ in 0..3 {
                    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                         WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")?;
                    self.sleep(stays / 3, end);
                }
            }
            Trouble::LongTransaction => {
                let seconds = stays as f64 / 1000.0;
                // It has a number, so that nothing newer is final while it stays open.
                sql(&format!("BEGIN; SELECT pg_current_xact_id(); SELECT pg_sleep({seconds}); COMMIT"))?;
            }
            Trouble::CoarseKill => {
                for _ in 0..5 {
                    let mut client = Client::default();
                    // Late or lost, but never refused.
                    if let Ok(answer) = client.post(instance.admin(), "/admin/v1/invalidate", r#"{"scope": "all"}"#)
                        && (400..500).contains(&answer.status)
                    {
                        return Err(format!("it was refused: {} {}", answer.status, answer.body));
                    }
                    self.sleep(stays / 5, end);
                }
            }
            Trouble::AnotherHistory => {
                sql(&format!("SELECT {}.new_epoch()", cluster.schema))?;
                self.sleep(stays, end);
                // Each ends by itself, and a supervisor starts it again. The programs of other releases may have to be told.
                for instance in &cluster.instances {
                    let is_told = instance.runs_several_programs();
                    if is_told {
                        instance.signal(Signal::TERM);
                    }
                    let status = instance.wait()?;
                    if !is_told && status != Some(START_AGAIN) {
                        return Err(format!(
                            "an instance ended with status {status:?} in front of another history, and not with {START_AGAIN}"
                        ));
                    }
                    instance.start()?;
                }
            }
            Trouble::InstancePaused => {
                instance.signal(Signal::STOP);
                self.sleep(random.u64(STOPPED), end);
                instance.signal(Signal::CONT);
                self.sleep(stays / 3, end);
            }
            Trouble::InstanceKilled | Trouble::InstanceEnded => {
                instance.signal(if trouble == Trouble::InstanceKilled { Signal::KILL } else { Signal::TERM });
                instance.wait()?;
                self.sleep(stays / 2, end);
                instance.start()?;
                self.sleep(stays / 2, end);
            }
        }
        Ok(())
    }
}

impl Network {
    fn befall(self, proxy: &Proxy) {
        let ms = Duration::from_millis;
        match self {
            Self::Late => proxy.set(Fault::Latency { fixed: ms(30), jitter: ms(30) }),
            Self::Swallowed => proxy.set(Fault::Blackhole),
            Self::Held => proxy.set(Fault::Hold),
            Self::RepliesHeld => proxy.set_in(Direction::Replies, Fault::Hold),
            Self::Reset => proxy.reset(),
            Self::Refused => {
                proxy.refuse();
                proxy.reset();
            }
            Self::Corrupted => proxy.set(Fault::CorruptValues { one_in: 5 }),
            Self::Cut => proxy.set(Fault::Cut { after: 5_000, end: End::Reset }),
        }
    }
}
