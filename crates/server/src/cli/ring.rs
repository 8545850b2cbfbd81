//! The command `ring`.

use std::path::PathBuf;

use clap::Subcommand;

const RING_EXAMPLES: &str = "\
Examples, in the order of a rotation:
  tiergate ring new /etc/tiergate/ring.toml       a ring of one key, which is active
  tiergate ring add /etc/tiergate/ring.toml       another key, pre-active; prints its id, here 1f2e3d4c
    give the file to every instance, so that each can open what the new key will seal
  tiergate ring activate /etc/tiergate/ring.toml 1f2e3d4c    it seals; the old one is retiring, and opens
    give the file to every instance
  tiergate ring list /etc/tiergate/ring.toml      ids and states, never a secret

The server reads the file that keys.ring_file names. Names in Redis derive from one key of the ring, marked
`names`, so that a rotation keeps every value; destroy that key only when it may be known to others: then
names change and everything is a miss, once.

Exit status: 0 done, 2 it could not be carried out; the file is then as it was.";

/// What to do with a ring of keys.
#[derive(Debug, Subcommand)]
#[command(after_help = RING_EXAMPLES)]
pub enum RingCommand {
    /// Write a ring of one new key, which is active, into a file that does not exist yet
    New {
        /// The file; only its owner may read it
        file: PathBuf,
    },
    /// Show the keys of a ring, the oldest first: id, state, and which one names derive from
    List {
        /// The file
        file: PathBuf,
    },
    /// Add a new key, which opens and does not seal yet; prints its id
    Add {
        /// The file
        file: PathBuf,
    },
    /// Let a key seal; the one that did so far is retiring, and still opens
    Activate {
        /// The file
        file: PathBuf,
        /// The key's id, as `ring list` shows it
        id: String,
    },
    /// Let a key that is not active only open
    Retire {
        /// The file
        file: PathBuf,
        /// The key's id, as `ring list` shows it
        id: String,
    },
    /// Remove a key that is not active, for ever: what it sealed is a miss from then on
    Destroy {
        /// The file
        file: PathBuf,
        /// The key's id, as `ring list` shows it
        id: String,
    },
}
