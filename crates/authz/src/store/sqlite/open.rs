//! Opening a data file: who may use it, whether it is ours, and of which version.
//!
//! Invariant: nothing is written to a file that another process serves, that another program made, or that a newer version has
//! migrated. Each refusal says which it is and what to do.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use rustix::fs::{FlockOperation, flock};

use super::super::StoreError;
use super::SqliteConfig;
use super::failure::{opening, unusable};
use super::schema::meta;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
/// As the first migration sets it.
const APPLICATION_ID: i64 = 1_413_955_924;

/// A data file that may be used.
pub(super) struct Opened {
    /// The connection that writes.
    pub(super) writer: SqliteConnection,
    /// The file's absolute path, for more connections.
    pub(super) path: String,
    /// Which file it is.
    pub(super) identity: Identity,
    /// Who its log is.
    pub(super) log_epoch: String,
    /// Held for as long as the file is in use.
    pub(super) lock: LockFile,
}

/// Opens, checks and migrates a data file; creates it where it is missing.
pub(super) fn open(config: &SqliteConfig) -> Result<Opened, StoreError> {
    let path = std::path::absolute(&config.path).map_err(|error| opening(&config.path, &error))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    // Relationships are personal data: nobody else on the machine has to read them.
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        unusable(format!(
            "cannot create the data directory {}: {error}; create it, or choose another one",
            directory.display()
        ))
    })?;
    let path = canonical(&path)?;
    let Some(text) = path.to_str().map(str::to_owned) else {
        return Err(unusable(format!("the path {} is not UTF-8; choose another one", path.display())));
    };
    let lock = LockFile::take(&path)?;
    let identity = create(&path)?;
    let failed = |error: diesel::result::Error| opening(&path, &error);

    let mut writer = SqliteConnection::establish(&text).map_err(|error| opening(&path, &error))?;
    common(&mut writer, config).map_err(failed)?;
    check_owner(&path, &mut writer)?;
    // SQLite opens what this user may not write for reading only, without a word until the first write: have that now.
    let probed = writer.batch_execute("BEGIN IMMEDIATE; PRAGMA user_version = 0;");
    // Where nothing began there is nothing to roll back; what counts is the probe.
    let _ = writer.batch_execute("ROLLBACK");
    probed.map_err(failed)?;
    writer.batch_execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").map_err(failed)?;
    let mode = sql::<Text>("SELECT journal_mode FROM pragma_journal_mode")
        .get_result::<String>(&mut writer)
        .map_err(failed)?;
    if mode != "wal" {
        return Err(unusable(format!(
            "the file system of {} cannot hold a write-ahead log (SQLite answers {mode:?}); use a local disk",
            path.display()
        )));
    }
    migrate(&path, &mut writer)?;
    if config.verify_on_open {
        verify(&path, &mut writer)?;
    }
    writer
        .batch_execute(&format!(
            "PRAGMA wal_autocheckpoint = {}; PRAGMA max_page_count = {};",
            config.checkpoint_pages,
            config.max_pages.unwrap_or(u32::MAX - 1)
        ))
        .map_err(failed)?;
    let log_epoch = meta::table.select(meta::log_epoch).get_result(&mut writer).map_err(failed)?;
    Ok(Opened { writer, path: text, identity, log_epoch, lock })
}

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Fails where another file, or none, has the name now: what is written then goes to a file that the next start won't find.
    pub(super) fn check(self, path: &str) -> Result<(), StoreError> {
        match Path::new(path).metadata() {
            Ok(found) if (Self { device: found.dev(), inode: found.ino() }) == self => Ok(()),
            Ok(_) => Err(unusable(format!(
                "another file was put in the place of {path} while it was in use; stop the server, see which file is the right one, \
                 and start again"
            ))),
            Err(error) => Err(unusable(format!(
                "the data file {path} was removed while it was in use ({error}); stop the server, restore a backup, and start again"
            ))),
        }
    }
}

/// The one name of a data file, whatever links lead to it: the lock and the write-ahead log stand beside that.
fn canonical(path: &Path) -> Result<PathBuf, StoreError> {
    if path.symlink_metadata().is_ok() {
        return path.canonicalize().map_err(|error| {
            unusable(format!(
                "cannot follow {} to a data file: {error}; remove the link, or create what it points to",
                path.display()
            ))
        });
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(unusable(format!("{} names no file; choose another path for the data file", path.display())));
    };
    directory.canonicalize().map(|directory| directory.join(name)).map_err(|error| opening(path, &error))
}

/// Creates the data file where it is missing, and sees to it that it has no second name.
fn create(path: &Path) -> Result<Identity, StoreError> {
    // SQLite would take the umask; the files that it puts beside this one get the mode that this one has.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(opening(path, &error)),
    }
    let found = path.metadata().map_err(|error| opening(path, &error))?;
    let links = found.nlink();
    if links == 1 {
        return Ok(Identity { device: found.dev(), inode: found.ino() });
    }
    // Another server would lock another name of the same file, and keep another write-ahead log beside that.
    Err(unusable(format!(
        "the data file {} has {links} names (hard links), and only one of them would be locked; remove the others",
        path.display()
    )))
}

/// One more connection, which cannot write.
pub(super) fn reader(path: &str, config: &SqliteConfig) -> Result<SqliteConnection, StoreError> {
    let mut connection = SqliteConnection::establish(path).map_err(|error| opening(Path::new(path), &error))?;
    common(&mut connection, config)
        .and_then(|()| connection.batch_execute("PRAGMA query_only = ON;"))
        .map_err(|error| opening(Path::new(path), &error))?;
    Ok(connection)
}

/// What every connection has. No memory mapping: where the disk fails, a mapped page is a signal that ends the process, and a read
/// is an error that one caller gets.
fn common(connection: &mut SqliteConnection, config: &SqliteConfig) -> QueryResult<()> {
    connection.batch_execute(&format!(
        "PRAGMA busy_timeout = {}; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -{};",
        config.busy_timeout.as_millis().min(600_000),
        config.cache_kib
    ))
}

fn check_owner(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let owner = sql::<BigInt>("SELECT application_id FROM pragma_application_id")
        .get_result::<i64>(connection)
        .map_err(|error| opening(path, &error))?;
    let tables = sql::<BigInt>("SELECT count(*) FROM sqlite_schema")
        .get_result::<i64>(connection)
        .map_err(|error| opening(path, &error))?;
    if owner == APPLICATION_ID || tables == 0 {
        return Ok(());
    }
    Err(unusable(format!("{} belongs to another program; choose another path for the data file", path.display())))
}

fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| opening(path, &error);
    let known: Vec<String> = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
        .map_err(failed)?
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let applied = connection.applied_migrations().map_err(failed)?;
    if let Some(newer) = applied.iter().map(ToString::to_string).find(|version| !known.contains(version)) {
        return Err(unusable(format!(
            "the data file {} was written by a newer version of this program (schema {newer}; this one knows {}); start the \
             newer one, or restore a backup from before the upgrade",
            path.display(),
            known.last().map_or("none", String::as_str)
        )));
    }
    connection.run_pending_migrations(MIGRATIONS).map_err(failed)?;
    Ok(())
}

fn verify(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let finding =
        sql::<Text>("PRAGMA quick_check(1)").get_result::<String>(connection).map_err(|error| opening(path, &error))?;
    if finding == "ok" {
        return Ok(());
    }
    Err(opening(path, &format!("database disk image is malformed ({finding})")))
}

/// The right to serve a data file, as a lock on a file beside it. The kernel gives it back however the process ends.
pub(super) struct LockFile(#[expect(dead_code, reason = "holding the file open is what holds the lock")] File);

impl LockFile {
    fn take(data: &Path) -> Result<Self, StoreError> {
        let mut name = data.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| {
            unusable(format!(
                "cannot open the lock file {}: {error}; make the data directory writable for the user who runs this",
                path.display()
            ))
        })?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Only to help whoever reads the message: the lock itself is the kernel's.
                let _ = file.read_to_string(&mut holder);
                return Err(unusable(format!(
                    "the data file {} is served by another process ({}); stop that one, or give this one a data file of its own",
                    data.display(),
                    if holder.trim().is_empty() { "it left no number" } else { holder.trim() }
                )));
            }
            Err(error) => {
                return Err(unusable(format!(
                    "cannot lock {}: {error}; put the data file on a local disk",
                    path.display()
                )));
            }
        }
        let noted = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "process {}", std::process::id()));
        match noted {
            Ok(()) => Ok(Self(file)),
            Err(error) => Err(unusable(format!(
                "cannot write the lock file {}: {error}; free space on the disk, and make the directory writable",
                path.display()
            ))),
        }
    }
}
