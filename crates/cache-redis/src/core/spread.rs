//! Commands for a cluster: those of each node go there together, all at once, and each has an answer or a failure of its own.
//!
//! Every node has its breaker, and the verdict on it falls when its own answers are there, not when the slowest node has given up: so a node that
//! is slow makes no other one look slow. What a node does not answer in time fails for its own keys. A node that sends us to another one is
//! followed once, within the same limit of time.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use redis::aio::ConnectionLike as _;
use redis::{Pipeline, RedisError, Value};

use super::{Answer, Core, Operation, reply};
use crate::breaker::Permit;
use crate::error::Failure;
use crate::nodes::{Node, Nodes, Routed};
use crate::pool::Line;
use crate::statistics::count;

/// What one node is asked.
struct Part {
    node: Arc<Node>,
    pipeline: Pipeline,
    /// Where its answers belong.
    places: Vec<usize>,
    /// The connection that was used last.
    line: Mutex<Option<Arc<Line>>>,
}

/// A command that a node did not carry out because another one should.
struct Redirect {
    /// Its place within its part.
    at: usize,
    address: String,
    /// For this once, and only if the other one is told so.
    is_ask: bool,
}

type Replies = Vec<Result<Value, Failure>>;

impl Core {
    pub(super) async fn spread(
        &self,
        nodes: &Arc<Nodes>,
        limit: Duration,
        operation: Operation,
        commands: Vec<Routed>,
    ) -> Result<Answer, Failure> {
        let mut over = pin!(tokio::time::sleep(limit));
        let slots = match nodes.known() {
            Some(slots) => slots,
            None => {
                let permit = nodes.any().permit().ok_or(Failure::BreakerOpen)?;
                let slots = tokio::select! {
                    slots = nodes.wait() => slots,
                    () = &mut over => Err(nodes.unreachable()),
                };
                self.settle(permit, slots.as_ref().err());
                slots?
            }
        };
        let slots_of: Vec<u16> = commands.iter().map(|command| command.slot).collect();
        let mut replies: Vec<Option<Result<Value, Failure>>> = commands.iter().map(|_| None).collect();
        let mut parts: Vec<Part> = Vec::new();
        for (at, Routed { command, slot }) in commands.into_iter().enumerate() {
            let Some(node) = slots.node(slot) else {
                replies[at] = Some(Err(Failure::ClusterDown("no node has its slot")));
                continue;
            };
            let place = parts.iter().position(|part| Arc::ptr_eq(&part.node, node)).unwrap_or_else(|| {
                let (node, pipeline) = (Arc::clone(node), Pipeline::new());
                parts.push(Part { node, pipeline, places: Vec::new(), line: Mutex::default() });
                parts.len() - 1
            });
            parts[place].places.push(at);
            parts[place].pipeline.add_command(command);
        }
        // The turn comes first: what is waited for it here must not make a node look slow.
        let _turn = self.turn().await?;
        let mut permits: Vec<_> = parts.iter().map(|part| part.node.breaker.permit()).collect();
        if !parts.is_empty() && permits.iter().all(Option::is_none) {
            return Err(Failure::BreakerOpen);
        }
        let asked: Vec<usize> = (0..parts.len()).filter(|at| permits[*at].is_some()).collect();
        let mut under_way: FuturesUnordered<_> = asked
            .into_iter()
            .map(|at| {
                let (part, slots_of) = (&parts[at], &slots_of);
                async move { (at, self.ask_part(nodes, operation, part, slots_of).await) }
            })
            .collect();
        let mut answers: Vec<Option<Replies>> = parts.iter().map(|_| None).collect();
        loop {
            tokio::select! {
                biased;
                answered = under_way.next() => match answered {
                    Some((at, said)) => {
                        self.judge_part(&parts[at], permits[at].take(), &said);
                        answers[at] = Some(said);
                    }
                    None => break,
                },
                () = &mut over => break,
            }
        }
        drop(under_way);
        for ((part, permit), said) in parts.iter().zip(permits).zip(answers) {
            let said = said.unwrap_or_else(|| {
                let failure = match (&permit, part.line()) {
                    (None, _) => Failure::BreakerOpen,
                    (Some(_), Some(_)) => Failure::Timeout(limit),
                    // Without a connection there was nobody to be silent: why there is none says more.
                    (Some(_), None) => part.node.pool.unreachable(),
                };
                let said = part.places.iter().map(|_| Err(failure.clone())).collect();
                self.judge_part(part, permit, &said);
                said
            });
            for (place, answer) in part.places.iter().zip(said) {
                replies[*place] = Some(answer);
            }
        }
        let replies: Replies = replies.into_iter().flatten().collect();
        nodes.ask_if_due(replies.iter().any(Result::is_err));
        let mut lines = parts.iter().filter_map(Part::line);
        let Some(line) = lines.next() else {
            return Err(replies.into_iter().find_map(Result::err).unwrap_or(Failure::Protocol));
        };
        // One for each node; where all fail, whoever called counts the whole.
        for part in &parts {
            let failure = part.places.iter().find_map(|place| replies[*place].as_ref().err());
            failure.into_iter().for_each(|failure| self.counters.failed(failure));
        }
        Ok(Answer { replies, line, others: lines.collect() })
    }

    /// Tells a node's breaker and its connection how it went.
    fn judge_part(&self, part: &Part, permit: Option<Permit<'_>>, said: &Replies) {
        let failures = || said.iter().filter_map(|answer| answer.as_ref().err());
        let failure = failures().find(|failure| failure.counts_against_redis()).or_else(|| failures().next());
        if let Some(permit) = permit {
            self.settle(permit, failure);
            if let Some(line) = part.line() {
                self.judge(&line, failure);
            }
        }
    }

    async fn ask_part(&self, nodes: &Arc<Nodes>, operation: Operation, part: &Part, slots_of: &[u16]) -> Replies {
        self.budget.earn();
        let (mut said, mut redirects) = self.ask_once(part).await;
        let failure = said.iter().find_map(|answer| answer.as_ref().err()).cloned();
        if let Some(failure) = failure.filter(|failure| !operation.is_once() && failure.deserves_a_retry()) {
            if self.budget.spend() {
                count(&self.counters.retries);
                if let Some(line) = part.line() {
                    self.judge(&line, Some(&failure));
                }
                (said, redirects) = self.ask_once(part).await;
            } else {
                count(&self.counters.retries_denied);
            }
        }
        let followed = redirects.iter().map(|redirect| self.follow(nodes, part, redirect, slots_of));
        for (redirect, answer) in redirects.iter().zip(join_all(followed).await) {
            said[redirect.at] = answer;
        }
        said
    }

    /// One round trip to a node, and who is to be followed after it.
    async fn ask_once(&self, part: &Part) -> (Replies, Vec<Redirect>) {
        let all = |failure: Failure| part.places.iter().map(|_| Err(failure.clone())).collect();
        let line = match part.node.pool.line(self.busy()).await {
            Ok(line) => line,
            Err(failure) => return (all(failure), Vec::new()),
        };
        let mut link = line.link.clone();
        *part.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
        let values = match link.req_packed_commands(&part.pipeline, 0, part.places.len()).await {
            Ok(values) if values.len() == part.places.len() => values,
            Ok(_) => return (all(Failure::Protocol), Vec::new()),
            Err(error) => return (all(Failure::of(&error)), Vec::new()),
        };
        let mut redirects = Vec::new();
        let said = values.into_iter().enumerate().map(|(at, value)| match value {
            Value::ServerError(error) => {
                let error = RedisError::from(error);
                let failure = Failure::of(&error);
                if let Some((address, _)) = error.redirect_node() {
                    let is_ask = failure == Failure::Redirected("ASK");
                    redirects.push(Redirect { at, address: address.to_owned(), is_ask });
                }
                Err(failure)
            }
            value => Ok(value),
        });
        (said.collect(), redirects)
    }

    /// Sends a command to the node that another one named.
    async fn follow(
        &self,
        nodes: &Arc<Nodes>,
        part: &Part,
        redirect: &Redirect,
        slots_of: &[u16],
    ) -> Result<Value, Failure> {
        let Redirect { at, address, is_ask } = redirect;
        let node = match is_ask {
            true => nodes.at(address),
            false => nodes.moved(slots_of[part.places[*at]], address),
        };
        let node = node.ok_or(Failure::Redirected("to an address that is none"))?;
        let mut link = node.pool.line(self.busy()).await?.link.clone();
        let command = part.pipeline.cmd_iter().nth(*at).cloned().ok_or(Failure::Protocol)?;
        let mut pipeline = Pipeline::with_capacity(2);
        if *is_ask {
            pipeline.cmd("ASKING");
        }
        pipeline.add_command(command);
        let sent = 1 + usize::from(*is_ask);
        let mut values = link.req_packed_commands(&pipeline, 0, sent).await.map_err(|error| Failure::of(&error))?;
        values.pop().ok_or(Failure::Protocol).and_then(reply)
    }
}

impl Part {
    fn line(&self) -> Option<Arc<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
