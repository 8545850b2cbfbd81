//! `tiergate model test`

use std::process::ExitCode;

use super::fail;
use crate::cli::ModelTestArgs;

pub(super) fn run(args: &ModelTestArgs) -> ExitCode {
    let ModelTestArgs { files, cache } = args;
    fail(format!("{} store files can't be run by this build (--cache {cache:?})", files.len()))
}
