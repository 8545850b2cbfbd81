//! When everything is whole again: every instance, with its caches and without, PostgreSQL, and what the writers were told, say the same.

use std::time::Duration;

use crate::history::{Endpoint, Key};
use crate::http::Client;
use crate::load::Load;

/// After the last fault: breakers close, leases are taken again.
const SETTLE: Duration = Duration::from_secs(3);

/// How often, and after what pause, somebody who is not answered asks.
const ATTEMPTS: usize = 50;
const AGAIN: Duration = Duration::from_millis(200);

/// The result of a full compare.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compare {
    /// Subjects times instances.
    pub(crate) compared: u64,
    /// Answers from caches that differ from the origin's.
    pub(crate) differ: u64,
    /// Acknowledged changes that PostgreSQL does not have.
    pub(crate) lost: u64,
    /// Answers that could not be had.
    pub(crate) unanswered: u64,
}

impl Load<'_> {
    /// Compares everything with everything.
    pub(crate) fn compare(&self) -> Result<Compare, String> {
        self.cluster.instances.iter().for_each(crate::cluster::Instance::heal);
        self.cluster.until_ready()?;
        std::thread::sleep(SETTLE);
        let expected: Vec<(Key, bool)> = {
            let expected = self.expected.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            expected.iter().map(|(key, access)| (*key, *access)).collect()
        };
        let (store, schema) = (&self.world.store, &self.world.schema);
        let rows = test_services::psql(
            &self.cluster.backends.postgres.url(),
            &format!(
                "SELECT t.subject_id FROM {schema}.tuples t WHERE store = '{store}' AND object_type = 'team' AND relation = 'member'
                     AND NOT EXISTS (SELECT FROM {schema}.tuples b WHERE b.store = t.store AND b.relation = 'banned' AND b.subject_id = t.subject_id)"
            ),
        )
        .map_err(|error| error.to_string())?;
        let members: std::collections::BTreeSet<String> = rows.into_iter().flatten().flatten().collect();
        let mut found = Compare::default();
        let mut client = Client::default();
        for (key, access) in expected {
            found.lost += u64::from(members.contains(&format!("u{key}")) != access);
            for instance in 0..self.cluster.instances.len() {
                found.compared += 1;
                let at = self.cluster.instances[instance].public();
                let cached = until_answered(|| self.probe(&mut client, instance, Endpoint::Batch, key));
                let origin = until_answered(|| self.world.ask(&mut client, at, Endpoint::Batch, key, true).counts);
                if cached[2] + origin[2] > 0 {
                    found.unanswered += 1;
                } else if cached != origin || (origin[0] > 0) != access {
                    found.differ += 1;
                }
            }
        }
        Ok(found)
    }
}

fn until_answered(mut ask: impl FnMut() -> [u32; 3]) -> [u32; 3] {
    let mut counts = ask();
    for _ in 1..ATTEMPTS {
        if counts[2] == 0 {
            break;
        }
        std::thread::sleep(AGAIN);
        counts = ask();
    }
    counts
}
