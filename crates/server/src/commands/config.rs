//! `tiergate config`

use std::process::ExitCode;

use super::{YES, fail, say};
use crate::cli::SettingsArgs;

pub(super) fn run(args: &SettingsArgs) -> ExitCode {
    match args.sources().load() {
        Ok(loaded) => {
            say(loaded.show().trim_end());
            YES
        }
        Err(error) => fail(error),
    }
}
