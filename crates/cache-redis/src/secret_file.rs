//! A file that only its owner may read, and that is whole at every moment: who reads it finds what stood there before or what was written, and nothing between
//! them.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Reads one of at most `max` bytes.
///
/// # Errors
/// Where it can't be read, is longer, or others may read it too; what to do is said.
pub fn read(path: &Path, max: u64) -> Result<Zeroizing<String>, String> {
    // Whatever is no file, as a pipe that nobody writes to, must not be waited for.
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.len() > max {
        return Err(format!("it has {} bytes, and at most {max} are allowed", metadata.len()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!("its mode is {mode:o}, so that others may read it; run: chmod 600 on it"));
        }
    }
    let mut text = Zeroizing::new(String::new());
    file.take(max).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// What is wrong with a text, and in which line, and nothing of the text itself: the parser's own message repeats what it has read, which may be a secret.
/// `holds` says what the file should be.
///
/// # Errors
/// Where it is not what `T` is read from.
pub fn parse<T: DeserializeOwned>(text: &str, holds: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        format!("line {line} is not what {holds}")
    })
}

/// Writes one where nothing is yet.
///
/// # Errors
/// Where something is, or it can't be written.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
    put(path, text, |draft| draft.persist_noclobber(path).map(drop))
}

/// Writes one in place of what is there, in one step, for the same owner: whoever reads it goes on reading it.
///
/// # Errors
/// Where it can't be written, or not for its owner; what is there stays then.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    // What a link leads to is replaced, and not the link.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    put(&path, text, |draft| {
        if let Err(error) = keep_owner(draft.as_file(), &path) {
            return Err(tempfile::PersistError { error, file: draft });
        }
        draft.persist(&path).map(drop)
    })
}

#[cfg(unix)]
fn keep_owner(draft: &std::fs::File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let (own, known) = (draft.metadata()?, std::fs::metadata(path));
    match known {
        Ok(known) if (known.uid(), known.gid()) != (own.uid(), own.gid()) => {
            std::os::unix::fs::fchown(draft, Some(known.uid()), Some(known.gid()))
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &std::fs::File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// A draft can only be read by its owner from its first moment on.
fn put(
    path: &Path,
    text: &str,
    place: impl FnOnce(tempfile::NamedTempFile) -> Result<(), tempfile::PersistError>,
) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Before anything changes: what can't be made to last is not begun.
    let lasting = std::fs::File::open(folder)?;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(text.as_bytes()).and_then(|()| draft.as_file().sync_all())?;
    place(draft).map_err(|error| error.error)?;
    lasting.sync_all()
}
