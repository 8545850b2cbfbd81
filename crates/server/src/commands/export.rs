//! `tiergate export`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use super::{YES, fail, small_runtime};
use crate::cli::ExportArgs;
use crate::transfer::{ExportError, Format, export};

pub(super) fn run(args: &ExportArgs) -> ExitCode {
    let server = match args.url.server() {
        Ok(server) => server,
        Err(error) => return fail(error),
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    let format = args.format.unwrap_or_else(|| format_of(args.output.as_deref()));
    let written = |out: &mut dyn Write| runtime.block_on(export(&server, &args.store, format, out));
    let result = match &args.output {
        None => written(&mut BufWriter::new(std::io::stdout().lock())),
        Some(path) => whole(path, written),
    };
    match result {
        Ok(count) => {
            // Where the export itself goes to the standard output, the count must not.
            let _ = writeln!(std::io::stderr(), "exported {count} relationships");
            YES
        }
        Err(error) => fail(error),
    }
}

/// Writes a file whole or not at all: an export that ends early leaves the one before.
fn whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<usize, ExportError>) -> Result<usize, ExportError> {
    let mut name = path.file_name().map(std::ffi::OsStr::to_os_string).unwrap_or_default();
    name.push(".unfinished");
    let draft = path.with_file_name(name);
    let mut out = BufWriter::new(File::create(&draft)?);
    match write(&mut out) {
        Ok(count) => {
            out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            std::fs::rename(&draft, path)?;
            Ok(count)
        }
        Err(error) => {
            let _ = std::fs::remove_file(&draft);
            Err(error)
        }
    }
}

fn format_of(output: Option<&Path>) -> Format {
    match output.and_then(|path| path.extension()?.to_str()) {
        Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        _ => Format::Yaml,
    }
}
