//! Commands for a cluster: each goes to the node of its key, all at once, and each has an answer or a failure of its own.
//!
//! Every node has its breaker, and the verdict on it falls when its last answer is there, not when the slowest node has given up: so a node that
//! is slow makes no other one look slow. What a node does not answer in time fails for its own keys.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use redis::aio::ConnectionLike as _;
use tokio::time::timeout;

use super::{Answer, Core, Operation, reply};
use crate::breaker::Permit;
use crate::connect::Link;
use crate::error::Failure;
use crate::nodes::Routed;
use crate::pool::Line;
use crate::statistics::count;

/// What became of commands so far.
struct Spread<'a> {
    core: &'a Core,
    replies: Vec<Option<Result<Value, Failure>>>,
    /// The part of each command.
    part_of: Vec<usize>,
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    /// None once there was a verdict, and where it was not let through.
    permit: Option<Permit<'a>>,
    places: &'a [usize],
    missing: usize,
}

impl Core {
    pub(super) async fn spread(
        &self,
        limit: Duration,
        operation: Operation,
        commands: &[Routed],
    ) -> Result<Answer, Failure> {
        let parts = self.nodes.parts(commands);
        let mut spread = Spread {
            core: self,
            replies: commands.iter().map(|_| None).collect(),
            part_of: vec![0; commands.len()],
            parts: Vec::with_capacity(parts.len()),
        };
        let mut asked = Vec::with_capacity(commands.len());
        for (breaker, places) in &parts {
            let permit = breaker.permit();
            for at in places {
                spread.part_of[*at] = spread.parts.len();
            }
            match &permit {
                Some(_) => asked.extend(places),
                None => places.iter().for_each(|at| spread.replies[*at] = Some(Err(Failure::BreakerOpen))),
            }
            spread.parts.push(Part { permit, places, missing: places.len() });
        }
        if asked.is_empty() {
            return Err(Failure::BreakerOpen);
        }
        let _turn = self.turn().await?;
        let mut line: Option<Arc<Line>> = None;
        let work = async {
            self.budget.earn();
            let used = line.insert(self.pool.line(self.busy()).await?);
            spread.ask(&used.link, commands, &asked).await;
            let again = spread.to_ask_again(operation);
            if again.is_empty() {
                return Ok(());
            }
            if !self.budget.spend() {
                count(&self.counters.retries_denied);
                return Ok(());
            }
            count(&self.counters.retries);
            let used = line.insert(self.pool.line(self.busy()).await?);
            spread.ask(&used.link, commands, &again).await;
            Ok(())
        };
        let ended = timeout(limit, work).await;
        // Without a connection there was nobody to be silent: why there is none says more.
        let failure = match (ended, &line) {
            (Ok(Ok(())), _) => Failure::Protocol,
            (Ok(Err(failure)), _) => failure,
            (Err(_), Some(_)) => Failure::Timeout(limit),
            (Err(_), None) => self.pool.unreachable(),
        };
        let replies = spread.end(&failure);
        let line = line.ok_or(failure)?;
        self.judge_all(&line, &replies);
        if self.nodes.is_due(replies.iter().any(Result::is_err)) {
            tokio::spawn(Arc::clone(&self.nodes).ask(line.link.clone()));
        }
        Ok(Answer { replies, line })
    }

    /// One connection to a cluster is one to each node, and makes those anew by itself: a node that is gone must not cost the others theirs.
    fn judge_all(&self, line: &Line, replies: &[Result<Value, Failure>]) {
        if replies.iter().any(|reply| matches!(reply, Err(Failure::Protocol))) {
            line.condemn();
        } else if replies.iter().any(|reply| !reply.as_ref().is_err_and(Failure::is_silence)) {
            line.answered();
        } else {
            line.was_silent();
        }
    }
}

impl Spread<'_> {
    /// Sends some of the commands, and takes what comes. Given up, it leaves what has come until then.
    async fn ask(&mut self, link: &Link, commands: &[Routed], places: &[usize]) {
        let mut under_way: FuturesUnordered<_> = places
            .iter()
            .map(|at| {
                let (mut link, command) = (link.clone(), &commands[*at].command);
                async move { (*at, link.req_packed_command(command).await) }
            })
            .collect();
        while let Some((at, answer)) = under_way.next().await {
            let answer = answer.map_err(|error| Failure::of(&error)).and_then(reply);
            if self.replies[at].replace(answer).is_none() {
                let part = self.part_of[at];
                self.parts[part].missing -= 1;
                self.judge_part(part, Failure::deserves_a_retry);
            }
        }
    }

    /// The verdict on a node that has answered everything, unless there is more to come.
    fn judge_part(&mut self, part: usize, is_open: impl Fn(&Failure) -> bool) {
        let Part { permit, places, missing } = &mut self.parts[part];
        let failures = || places.iter().filter_map(|at| self.replies[*at].as_ref()?.as_ref().err());
        if *missing > 0 || failures().any(is_open) {
            return;
        }
        if let Some(permit) = permit.take() {
            let failure = failures().find(|failure| failure.counts_against_redis()).or_else(|| failures().next());
            if let Some(failure) = failure {
                self.core.counters.failed(failure);
            }
            self.core.settle(permit, failure);
        }
    }

    fn to_ask_again(&self, operation: Operation) -> Vec<usize> {
        if operation.is_once() {
            return Vec::new();
        }
        let deserves =
            |reply: &Option<Result<Value, Failure>>| matches!(reply, Some(Err(why)) if why.deserves_a_retry());
        (0..self.replies.len()).filter(|at| deserves(&self.replies[*at])).collect()
    }

    /// The answers; what is missing failed in this way.
    fn end(mut self, failure: &Failure) -> Vec<Result<Value, Failure>> {
        for reply in self.replies.iter_mut().filter(|reply| reply.is_none()) {
            *reply = Some(Err(failure.clone()));
        }
        for part in 0..self.parts.len() {
            self.parts[part].missing = 0;
            if self.parts[part].permit.is_none()
                && let Some(Some(Err(Failure::BreakerOpen))) =
                    self.parts[part].places.first().map(|at| &self.replies[*at])
            {
                self.core.counters.failed(&Failure::BreakerOpen);
            }
            self.judge_part(part, |_| false);
        }
        self.replies.into_iter().flatten().collect()
    }
}
