//! Rate limits that all instances share: GCRA in Redis, by one fixed script.
//!
//! Invariants: several buckets are charged together or not at all; time is that of the Redis server, which everybody shares; what lies there ends when its
//! bucket is full again, and its name is a keyed hash, so that nobody reads there who asks for what. An error says that the quota is not known: never that there
//! is room, and never that there is none.
//!
//! Needs Redis 5 or newer, whose scripts may ask for the time before they write.

mod name;
mod quota;
mod script;

use std::fmt;

use cache_core::{Error, ErrorKind};

use crate::config::RedisConfig;
use crate::connect::Connector;
use crate::core::{self, Core, Operation, Request};
use crate::error::{ConfigError, Failure};
use crate::keyring::Keyring;
use crate::layer::Machine;
use crate::nodes::Routed;
use crate::statistics::RedisStatistics;
use name::Names;
pub use quota::{MAX_BURST, MAX_INSTANCES, MAX_PER_SECOND, Quota, Standing};
use script::{Answer, Form, Script};

/// The most buckets of one question.
pub const MAX_BUCKETS: usize = 8;
/// How errors name it.
const PLACE: &str = "rate limits";
/// All callers share it; a large batch of values has connections of its own.
const CONNECTIONS: u32 = 1;

/// Rate limits in Redis. It has a connection and a breaker of its own.
pub struct RedisLimiter {
    core: Core,
    script: Script,
    names: Names,
}

/// What is asked of one bucket.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// Tells this bucket from all others. Each stands once among the charges of a question.
    pub bucket: &'a [u8],
    /// What it holds.
    pub quota: Quota,
    /// How many units.
    pub units: u32,
}

/// The answer for all buckets of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Whether all of them had room. Else nothing was taken of any.
    pub allowed: bool,
    /// Where each stands, in their order.
    pub standings: Vec<Standing>,
    /// When that was, by the clock of the server, in microseconds since 1970.
    pub server_time_us: u64,
}

#[derive(Clone, Copy)]
enum Direction {
    Take,
    GiveBack,
}

impl RedisLimiter {
    /// A limiter, by the settings of a Redis tier; a question may take as long as a look-up there. Nothing is sent yet: Redis may be down, and is found when
    /// it is there. Instances share their limits where they share the master key.
    ///
    /// # Errors
    /// Where a setting is out of its bounds, or a certificate can't be used.
    pub fn new(config: &RedisConfig, keyring: &Keyring, machine: Machine) -> Result<Self, ConfigError> {
        let config = RedisConfig { connections: CONNECTIONS, ..config.clone() };
        let Machine { clock, wall: _, entropy, randomness: _ } = machine;
        let core = Core::new(Connector::new(&config)?, &config, clock, entropy)?;
        Ok(Self { core, script: Script::new(), names: Names::new(&config.namespace, keyring) })
    }

    /// Takes from all of these buckets, or from none: one round trip, or as many at the same time as there are buckets where Redis is a cluster.
    ///
    /// # Errors
    /// Where Redis did not answer in time, or not as it should. Whether something was taken is not known then.
    pub async fn take(&self, charges: &[Charge<'_>]) -> Result<Taken, Error> {
        if charges.is_empty() || charges.len() > MAX_BUCKETS {
            let message = format!("{} buckets were asked for; there are 1 to {MAX_BUCKETS}", charges.len());
            return Err(Error::new(ErrorKind::Unsupported, PLACE, Operation::Take.verb(), message));
        }
        let taken =
            if self.core.is_cluster { self.take_apart(charges).await } else { self.take_together(charges).await };
        taken.map_err(|failure| failure.into_error(PLACE, Operation::Take.verb(), &self.core.address))
    }

    /// What the limiter counted.
    #[must_use]
    pub fn statistics(&self) -> RedisStatistics {
        self.core.statistics()
    }

    async fn take_together(&self, charges: &[Charge<'_>]) -> Result<Taken, Failure> {
        let mut answers = self.ask(&[charges], Direction::Take).await?;
        let answer = answers.pop().ok_or(Failure::Protocol)??;
        Ok(answer.about(charges))
    }

    /// The keys of a cluster lie on several nodes, where nothing is done together: each bucket is asked by itself, and what was taken is given back where another had no
    /// room. In between, others may be refused what they could have had; nobody gets more than there is.
    async fn take_apart(&self, charges: &[Charge<'_>]) -> Result<Taken, Failure> {
        let each: Vec<&[Charge<'_>]> = charges.chunks(1).collect();
        let answers = self.ask(&each, Direction::Take).await?;
        let allowed = answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.allowed));
        if !allowed {
            let taken = |answer: &Result<Answer, Failure>| answer.as_ref().is_ok_and(|answer| answer.allowed);
            let taken = each.iter().zip(&answers).filter(|(_, answer)| taken(answer)).map(|(charges, _)| *charges);
            let taken: Vec<_> = taken.collect();
            if !taken.is_empty() {
                // What could not be given back comes back with time.
                let _ = self.ask(&taken, Direction::GiveBack).await;
            }
        }
        let answers: Vec<Answer> = answers.into_iter().collect::<Result<_, _>>()?;
        let together = Answer {
            allowed,
            server_time_us: answers.iter().map(|answer| answer.server_time_us).max().unwrap_or_default(),
            backlogs_us: answers.into_iter().flat_map(|answer| answer.backlogs_us).collect(),
        };
        Ok(together.about(charges))
    }

    /// Runs the script once for each group of charges. A server that does not know it, because it is new or was started again, learns it by being sent the
    /// whole text; it has then done nothing yet, so that nothing is done twice.
    async fn ask(
        &self,
        groups: &[&[Charge<'_>]],
        direction: Direction,
    ) -> Result<Vec<Result<Answer, Failure>>, Failure> {
        let mut answers = self.run(groups, direction, Form::Hash).await?;
        let unknown: Vec<usize> = (0..answers.len()).filter(|at| is_unknown(&answers[*at])).collect();
        if !unknown.is_empty() {
            let groups: Vec<&[Charge<'_>]> = unknown.iter().map(|at| groups[*at]).collect();
            for (at, answer) in unknown.into_iter().zip(self.run(&groups, direction, Form::Text).await?) {
                answers[at] = answer;
            }
        }
        Ok(answers)
    }

    async fn run(
        &self,
        groups: &[&[Charge<'_>]],
        direction: Direction,
        form: Form,
    ) -> Result<Vec<Result<Answer, Failure>>, Failure> {
        let mut commands: Vec<_> = groups.iter().map(|charges| self.command(charges, direction, form)).collect();
        let request = match self.core.is_cluster {
            false => Request::One(commands.remove(0)),
            true => {
                // Each group is one charge, whose bucket says which node is asked.
                let name =
                    |charges: &&[Charge<'_>]| charges.first().map_or_else(String::new, |one| self.names.of(one.bucket));
                let routed =
                    commands.into_iter().zip(groups).map(|(command, group)| Routed::new(command, &name(group)));
                Request::Spread(routed.collect())
            }
        };
        let core::Answer { replies, line, others } = match self.core.run(Operation::Take, request).await {
            Ok(answer) => answer,
            Err(unknown) if unknown.is_unknown_script() => return Ok(vec![Err(unknown)]),
            Err(failure) => return Err(failure),
        };
        let read = |(reply, charges): (Result<_, _>, &&[Charge<'_>])| {
            let answer = Answer::read(&reply?, charges);
            // Something else answered, or answers got out of step: every further one would be another's.
            answer
                .ok_or(Failure::Protocol)
                .inspect_err(|_| std::iter::once(&line).chain(&others).for_each(|line| line.condemn()))
        };
        Ok(replies.into_iter().zip(groups).map(read).collect())
    }

    fn command(&self, charges: &[Charge<'_>], direction: Direction, form: Form) -> redis::Cmd {
        let names: Vec<String> = charges.iter().map(|charge| self.names.of(charge.bucket)).collect();
        let mut command = self.script.command(form, &names);
        for Charge { bucket: _, quota, units } in charges {
            let cost_us = quota.cost_us(*units).cast_signed();
            let cost_us = match direction {
                Direction::Take => cost_us,
                Direction::GiveBack => -cost_us,
            };
            command.arg(cost_us).arg(quota.capacity_us());
        }
        command
    }
}

fn is_unknown(answer: &Result<Answer, Failure>) -> bool {
    answer.as_ref().is_err_and(Failure::is_unknown_script)
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisLimiter({})", self.core.address)
    }
}
