//! What SQLite says, with what to do about it.
//!
//! Diesel hands on SQLite's message but not its code, so the messages are matched. They are part of SQLite's stable interface
//! (`sqlite3_errstr`) and come from the SQLite that is compiled in; whatever is not known keeps its own words.

use std::path::Path;
use std::sync::Arc;

use super::super::StoreError;
use super::super::columns::{BrokenRow, ROW_PREFIX};

/// The ways in which a data file fails, by who must act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Locked,
    Full,
    Disk,
    Damaged,
    ReadOnly,
    CannotOpen,
    Row,
    Other,
}

impl From<BrokenRow> for diesel::result::Error {
    fn from(broken: BrokenRow) -> Self {
        Self::DeserializationError(Box::new(broken))
    }
}

impl Fault {
    fn of(message: &str) -> Self {
        if message.starts_with(ROW_PREFIX) {
            return Self::Row;
        }
        const KNOWN: [(&str, Fault); 9] = [
            ("is locked", Fault::Locked),
            ("disk is full", Fault::Full),
            ("I/O error", Fault::Disk),
            ("malformed", Fault::Damaged),
            ("corrupt", Fault::Damaged),
            ("not a database", Fault::Damaged),
            ("readonly", Fault::ReadOnly),
            ("unable to open", Fault::CannotOpen),
            ("locking protocol", Fault::Locked),
        ];
        KNOWN.iter().find(|(text, _)| message.contains(text)).map_or(Self::Other, |&(_, fault)| fault)
    }

    const fn remedy(self) -> &'static str {
        match self {
            Self::Locked => "another process holds it; wait for it to end, or stop it",
            Self::Full => {
                "free space on the disk or raise the limit of the data file; what was stored before is intact"
            }
            Self::Disk => "look at the disk and the kernel's log, and restart once it is sound",
            Self::Damaged => "stop, keep a copy of the file with its -wal, and restore a backup",
            Self::ReadOnly => "make the data directory and its files writable for the user who runs this",
            Self::CannotOpen => "check that the directory exists and that this user may write to it",
            Self::Row => "somebody has written it past this program: correct or delete it there",
            Self::Other => "see the cause; the write was not done",
        }
    }
}

/// A failure of a running origin.
pub(super) fn running(operation: &'static str, error: &diesel::result::Error) -> StoreError {
    let cause = error.to_string();
    match Fault::of(&cause) {
        Fault::Locked => StoreError::Busy { what: "another process is writing to the data file" },
        fault => StoreError::Unavailable { operation, cause: Arc::from(cause), remedy: fault.remedy() },
    }
}

/// Whether a failure says that the disk or the file is not sound, which no later success takes back.
pub(super) fn is_lasting(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { cause, .. } if matches!(Fault::of(cause), Fault::Disk | Fault::Damaged))
}

/// A failure to open a data file.
pub(super) fn opening(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    let cause = error.to_string();
    let remedy = Fault::of(&cause).remedy();
    unusable(format!("cannot open the data file {}: {cause}; {remedy}", path.display()))
}

/// A data file that cannot be used, in whole sentences.
pub(super) fn unusable(message: String) -> StoreError {
    StoreError::Unusable(Arc::from(message))
}

/// A thread of the origin that is gone, or that could not be started.
pub(super) fn broken(operation: &'static str, cause: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable { operation, cause: Arc::from(cause.to_string()), remedy: "restart the server" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_says_gets_its_remedy() {
        assert_eq!(Fault::of("database is locked"), Fault::Locked);
        assert_eq!(Fault::of("database or disk is full"), Fault::Full);
        assert_eq!(Fault::of("disk I/O error"), Fault::Disk);
        assert_eq!(Fault::of("database disk image is malformed"), Fault::Damaged);
        assert_eq!(Fault::of("file is not a database"), Fault::Damaged);
        assert_eq!(Fault::of("attempt to write a readonly database"), Fault::ReadOnly);
        assert_eq!(Fault::of("unable to open database file"), Fault::CannotOpen);
        assert_eq!(Fault::of("no such table: tuples"), Fault::Other);
        let row = diesel::result::Error::from(BrokenRow::of("a condition", "malformed, is locked")).to_string();
        assert_eq!(Fault::of(&row), Fault::Row, "{row}");
    }
}
