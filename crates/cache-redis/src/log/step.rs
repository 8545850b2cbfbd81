//! What is asked of Redis: one fixed script for everything that must be atomic, and plain reads of the stream.

use std::sync::LazyLock;
use std::time::Duration;

use cache_core::{Identity, Kill, Revision};
use redis::aio::ConnectionLike;
use redis::streams::{StreamRangeReply, StreamReadReply};
use redis::{Cmd, ErrorKind, RedisError, Script, ServerErrorKind, cmd};

use super::id;
use super::record::Record;
use crate::error::Failure;

/// By how many milliseconds the ids of a new epoch run ahead of the server's clock. Ids that the lost history gave are lower as long as the
/// clocks of two primaries differ by less.
pub(super) const LEAP_MS: u64 = 10_000;
/// Records of one read.
pub(super) const PAGE: usize = 512;

/// The source of the script, and the name by which Redis knows it once it has seen it.
const SOURCE: &str = include_str!("step.lua");
static NAME: LazyLock<String> = LazyLock::new(|| Script::new(SOURCE).get_hash().to_owned());

/// The names of the log in Redis.
#[derive(Clone, Debug)]
pub(super) struct Names {
    stream: String,
    about: String,
}

impl Names {
    /// The names of a log in a namespace. The braces keep the two in one slot of a cluster.
    pub(super) fn new(namespace: &str, log: &str) -> Self {
        let stream = format!("{namespace}:{{{log}}}");
        Self { about: format!("{stream}:epoch"), stream }
    }
}

/// One step of the log: see `step.lua`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    /// What is wanted.
    pub(super) operation: Operation<'a>,
    /// The epoch that the caller is in.
    pub(super) epoch: Option<Identity>,
    /// The highest revision that the caller has seen in it.
    pub(super) known: Revision,
    /// A new record comes above this.
    pub(super) above: Revision,
    /// How many records the stream retains.
    pub(super) retained: usize,
}

/// What a step is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation<'a> {
    /// To see whether it is still the same log.
    Look,
    /// To append a record: what it kills, encoded.
    Append(&'a [u8]),
    /// To end the caller's epoch, of which records were lost.
    Begin,
}

/// What a step says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    /// The epoch.
    pub(super) epoch: Identity,
    /// The last record; the appended one, if one was.
    pub(super) last: Revision,
    /// The server's time.
    pub(super) server_ms: u64,
}

impl Step<'_> {
    /// Takes the step.
    pub(super) async fn take(&self, names: &Names, link: &mut impl ConnectionLike) -> Result<Answer, Failure> {
        let candidate = Identity::random().map_err(|error| Failure::Server(format!("no randomness: {error}")))?;
        let found: Result<Found, RedisError> =
            match self.command("EVALSHA", &NAME, names, candidate).query_async(link).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    // The server has not seen it, or was told to forget it. The source goes where the key lies, and nowhere else.
                    self.command("EVAL", SOURCE, names, candidate).query_async(link).await
                }
                other => other,
            };
        let (epoch, last, server_ms) = found.map_err(|error| Failure::of(&error))?;
        let answer = || {
            Some(Answer {
                epoch: Identity(epoch.as_slice().try_into().ok()?),
                last: id::parse(&last)?,
                server_ms: server_ms.parse().ok()?,
            })
        };
        answer().ok_or(Failure::Protocol)
    }

    fn command(&self, verb: &str, script: &str, names: &Names, candidate: Identity) -> Cmd {
        let (operation, kills) = match self.operation {
            Operation::Look => ("look", &[][..]),
            Operation::Append(kills) => ("append", kills),
            Operation::Begin => ("begin", &[][..]),
        };
        let mut command = cmd(verb);
        command.arg(script).arg(2).arg(&names.stream).arg(&names.about).arg(operation).arg(&candidate.0);
        command.arg(self.epoch.as_ref().map_or(&[][..], |epoch| &epoch.0));
        command.arg(id::text(self.known)).arg(id::text(self.above)).arg(self.retained);
        command.arg(kills).arg(Kill::encode_all(&[Kill::All]));
        command.arg(LEAP_MS).arg(id::MAX_MILLISECOND).arg(id::MAX_SEQUENCE);
        command
    }
}

type Found = (Vec<u8>, String, String);

/// The records after a revision, at most [`PAGE`]; none of them where one has an id that can't be one.
pub(super) async fn page(
    names: &Names,
    link: &mut impl ConnectionLike,
    after: Revision,
) -> Result<Option<Vec<Record>>, Failure> {
    let mut command = cmd("XRANGE");
    command.arg(&names.stream).arg(format!("({}", id::text(after))).arg("+").arg("COUNT").arg(PAGE);
    let found: StreamRangeReply = command.query_async(link).await.map_err(|error| Failure::of(&error))?;
    Ok(found.ids.iter().map(Record::read).collect())
}

/// The records after a revision, as soon as there are any, or none of them when `patience` is over. Blocks the connection meanwhile.
pub(super) async fn tail(
    names: &Names,
    link: &mut impl ConnectionLike,
    after: Revision,
    patience: Duration,
) -> Result<Option<Vec<Record>>, Failure> {
    let mut command = cmd("XREAD");
    command.arg("COUNT").arg(PAGE).arg("BLOCK").arg(patience.as_millis().max(1) as u64);
    command.arg("STREAMS").arg(&names.stream).arg(id::text(after));
    let found: Option<StreamReadReply> = command.query_async(link).await.map_err(|error| Failure::of(&error))?;
    Ok(found.unwrap_or_default().keys.iter().flat_map(|key| &key.ids).map(Record::read).collect())
}
