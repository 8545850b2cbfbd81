//! The script, and the answers that it can give.

use redis::{Cmd, Value};

use super::{Charge, Taken};

const TEXT: &str = include_str!("gcra.lua");

/// The one script.
pub(super) struct Script {
    hash: String,
}

/// How a server is told which script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// By its hash.
    Hash,
    /// By its text, which it knows by its hash from then on.
    Text,
}

/// What the script said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) allowed: bool,
    pub(super) server_time_us: u64,
    /// Of each bucket, before.
    pub(super) backlogs_us: Vec<u64>,
}

impl Script {
    pub(super) fn new() -> Self {
        Self { hash: redis::Script::new(TEXT).get_hash().to_owned() }
    }

    /// The command up to the script's arguments.
    pub(super) fn command(&self, form: Form, names: &[String]) -> Cmd {
        let mut command = Cmd::new();
        match form {
            Form::Hash => command.arg("EVALSHA").arg(&self.hash),
            Form::Text => command.arg("EVAL").arg(TEXT),
        };
        command.arg(names.len()).arg(names);
        command
    }
}

impl Answer {
    /// None for what the script can't have said about these charges.
    pub(super) fn read(value: &Value, charges: &[Charge<'_>]) -> Option<Self> {
        let Value::Array(values) = value else { return None };
        let [allowed, server_time, backlogs @ ..] = values.as_slice() else { return None };
        if backlogs.len() != charges.len() {
            return None;
        }
        let number = |value: &Value| match value {
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        let backlog = |(value, charge): (&Value, &Charge<'_>)| {
            number(value).filter(|backlog_us| *backlog_us <= charge.quota.capacity_us())
        };
        Some(Self {
            allowed: match number(allowed)? {
                0 => false,
                1 => true,
                _ => return None,
            },
            server_time_us: number(server_time)?,
            backlogs_us: backlogs.iter().zip(charges).map(backlog).collect::<Option<_>>()?,
        })
    }

    /// What it means for the buckets that were asked.
    pub(super) fn about(&self, charges: &[Charge<'_>]) -> Taken {
        let Self { allowed, server_time_us, backlogs_us } = self;
        let buckets = charges.iter().zip(backlogs_us);
        Taken {
            allowed: *allowed,
            standings: buckets.map(|(charge, us)| charge.quota.standing(*us, charge.units, *allowed)).collect(),
            server_time_us: *server_time_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::Quota;
    use super::*;

    #[test]
    fn an_answer_that_the_script_cannot_have_given_is_none() {
        let one = NonZeroU32::MIN;
        let quota = Quota::new(one, one);
        let charges = [Charge { bucket: b"a", quota, units: 1 }];
        let answer = |numbers: &[i64]| {
            let values = Value::Array(numbers.iter().map(|number| Value::Int(*number)).collect());
            Answer::read(&values, &charges).map(|answer| (answer.allowed, answer.backlogs_us))
        };
        assert_eq!(answer(&[1, 1_700_000_000_000_000, 0]), Some((true, vec![0])));
        assert_eq!(answer(&[0, 1_700_000_000_000_000, 1_000_000]), Some((false, vec![1_000_000])));
        for odd in [&[][..], &[1], &[1, 2], &[1, 2, 3, 4], &[2, 2, 0], &[1, -2, 0], &[1, 2, -1], &[1, 2, 1_000_001]] {
            assert_eq!(answer(odd), None, "{odd:?}");
        }
        assert!(Answer::read(&Value::Okay, &charges).is_none());
        let texts = Value::Array(vec![Value::BulkString(b"1".to_vec()); 3]);
        assert!(Answer::read(&texts, &charges).is_none());
    }
}
