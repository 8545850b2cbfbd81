//! OpenFGA's clients work against the server as they are: its command line, and its libraries.
//!
//! `cargo xtask test` installs them under the target directory and says where they are. Where one is missing, its test says so, and fails where the
//! environment variable `CI` is set: there it would prove nothing.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod cli;
mod libraries;
#[path = "../killable.rs"]
mod process;

/// Says that a client is not there.
fn missing(client: &str) {
    assert!(std::env::var_os("CI").is_none(), "{client} was not found; `cargo xtask test` installs it");
    println!("SKIPPED {client}: not found; `cargo xtask test` installs it");
}
