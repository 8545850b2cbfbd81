//! Notices other processes' writes.
//!
//! `PRAGMA data_version` of a connection changes when any other connection has committed, and costs a look into shared memory. Our
//! own writer counts as another connection here: what it committed is applied by then, or is applied twice, which is the same.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;

use super::super::StoreError;
use super::failure::{broken, running};
use super::log::Log;

const OPERATION: &str = "looking for foreign writes";

/// The thread that looks.
pub(super) struct Poll {
    stop: Sender<()>,
    thread: JoinHandle<()>,
    trouble: Arc<Mutex<Option<StoreError>>>,
}

impl Poll {
    /// Starts to look. To be called after the sink was attached.
    pub(super) fn start(connection: SqliteConnection, log: Arc<Log>, every: Duration) -> Result<Self, StoreError> {
        let (stop, stopped) = channel();
        let trouble = Arc::new(Mutex::new(None));
        let reports = Arc::clone(&trouble);
        let thread = std::thread::Builder::new()
            .name("origin-poll".to_owned())
            .spawn(move || serve(connection, &log, every, &stopped, &reports))
            .map_err(|error| broken("starting to look for foreign writes", error))?;
        Ok(Self { stop, thread, trouble })
    }

    /// Why foreign writes are not seen at present, if so.
    pub(super) fn trouble(&self) -> Option<StoreError> {
        if self.thread.is_finished() {
            return Some(broken(OPERATION, "the thread is gone"));
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops looking; the caller joins the thread.
    pub(super) fn stop(self) -> JoinHandle<()> {
        drop(self.stop);
        self.thread
    }
}

fn serve(
    mut connection: SqliteConnection,
    log: &Log,
    every: Duration,
    stopped: &Receiver<()>,
    trouble: &Mutex<Option<StoreError>>,
) {
    let mut seen = None;
    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        let outcome = log.note(look(&mut connection, log, &mut seen));
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = outcome.err();
    }
}

fn look(connection: &mut SqliteConnection, log: &Log, seen: &mut Option<i64>) -> Result<(), StoreError> {
    let failed = |error: diesel::result::Error| running(OPERATION, &error);
    // Before the rows: a commit in between is then seen twice, and not never.
    let version = sql::<BigInt>("PRAGMA data_version").get_result::<i64>(connection).map_err(failed)?;
    if *seen == Some(version) {
        return Ok(());
    }
    connection.batch_execute("BEGIN").map_err(failed)?;
    let applied = log.catch_up(connection);
    connection.batch_execute("ROLLBACK").map_err(failed)?;
    applied?;
    *seen = Some(version);
    Ok(())
}
