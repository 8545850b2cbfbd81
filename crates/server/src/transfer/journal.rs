//! How far an import came: a small file, which is written now and then and goes when the import is done.
//!
//! Invariant: what the journal says is done is done. It may be behind, and then some relationships are sent twice, which changes nothing.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a journal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The server.
    pub(super) url: String,
    /// The store.
    pub(super) store: String,
    /// The input, so that another one is not taken for it.
    pub(super) input: String,
    /// Relationships from the beginning on that were acknowledged.
    pub(super) done: usize,
}

/// The file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal at a path; beside the first file of the input without.
    pub(super) fn new(path: Option<&Path>, input: &Path) -> Self {
        let path = path.map_or_else(
            || {
                let mut name = input.file_name().map(std::ffi::OsStr::to_os_string).unwrap_or_default();
                name.push(".import-journal");
                input.with_file_name(name)
            },
            Path::to_owned,
        );
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it says; none where there is none, or it can't be read: then everything is sent again.
    pub(super) fn read(&self) -> Option<Entry> {
        serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()
    }

    /// Writes it whole or not at all.
    pub(super) fn write(&self, entry: &Entry) -> io::Result<()> {
        let draft = self.path.with_extension("import-journal.new");
        std::fs::write(&draft, serde_json::to_vec(entry)?)?;
        std::fs::rename(&draft, &self.path)
    }

    /// Takes it away.
    pub(super) fn remove(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_reads_back_lies_beside_its_input_and_goes() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(None, &directory.path().join("tuples.csv"));
        assert!(journal.path().ends_with("tuples.csv.import-journal"));
        assert_eq!(journal.read(), None);
        let entry = Entry { url: "http://a".into(), store: "s".into(), input: "7".into(), done: 300 };
        journal.write(&entry).unwrap();
        assert_eq!(journal.read(), Some(entry));
        std::fs::write(journal.path(), "half of a jour").unwrap();
        assert_eq!(journal.read(), None, "a damaged journal says nothing");
        journal.remove().unwrap();
        journal.remove().unwrap();
        assert!(!journal.path().exists());
    }
}
