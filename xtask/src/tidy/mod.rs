//! `cargo xtask tidy`: the rules of this workspace that no other tool knows.
//!
//! Every rule is an ordinary function from what it reads to its findings, and every finding says where, what, and what
//! to do about it.

mod docs;
mod edges;
mod manifests;
mod source;

use std::fmt;
use std::path::Path;

use crate::process;
use crate::report::{Outcome, Report};
use crate::workspace::Workspace;

/// Check the workspace's own rules.
#[derive(Debug, clap::Args)]
#[command(after_help = "The rules:\n  \
                        - which crate may import which (xtask/src/tidy/edges.rs holds the table)\n  \
                        - a path, link or command that README.md or docs/ names exists\n  \
                        - every Cargo.toml takes its lints and its package fields from the workspace\n  \
                        - no test is ignored, and no placeholder or debugging macro is left\n  \
                        - no file names a directory of somebody's own machine\n  \
                        - README.md, docs/ARCHITECTURE.md and a CHANGELOG.md with an Unreleased section exist\n  \
                        - a source file over 600 lines is a warning, and not a failure\n\n\
                        A finding reads `file:line: what; what to do`.")]
pub(crate) struct Args {}

/// One violation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Finding {
    file: String,
    /// From 1; 0 where the whole file is meant.
    line: usize,
    what: String,
    remedy: String,
    only_a_warning: bool,
}

impl Finding {
    fn error(file: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into(), remedy: remedy.into(), only_a_warning: false }
    }

    fn warning(file: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { only_a_warning: true, ..Self::error(file, line, what, remedy) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what, remedy, only_a_warning } = self;
        let level = if *only_a_warning { "warning" } else { "error" };
        match line {
            0 => write!(f, "{level}: {file}: {what}; {remedy}"),
            line => write!(f, "{level}: {file}:{line}: {what}; {remedy}"),
        }
    }
}

/// A file of the repository that can be read as text.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

pub(crate) fn run(workspace: &Workspace, _: &Args, report: &mut Report) -> Result<(), String> {
    report.step("tidy", || check(workspace));
    Ok(())
}

/// Applies every rule, prints the findings and sums them up.
pub(crate) fn check(workspace: &Workspace) -> Outcome {
    let paths = match repository_paths(&workspace.root) {
        Ok(paths) => paths,
        Err(why) => return Outcome::Failed(why),
    };
    // What is not text has no lines to look at; what cannot be read was deleted and not yet committed.
    let files: Vec<File> = paths
        .iter()
        .filter_map(|path| Some(File { path: path.clone(), text: read(&workspace.root.join(path))? }))
        .collect();

    let mut findings = edges::check(&workspace.packages);
    findings.extend(manifests::check(&workspace.packages, &files));
    findings.extend(source::check(&files));
    findings.extend(docs::check(&paths, &files));
    findings.sort();
    findings.iter().for_each(|finding| println!("    {finding}"));

    match findings.iter().filter(|finding| !finding.only_a_warning).count() {
        0 => {
            println!("    {} files, {} warnings", files.len(), findings.len());
            Outcome::Passed
        }
        errors => Outcome::Failed(format!("{errors} findings, each with what to do")),
    }
}

/// What git tracks, and what it would track.
fn repository_paths(root: &Path) -> Result<Vec<String>, String> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let said =
        process::ask(&mut git).map_err(|why| format!("{why}; tidy asks git which files are the repository's"))?;
    let mut paths: Vec<String> = said.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    paths.retain(|path| root.join(path).is_file());
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn read(path: &Path) -> Option<String> {
    String::from_utf8(std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    pub(super) fn said(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_finding_says_where_what_and_what_to_do() {
        let finding = Finding::error("a/b.rs", 3, "this is wrong", "do that");
        assert_eq!(finding.to_string(), "error: a/b.rs:3: this is wrong; do that");
        assert_eq!(Finding::warning("a", 0, "long", "split it").to_string(), "warning: a: long; split it");
    }
}
