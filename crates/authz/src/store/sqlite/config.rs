//! The bounds of the embedded origin. Every queue and every wait has one.

use std::path::PathBuf;
use std::time::Duration;

/// How the embedded origin is opened. `SqliteConfig::new(path)` has the defaults.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// The data file. Its directory is created where it is missing; `-wal`, `-shm` and `.lock` stand beside it.
    pub path: PathBuf,
    /// Connections that read, and so the snapshots that can be open at once. Default 4.
    pub readers: usize,
    /// How long a read waits for a connection before it is refused as busy. Default 2 s.
    pub reader_wait: Duration,
    /// Writes that may wait for the writer; the next one is refused as busy. Default 1,024.
    pub max_queued_writes: usize,
    /// The most writes that share one commit, and so one flush of the disk. Default 256.
    pub max_group: usize,
    /// How long the writer waits for another process that is writing. Default 5 s.
    pub busy_timeout: Duration,
    /// How often to ask whether another process has written. Default 50 ms.
    pub poll_interval: Duration,
    /// Log rows that are told to the sink at the start; what lies before them counts as unknown. Default 10,000.
    pub replay: usize,
    /// The page cache of each connection, in KiB. Default 16,384.
    pub cache_kib: u32,
    /// Pages (4 KiB) in the write-ahead log from which on a commit copies them into the data file. Default 4,000.
    pub checkpoint_pages: u32,
    /// The most pages (4 KiB) that the data file may have; more is refused as a full disk would be. Default: no limit.
    pub max_pages: Option<u32>,
    /// Read the whole file when opening it, to find damage before it is met. About a second for each gigabyte. Default off.
    pub verify_on_open: bool,
    /// Relationships in one transaction of [`SqliteStore::load`](super::SqliteStore::load). Default 10,000: what such a part touches
    /// stays in the page cache, which makes it faster than a larger one.
    pub load_chunk: usize,
    /// How long closing waits for snapshots that are still open. Default 5 s.
    pub close_wait: Duration,
}

impl SqliteConfig {
    /// The defaults, for a data file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            reader_wait: Duration::from_secs(2),
            max_queued_writes: 1_024,
            max_group: 256,
            busy_timeout: Duration::from_secs(5),
            poll_interval: Duration::from_millis(50),
            replay: 10_000,
            cache_kib: 16_384,
            checkpoint_pages: 4_000,
            max_pages: None,
            verify_on_open: false,
            load_chunk: 10_000,
            close_wait: Duration::from_secs(5),
        }
    }
}
