//! A primary and a replica that repeats what it writes, a moment later and without the primary waiting for it: for replicas
//! that lag, and for failovers that lose the last commits.
//!
//! The replica is a copy of the files that the primary begins with, and streams from there on: to make it needs no program
//! beside those of a server, and both are of the same cluster, as after `pg_basebackup`. One thing is otherwise: what each
//! knows of its own statistics begins at the same moment.

use crate::database::psql;
use crate::error::Error;
use crate::place::Place;
use crate::postgres::{KIND, Postgres, PostgresOptions, Prepared, on_a_free_port};
use crate::{skip, wait};

/// A primary and its replica, which have the same superuser and databases. They end when this is dropped.
///
/// ```no_run
/// use test_services::{PostgresOptions, ReplicatedPostgres, psql};
///
/// let Some(both) = ReplicatedPostgres::start(&PostgresOptions::default()) else { return };
/// psql(&both.primary().url(), "CREATE TABLE t (a int)").unwrap();
/// both.catch_up().unwrap();
/// both.cut_off().unwrap();
/// psql(&both.primary().url(), "INSERT INTO t VALUES (1)").unwrap();
/// both.primary().kill();
/// both.promote().unwrap();
/// assert!(psql(&both.replica().url(), "SELECT a FROM t").unwrap().is_empty(), "it is lost");
/// ```
pub struct ReplicatedPostgres {
    replica: Postgres,
    primary: Postgres,
}

impl ReplicatedPostgres {
    /// Starts both, or says `SKIPPED` and returns `None` where there is no PostgreSQL; with `CI` set it panics then.
    ///
    /// # Panics
    ///
    /// When the program is there and the two don't start with these options, or the replica does not follow.
    pub fn start(options: &PostgresOptions) -> Option<Self> {
        skip::unless_present(Self::try_start(&Place::of_this_build(), options))
    }

    /// Starts both at a place, and waits until the replica follows. The options are those of both.
    ///
    /// # Errors
    ///
    /// When there is no program, when one of them does not start, or the replica does not follow.
    pub fn try_start(place: &Place, options: &PostgresOptions) -> Result<Self, Error> {
        let both = on_a_free_port(|| {
            let primary = Prepared::make(place, place.private(KIND)?, options)?;
            let replica = primary.standby(place.private(KIND)?)?;
            // The primary first: the other one would look for it in vain.
            let primary = primary.start()?;
            Ok(Self { replica: replica.start()?, primary })
        })?;
        both.await_at_replica(
            "it streams",
            "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')",
        )?;
        both.catch_up()?;
        Ok(both)
    }

    /// The server that was the primary at first.
    pub fn primary(&self) -> &Postgres {
        &self.primary
    }

    /// The server that was its replica at first.
    pub fn replica(&self) -> &Postgres {
        &self.replica
    }

    /// Waits until the replica shows what the primary has committed so far.
    ///
    /// # Errors
    ///
    /// When the primary does not answer, or the replica does not come so far in time: because it is paused, or cut off.
    pub fn catch_up(&self) -> Result<(), Error> {
        let written = one(&self.primary, "SELECT pg_current_wal_flush_lsn()")?;
        let replayed = format!("SELECT coalesce(pg_last_wal_replay_lsn() >= '{written}', false)");
        self.await_at_replica("it has replayed what the primary has written", &replayed)
    }

    /// The replica goes on receiving what the primary writes, and shows nothing of it until it is resumed, or promoted: it lags.
    ///
    /// # Errors
    ///
    /// When the replica does not answer, or is one no more.
    pub fn pause_replay(&self) -> Result<(), Error> {
        psql(&self.replica.url(), "SELECT pg_wal_replay_pause()").map(drop)
    }

    /// Ends a [`pause`](Self::pause_replay).
    ///
    /// # Errors
    ///
    /// When the replica does not answer, or is one no more.
    pub fn resume_replay(&self) -> Result<(), Error> {
        psql(&self.replica.url(), "SELECT pg_wal_replay_resume()").map(drop)
    }

    /// From now on the replica receives nothing that the primary writes. What is committed there after this is lost once the replica is
    /// promoted: what is only paused would be replayed by then.
    ///
    /// # Errors
    ///
    /// When the replica does not answer, or does not let go of its primary.
    pub fn cut_off(&self) -> Result<(), Error> {
        psql(&self.replica.url(), "ALTER SYSTEM SET primary_conninfo = ''")?;
        psql(&self.replica.url(), "SELECT pg_reload_conf()")?;
        self.await_at_replica("it is cut off", "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
    }

    /// Makes the replica a primary, on a timeline of its own, and waits until it takes writes. The old one is left as it is: it knows
    /// nothing of this.
    ///
    /// # Errors
    ///
    /// When the replica does not answer, or is one no more.
    pub fn promote(&self) -> Result<(), Error> {
        let limit = wait::START.as_secs();
        match &*one(&self.replica, &format!("SELECT pg_promote(true, {limit})"))? {
            "t" => Ok(()),
            _ => Err(Error::failed(format!("the replica was not promoted within {limit} s"))),
        }
    }

    fn await_at_replica(&self, what: &str, question: &str) -> Result<(), Error> {
        let mut last = None;
        let is_so = || {
            last = Some(one(&self.replica, question));
            matches!(&last, Some(Ok(said)) if said == "t")
        };
        if wait::until(wait::START, is_so) {
            return Ok(());
        }
        Err(Error::failed(format!(
            "waited {:?} in vain for the replica until {what}; it said last: {last:?}",
            wait::START
        )))
    }
}

/// The one value of an answer.
fn one(server: &Postgres, question: &str) -> Result<String, Error> {
    let value = psql(&server.url(), question)?.into_iter().flatten().flatten().next();
    value.ok_or_else(|| Error::failed(format!("postgres has no answer to `{question}`")))
}
