//! The commands that the tier sends, which are all that its ACL user must be allowed: GET, MGET, GETEX, SET, UNLINK and PING.
//!
//! No KEYS, no SCAN, no script. Each request is one round trip; in a cluster one to each node that holds a key.

use redis::{Cmd, Pipeline, Value};

use crate::core::Request;
use crate::error::Failure;
use crate::name::Names;

/// What of one fill is sent.
pub(crate) enum Write {
    Set {
        name: String,
        bytes: Vec<u8>,
        life_ms: u64,
    },
    /// What was there before is older than what was refused.
    Unlink {
        name: String,
    },
}

/// Reads the mark of a generation, and keeps it for as long as it is read.
pub(crate) struct ReadMark<'a> {
    pub(crate) name: &'a str,
    pub(crate) life_ms: u64,
}

/// Asks for the values of names; with the mark before them, where it is due.
pub(crate) fn get(names: &Names, mark: Option<&ReadMark<'_>>, is_cluster: bool) -> Request {
    let one = |name: &str| command("GET", name);
    let mark = mark.map(|mark| {
        let mut command = command("GETEX", mark.name);
        command.arg("PX").arg(mark.life_ms);
        command
    });
    if is_cluster {
        return Request::Spread(mark.into_iter().chain(names.iter().map(one)).collect());
    }
    let values = match names.iter().next() {
        Some(name) if names.len() == 1 => one(name),
        _ => one_for_all("MGET", names),
    };
    match mark {
        None => Request::One(values),
        Some(mark) => pipeline(vec![mark, values]),
    }
}

/// Asks for the values of names that are no batch of their own.
pub(crate) fn get_each<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Request {
    let verb = if names.len() == 1 { "GET" } else { "MGET" };
    let mut get = Cmd::new();
    get.arg(verb);
    names.for_each(|name| {
        get.arg(name);
    });
    Request::One(get)
}

/// Stores values.
pub(crate) fn write(writes: &[Write], is_cluster: bool) -> Request {
    let commands = writes.iter().map(|write| match write {
        Write::Set { name, bytes, life_ms } => {
            let mut set = Cmd::with_capacity(5, name.len() + bytes.len() + 32);
            set.arg("SET").arg(name).arg(bytes.as_slice()).arg("PX").arg(*life_ms);
            set
        }
        Write::Unlink { name } => command("UNLINK", name),
    });
    several(commands.collect(), is_cluster)
}

/// Forgets names.
pub(crate) fn unlink(names: &Names, is_cluster: bool) -> Request {
    match is_cluster {
        true => several(names.iter().map(|name| command("UNLINK", name)).collect(), true),
        false => Request::One(one_for_all("UNLINK", names)),
    }
}

/// Forgets names that are no batch of their own.
pub(crate) fn unlink_each<'a>(names: impl Iterator<Item = &'a str>, is_cluster: bool) -> Request {
    several(names.map(|name| command("UNLINK", name)).collect(), is_cluster)
}

/// Sets the mark of a generation.
pub(crate) fn set_mark(name: &str, generation: u64, life_ms: u64) -> Request {
    let mut set = command("SET", name);
    set.arg(&generation.to_le_bytes()).arg("PX").arg(life_ms);
    Request::One(set)
}

/// Asks whether somebody is there.
pub(crate) fn ping() -> Request {
    let mut ping = Cmd::new();
    ping.arg("PING");
    Request::One(ping)
}

/// The bytes of one reply.
pub(crate) fn bytes(value: Value) -> Result<Option<Vec<u8>>, Failure> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        // A status or a number is no answer to a GET: it is another's.
        _ => Err(Failure::Protocol),
    }
}

/// The bytes of the replies to [`get`] without its mark, in the order of the names.
pub(crate) fn values(replies: Vec<Result<Value, Failure>>, names: usize) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    let flat: Vec<Option<Vec<u8>>> = match (replies.len(), names) {
        (1, names) if names != 1 => match replies.into_iter().next() {
            Some(Ok(Value::Array(values))) => values.into_iter().map(bytes).collect::<Result<_, _>>()?,
            Some(Ok(_)) | None => return Err(Failure::Protocol),
            Some(Err(failure)) => return Err(failure),
        },
        _ => replies.into_iter().map(|reply| reply.and_then(bytes)).collect::<Result<_, _>>()?,
    };
    if flat.len() == names { Ok(flat) } else { Err(Failure::Protocol) }
}

fn command(verb: &str, name: &str) -> Cmd {
    let mut command = Cmd::with_capacity(2, verb.len() + name.len());
    command.arg(verb).arg(name);
    command
}

fn one_for_all(verb: &str, names: &Names) -> Cmd {
    let mut command = Cmd::with_capacity(names.len() + 1, names.bytes() + verb.len());
    command.arg(verb);
    names.iter().for_each(|name| {
        command.arg(name);
    });
    command
}

fn several(mut commands: Vec<Cmd>, is_cluster: bool) -> Request {
    match (commands.len(), is_cluster) {
        (1, _) => Request::One(commands.remove(0)),
        (_, true) => Request::Spread(commands),
        (_, false) => pipeline(commands),
    }
}

fn pipeline(commands: Vec<Cmd>) -> Request {
    let count = commands.len();
    let mut pipeline = Pipeline::with_capacity(count);
    for command in commands {
        pipeline.add_command(command);
    }
    Request::Pipeline(pipeline, count)
}
