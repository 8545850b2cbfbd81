//! The commands that the tier sends, which are all that its ACL user must be allowed: GET, MGET, GETEX, SET, UNLINK and PING.
//!
//! No KEYS, no SCAN, no script. Each request is one round trip; in a cluster one to each node that holds a key.

use redis::{Cmd, Pipeline, Value};

use crate::core::Request;
use crate::error::Failure;
use crate::name::Names;
use crate::nodes::Routed;

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

impl Write {
    fn name(&self) -> &str {
        match self {
            Self::Set { name, .. } | Self::Unlink { name } => name,
        }
    }
}

/// Reads the mark of a generation, and keeps it for as long as it is read.
pub(crate) struct ReadMark<'a> {
    pub(crate) name: &'a str,
    pub(crate) life_ms: u64,
}

/// Asks for the values of names; with the mark before them, where it is due. In a cluster it is read by itself.
pub(crate) fn get(names: &Names, mark: Option<&ReadMark<'_>>, is_cluster: bool) -> Request {
    if is_cluster {
        return spread("GET", names.iter());
    }
    let values = match names.iter().next() {
        Some(name) if names.len() == 1 => command("GET", name),
        _ => one_for_all("MGET", names),
    };
    match mark {
        None => Request::One(values),
        Some(mark) => pipeline(vec![read_mark(mark), values]),
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

/// Asks for the values of names, each by a command of its own.
pub(crate) fn get_one_by_one<'a>(names: impl Iterator<Item = &'a str>, is_cluster: bool) -> Request {
    match is_cluster {
        true => spread("GET", names),
        false => pipeline(names.map(|name| command("GET", name)).collect()),
    }
}

/// Stores values.
pub(crate) fn write(writes: &[Write], is_cluster: bool) -> Request {
    let write = |write: &Write| match write {
        Write::Set { name, bytes, life_ms } => {
            let mut set = Cmd::with_capacity(5, name.len() + bytes.len() + 32);
            set.arg("SET").arg(name).arg(bytes.as_slice()).arg("PX").arg(*life_ms);
            set
        }
        Write::Unlink { name } => command("UNLINK", name),
    };
    match is_cluster {
        true => Request::Spread(writes.iter().map(|one| Routed::new(write(one), one.name())).collect()),
        false => pipeline(writes.iter().map(write).collect()),
    }
}

/// Forgets names.
pub(crate) fn unlink(names: &Names, is_cluster: bool) -> Request {
    match is_cluster {
        true => spread("UNLINK", names.iter()),
        false => Request::One(one_for_all("UNLINK", names)),
    }
}

/// Forgets names that are no batch of their own.
pub(crate) fn unlink_each<'a>(names: impl Iterator<Item = &'a str>, is_cluster: bool) -> Request {
    match is_cluster {
        true => spread("UNLINK", names),
        false => pipeline(names.map(|name| command("UNLINK", name)).collect()),
    }
}

/// Reads the mark of a generation.
pub(crate) fn get_mark(mark: &ReadMark<'_>, is_cluster: bool) -> Request {
    alone(read_mark(mark), mark.name, is_cluster)
}

/// Sets the mark of a generation.
pub(crate) fn set_mark(name: &str, generation: u64, life_ms: u64, is_cluster: bool) -> Request {
    let mut set = command("SET", name);
    set.arg(&generation.to_le_bytes()).arg("PX").arg(life_ms);
    alone(set, name, is_cluster)
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

fn read_mark(mark: &ReadMark<'_>) -> Cmd {
    let mut read = command("GETEX", mark.name);
    read.arg("PX").arg(mark.life_ms);
    read
}

fn one_for_all(verb: &str, names: &Names) -> Cmd {
    let mut command = Cmd::with_capacity(names.len() + 1, names.bytes() + verb.len());
    command.arg(verb);
    names.iter().for_each(|name| {
        command.arg(name);
    });
    command
}

fn spread<'a>(verb: &str, names: impl Iterator<Item = &'a str>) -> Request {
    Request::Spread(names.map(|name| Routed::new(command(verb, name), name)).collect())
}

fn alone(command: Cmd, name: &str, is_cluster: bool) -> Request {
    match is_cluster {
        true => Request::Spread(vec![Routed::new(command, name)]),
        false => Request::One(command),
    }
}

fn pipeline(mut commands: Vec<Cmd>) -> Request {
    let count = commands.len();
    if count == 1 {
        return Request::One(commands.remove(0));
    }
    let mut pipeline = Pipeline::with_capacity(count);
    for command in commands {
        pipeline.add_command(command);
    }
    Request::Pipeline(pipeline, count)
}
