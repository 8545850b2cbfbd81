//! `tiergate ring`

use std::path::Path;
use std::process::ExitCode;

use cache_redis::{ConfigError, RingFile};

use super::{YES, fail, say};
use crate::cli::RingCommand;

pub(super) fn run(command: &RingCommand) -> ExitCode {
    match carry_out(command) {
        Ok(()) => YES,
        Err(problem) => fail(problem),
    }
}

fn carry_out(command: &RingCommand) -> Result<(), ConfigError> {
    match command {
        RingCommand::New { file } => {
            let ring = RingFile::generate()?;
            ring.create(file)?;
            list(&ring);
        }
        RingCommand::List { file } => list(&RingFile::read(file)?),
        RingCommand::Add { file } => {
            let id = change(file, RingFile::add)?;
            say(id);
        }
        RingCommand::Activate { file, id } => change(file, |ring| ring.activate(id))?,
        RingCommand::Retire { file, id } => change(file, |ring| ring.retire(id))?,
        RingCommand::Destroy { file, id } => {
            if change(file, |ring| ring.destroy(id))? {
                say("Names derived from this key: with the new ring everything in Redis is a miss, once.");
            }
        }
    }
    Ok(())
}

/// Changes a ring: the file holds the old one or the new one, and nothing between them.
fn change<T>(file: &Path, step: impl FnOnce(&mut RingFile) -> Result<T, ConfigError>) -> Result<T, ConfigError> {
    let mut ring = RingFile::read(file)?;
    let done = step(&mut ring)?;
    ring.write(file)?;
    Ok(done)
}

fn list(ring: &RingFile) {
    for key in ring.keys() {
        say(format_args!("{}  {:<10}{}", key.id, key.state.label(), if key.names { "  names" } else { "" }));
    }
}
