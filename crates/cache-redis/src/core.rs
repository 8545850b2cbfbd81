//! One operation against Redis, within its bounds: the breaker lets it through or not; it waits a little for its turn; it has one limit of
//! time for all it does; it may be tried again once, where that can help and the budget for retries allows it; and how it ended is told to
//! the breaker, to the connection, and to the counters.

mod spread;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{Clock, Entropy};
use redis::aio::ConnectionLike as _;
use redis::{Cmd, Pipeline, Value};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::breaker::{Breaker, BreakerState, Permit, Verdict};
use crate::config::RedisConfig;
use crate::connect::Connector;
use crate::error::{ConfigError, Failure};
use crate::nodes::{Nodes, Routed};
use crate::pool::{Line, Pool};
use crate::retry::RetryBudget;
use crate::statistics::{Counters, RedisStatistics, count, read};

/// The least time between two connections that are given up because of what they brought: a Redis full of values that are not ours must not
/// keep us connecting.
const SUSPICION_INTERVAL_MS: u64 = 1_000;

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Get,
    Fill,
    Remove,
    Clear,
    Ping,
    /// From the buckets of rate limits.
    Take,
}

/// What is sent, in one round trip.
pub(crate) enum Request {
    One(Cmd),
    /// Commands in one write, on one connection.
    Pipeline(Pipeline, usize),
    /// Commands for a cluster, each of which goes to the node of its key, all at once. A cluster takes no others, and one server none of these.
    Spread(Vec<Routed>),
}

/// What came back: a value or a failure for each command, and on which connection; of a cluster on several.
pub(crate) struct Answer {
    pub(crate) replies: Vec<Result<Value, Failure>>,
    pub(crate) line: Arc<Line>,
    pub(crate) others: Vec<Arc<Line>>,
}

/// Who is asked.
enum Target {
    Server(Box<Server>),
    Cluster(Arc<Nodes>),
}

struct Server {
    pool: Pool,
    breaker: Breaker,
}

pub(crate) struct Core {
    target: Target,
    turns: Semaphore,
    budget: RetryBudget,
    clock: Arc<dyn Clock>,
    suspected_at_ms: AtomicU64,
    max_in_flight: usize,
    limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) address: String,
    pub(crate) is_cluster: bool,
}

struct Limits {
    get: Duration,
    fill: Duration,
    remove: Duration,
    wait: Duration,
}

impl Core {
    pub(crate) fn new(
        connector: Connector,
        config: &RedisConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        let (address, is_cluster) = (connector.address().to_owned(), connector.is_cluster());
        let target = match is_cluster {
            true => Target::Cluster(Arc::new(Nodes::new(config, Arc::clone(&clock), entropy)?)),
            false => Target::Server(Box::new(Server {
                pool: Pool::new(connector, config),
                breaker: Breaker::new(config.breaker, Arc::clone(&clock), entropy),
            })),
        };
        Ok(Self {
            target,
            turns: Semaphore::new(config.max_in_flight),
            budget: RetryBudget::new(config.retry_percent),
            clock,
            suspected_at_ms: AtomicU64::new(0),
            max_in_flight: config.max_in_flight,
            limits: Limits {
                get: Duration::from_millis(config.get_timeout_ms),
                fill: Duration::from_millis(config.fill_timeout_ms),
                remove: Duration::from_millis(config.remove_timeout_ms),
                wait: Duration::from_millis(config.max_wait_ms),
            },
            counters: Counters::default(),
            address,
            is_cluster,
        })
    }

    /// Does it.
    pub(crate) async fn run(&self, operation: Operation, request: Request) -> Result<Answer, Failure> {
        self.run_after(Duration::ZERO, operation, request).await
    }

    /// Does it for somebody who has waited already: that is part of its limit.
    pub(crate) async fn run_after(
        &self,
        waited: Duration,
        operation: Operation,
        request: Request,
    ) -> Result<Answer, Failure> {
        let limit = self.limits.of(operation).saturating_sub(waited);
        let done = self.run_within(limit, operation, request).await;
        if let Err(failure) = &done {
            self.counters.failed(failure);
        }
        done
    }

    async fn run_within(&self, limit: Duration, operation: Operation, request: Request) -> Result<Answer, Failure> {
        match (&self.target, request) {
            (Target::Cluster(nodes), Request::Spread(commands)) => self.spread(nodes, limit, operation, commands).await,
            (Target::Server(server), request) => self.ask(server, limit, operation, request).await,
            // Whoever makes requests asks which it is.
            (Target::Cluster(_), _) => Err(Failure::Protocol),
        }
    }

    async fn ask(
        &self,
        Server { pool, breaker }: &Server,
        limit: Duration,
        operation: Operation,
        request: Request,
    ) -> Result<Answer, Failure> {
        // The turn comes first: what is waited for it here must not make Redis look slow.
        let _turn = match self.turns.try_acquire() {
            Ok(turn) => turn,
            Err(_) if breaker.state() == BreakerState::Open => return Err(Failure::BreakerOpen),
            Err(_) => self.turn().await?,
        };
        let permit = breaker.permit().ok_or(Failure::BreakerOpen)?;
        let mut line = None;
        let done = match timeout(limit, self.try_twice(pool, operation, &request, &mut line)).await {
            Ok(done) => done,
            // Without a connection there was nobody to be silent: why there is none says more.
            Err(_) => Err(match &line {
                Some(_) => Failure::Timeout(limit),
                None => pool.unreachable(),
            }),
        };
        let failure = done.as_ref().map_or_else(Some, |replies| replies.iter().find_map(|reply| reply.as_ref().err()));
        if let Some(line) = &line {
            self.judge(line, failure);
        }
        self.settle(permit, failure);
        let replies = done?;
        line.map(|line| Answer { replies, line, others: Vec::new() }).ok_or(Failure::Protocol)
    }

    /// Tells a breaker how a call through it ended.
    fn settle(&self, permit: Permit<'_>, failure: Option<&Failure>) {
        match failure {
            Some(Failure::Refused(code)) => {
                // Every further try would be refused as well, and may lock an account: whoever can mend it must hear of it.
                tracing::error!(address = %self.address, code, "redis refused us; check the user, the password and the ACL rules");
                permit.end_and_open();
            }
            Some(failure) if failure.counts_against_redis() => permit.end(Verdict::Failure),
            Some(Failure::BreakerOpen | Failure::Busy(_)) => permit.end(Verdict::Nothing),
            _ => permit.end(Verdict::Success),
        }
    }

    /// Waits for a turn, but not for long. Whoever waits is served in order.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        count(&self.counters.waits);
        match timeout(self.limits.wait, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(Failure::Busy(self.limits.wait)),
        }
    }

    async fn try_twice(
        &self,
        pool: &Pool,
        operation: Operation,
        request: &Request,
        line: &mut Option<Arc<Line>>,
    ) -> Result<Vec<Result<Value, Failure>>, Failure> {
        self.budget.earn();
        let first = self.try_once(pool, request, line).await;
        let failure = first.as_ref().map_or_else(Some, |replies| replies.iter().find_map(|reply| reply.as_ref().err()));
        let may = !operation.is_once() && failure.is_some_and(Failure::deserves_a_retry);
        if !may {
            return first;
        }
        if !self.budget.spend() {
            count(&self.counters.retries_denied);
            return first;
        }
        if let Some(line) = line.take() {
            self.judge(&line, failure);
        }
        count(&self.counters.retries);
        // Boxed, because it is rare: every look-up would carry the room for it.
        Box::pin(self.try_once(pool, request, line)).await
    }

    async fn try_once(
        &self,
        pool: &Pool,
        request: &Request,
        used: &mut Option<Arc<Line>>,
    ) -> Result<Vec<Result<Value, Failure>>, Failure> {
        let line = used.insert(pool.line(self.busy()).await?);
        let mut link = line.link.clone();
        let failed = |error: redis::RedisError| Failure::of(&error);
        Ok(match request {
            Request::One(command) => match link.req_packed_command(command).await {
                Ok(value) => vec![reply(value)],
                Err(error) => return Err(failed(error)),
            },
            Request::Pipeline(pipeline, commands) => {
                let values = link.req_packed_commands(pipeline, 0, *commands).await.map_err(failed)?;
                if values.len() != *commands {
                    return Err(Failure::Protocol);
                }
                values.into_iter().map(reply).collect()
            }
            // It goes another way.
            Request::Spread(_) => return Err(Failure::Protocol),
        })
    }

    /// Operations under way.
    fn busy(&self) -> usize {
        self.max_in_flight - self.turns.available_permits().min(self.max_in_flight)
    }

    fn judge(&self, line: &Line, failure: Option<&Failure>) {
        match failure {
            Some(Failure::Timeout(_)) => line.was_silent(),
            Some(Failure::Protocol) => line.condemn(),
            Some(failure) if failure.breaks_connections() => line.broke(),
            _ => line.answered(),
        }
    }

    /// A connection brought a value that was not sealed for the name that was asked for. Where answers have got out of step, every further one
    /// is another's.
    pub(crate) fn suspect(&self, lines: &[&Line]) {
        let now_ms = self.clock.now().as_millis();
        let last_ms = self.suspected_at_ms.load(Ordering::Relaxed);
        let due = last_ms == 0 || now_ms.saturating_sub(last_ms) >= SUSPICION_INTERVAL_MS;
        if due && self.suspected_at_ms.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            count(&self.counters.suspected);
            tracing::warn!(
                address = %self.address,
                "redis answered with a value that was not sealed for its name: it is corrupt, somebody else writes here, or answers got out of step; \
                 it is a miss, and the connection is replaced"
            );
            lines.iter().for_each(|line| line.condemn());
        }
    }

    /// Asks whether somebody is there; of a cluster, whether every node is.
    pub(crate) fn ping(&self) -> Request {
        let mut ping = Cmd::new();
        ping.arg("PING");
        match &self.target {
            Target::Server(_) => Request::One(ping),
            Target::Cluster(nodes) => {
                let each = nodes.a_slot_of_each().into_iter();
                Request::Spread(each.map(|slot| Routed { command: ping.clone(), slot }).collect())
            }
        }
    }

    pub(crate) fn statistics(&self) -> RedisStatistics {
        let counters = &self.counters;
        let (mut connections, breaker, breaker_opened, nodes) = match &self.target {
            Target::Server(server) => {
                let Server { pool, breaker } = &**server;
                (pool.statistics(), breaker.state(), breaker.opened(), Vec::new())
            }
            Target::Cluster(nodes) => (nodes.connections(), nodes.state(), nodes.opened(), nodes.statistics()),
        };
        connections.suspected = read(&counters.suspected);
        RedisStatistics {
            faults: counters.faults.each_ref().map(read),
            expired: read(&counters.expired),
            failures: counters.failures.each_ref().map(read),
            unknown_keys: counters.unknown_keys(),
            junk_removed: read(&counters.junk_removed),
            too_large: read(&counters.too_large),
            breaker,
            breaker_opened,
            nodes,
            retries: read(&counters.retries),
            retries_denied: read(&counters.retries_denied),
            out_of_memory: read(&counters.out_of_memory),
            unsealed: read(&counters.unsealed),
            stored_bytes: read(&counters.stored_bytes),
            offloaded: read(&counters.offloaded),
            waits: read(&counters.waits),
            connections,
        }
    }
}

/// What a command said.
fn reply(value: Value) -> Result<Value, Failure> {
    match value {
        Value::ServerError(error) => Err(Failure::of(&error.into())),
        value => Ok(value),
    }
}

impl Operation {
    /// A fill is never worth a second try: the value is loaded again when it is asked for again. And a second try would take twice.
    const fn is_once(self) -> bool {
        matches!(self, Self::Fill | Self::Take)
    }

    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Fill => "fill",
            Self::Remove => "remove",
            Self::Clear => "clear",
            Self::Ping => "ping",
            Self::Take => "take",
        }
    }
}

impl Limits {
    const fn of(&self, operation: Operation) -> Duration {
        match operation {
            Operation::Get | Operation::Ping | Operation::Take => self.get,
            Operation::Fill => self.fill,
            Operation::Remove | Operation::Clear => self.remove,
        }
    }
}
