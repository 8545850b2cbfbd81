//! What README.md and docs/ name exists: files, links, commands and their flags.
//!
//! Only what can be decided is judged. A path in backticks counts when it begins at a directory of the repository, or
//! ends like a source file; a command counts when it stands in code; placeholders such as `<name>` or `DIR` are not
//! values.

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::{File, Finding};
use crate::Cli;

/// What a reader looks for first.
const REQUIRED: &[(&str, &str)] = &[
    ("README.md", "say what the product is and how to try and test it"),
    ("docs/ARCHITECTURE.md", "say where what is, and what must stay true"),
    ("CHANGELOG.md", "begin it in the form of https://keepachangelog.com"),
];

const UNRELEASED: &str = "## [Unreleased]";

pub(super) fn check(paths: &[String], files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (required, remedy) in REQUIRED.iter().filter(|(required, _)| !paths.iter().any(|path| path == required)) {
        findings.push(Finding::error(required, 0, "the file is missing", *remedy));
    }
    if let Some(changelog) = files.iter().find(|file| file.path == "CHANGELOG.md")
        && !changelog.text.lines().any(|line| line.starts_with(UNRELEASED))
    {
        let remedy = format!("add `{UNRELEASED}` above the newest version, for what comes next");
        findings.push(Finding::error(&changelog.path, 0, "no section takes the next change", remedy));
    }

    let repository = Repository { paths, server: server_commands(files) };
    let is_doc = |path: &str| path == "README.md" || (path.starts_with("docs/") && path.ends_with(".md"));
    for doc in files.iter().filter(|file| is_doc(&file.path)) {
        findings.extend(repository.check(doc));
    }
    findings
}

struct Repository<'a> {
    paths: &'a [String],
    /// The names after `tiergate`.
    server: Vec<String>,
}

impl Repository<'_> {
    fn check(&self, doc: &File) -> Vec<Finding> {
        let mut findings = Vec::new();
        for Span { line, kind, text } in spans(&doc.text) {
            let what = match kind {
                Kind::Link => self.link(&doc.path, &text),
                Kind::Code => self.path(&doc.path, &text).or_else(|| self.command(&text)),
                Kind::Block => self.command(&text),
            };
            findings.extend(what.map(|(what, remedy)| Finding::error(&doc.path, line, what, remedy)));
        }
        findings
    }

    /// A link must resolve from the directory of its document, unless it leads out of the repository.
    fn link(&self, doc: &str, target: &str) -> Option<(String, String)> {
        let path = target.split(['#', '?']).next().unwrap_or_default();
        if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let found = match path.strip_prefix('/') {
            Some(from_root) => self.exists(from_root),
            None => join(parent(doc), path).is_some_and(|path| self.exists(&path)),
        };
        let remedy = "correct the link, or remove it; it is resolved from the directory of this file";
        (!found).then(|| (format!("the link `{target}` leads nowhere"), remedy.to_owned()))
    }

    fn path(&self, doc: &str, text: &str) -> Option<(String, String)> {
        let text = text.strip_prefix("./").unwrap_or(text);
        // `src/lib.rs:12` and `src/lib.rs::name` point into a file.
        let text = text.split(':').next().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if !text.contains('/') || text.starts_with('/') || !text.chars().all(plain) {
            return None;
        }
        let first = text.split('/').next().unwrap_or_default();
        let from_root = !first.is_empty() && self.is_directory(first);
        let source = text.ends_with(".rs") || text.ends_with(".md");
        if !(from_root || source) {
            return None;
        }
        let inner = format!("/{}", text.trim_end_matches('/'));
        let found = self.exists(text)
            || join(parent(doc), text).is_some_and(|path| self.exists(&path))
            || self.paths.iter().any(|path| path.ends_with(&inner) || path.contains(&format!("{inner}/")));
        let remedy = "correct the path, or remove it from the text";
        (!found).then(|| (format!("there is no `{text}`"), remedy.to_owned()))
    }

    fn command(&self, text: &str) -> Option<(String, String)> {
        let text = text.trim_start().trim_start_matches("$ ");
        if let Some((_, rest)) = text.split_once("cargo xtask ") {
            return xtask_misuse(rest);
        }
        let name = text.strip_prefix("tiergate ")?.split_whitespace().next()?;
        if name == "help"
            || !name.starts_with(|c: char| c.is_ascii_lowercase())
            || self.server.iter().any(|n| n == name)
        {
            return None;
        }
        let known = if self.server.is_empty() { "none".to_owned() } else { self.server.join(", ") };
        Some((format!("`tiergate` has no command `{name}`"), format!("the server's commands: {known}")))
    }

    fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.paths.iter().any(|known| known == path) || self.is_directory(path)
    }

    fn is_directory(&self, path: &str) -> bool {
        self.paths.iter().any(|known| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }
}

/// What is wrong with the words after `cargo xtask`, by the parser that would read them.
fn xtask_misuse(words: &str) -> Option<(String, String)> {
    let line = words.split(['#', '|', '&', ';', '`', '>']).next().unwrap_or_default();
    let optional = |c: char| matches!(c, '[' | ']' | '<' | '…' | '\'' | '"');
    let words: Vec<_> = line.split_whitespace().map(|word| word.trim_matches(optional)).collect();
    if !words.first()?.starts_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    match Cli::try_parse_from(["cargo xtask"].into_iter().chain(words.iter().copied())) {
        Err(error) if error.kind() == ErrorKind::InvalidSubcommand => {
            let known: Vec<_> = Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
            Some((
                format!("`cargo xtask` has no command `{}`", words[0]),
                format!("the commands: {}", known.join(", ")),
            ))
        }
        Err(error) if error.kind() == ErrorKind::UnknownArgument => {
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let remedy = format!("`cargo xtask {} --help` lists what it takes", words[0]);
            Some((format!("`cargo xtask {}`: {said}", words.join(" ")), remedy))
        }
        // A placeholder in the place of a value is what a document is for.
        _ => None,
    }
}

/// The commands of the server: the variants of the enums in its sources that derive `Subcommand`, in kebab-case.
fn server_commands(files: &[File]) -> Vec<String> {
    let sources = files.iter().filter(|file| file.path.starts_with("crates/server/src/") && file.path.ends_with(".rs"));
    sources.flat_map(|file| subcommands(&file.text)).collect()
}

fn subcommands(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if !(line.trim_start().starts_with("#[derive(") && line.contains("Subcommand")) {
            continue;
        }
        let Some(head) = lines.by_ref().find(|line| line.contains("enum ")) else { break };
        let indent = head.len() - head.trim_start().len();
        for line in lines.by_ref().take_while(|line| line.trim() != "}" || line.len() - 1 > indent) {
            let depth = line.len() - line.trim_start().len();
            let name: String = line.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            if depth == indent + 4 && name.starts_with(|c: char| c.is_ascii_uppercase()) {
                names.push(kebab(&name));
            }
        }
    }
    names
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// The target of a link.
    Link,
    /// Between backticks.
    Code,
    /// A line of a fenced block.
    Block,
}

#[derive(PartialEq, Eq, Debug)]
struct Span {
    line: usize,
    kind: Kind,
    text: String,
}

/// Links and code of a document, with their lines.
fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut fence: Option<&str> = None;
    for (line, content) in (1..).zip(text.lines()) {
        let trimmed = content.trim_start();
        let mut push = |kind, text: &str| spans.push(Span { line, kind, text: text.to_owned() });
        match fence {
            Some(mark) if trimmed.starts_with(mark) => fence = None,
            Some(_) => push(Kind::Block, content),
            None => match ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark)) {
                Some(mark) => fence = Some(mark),
                None => inline(trimmed, &mut push),
            },
        }
    }
    spans
}

fn inline(line: &str, push: &mut impl FnMut(Kind, &str)) {
    // Every second piece between backticks is code; an unpaired backtick begins none.
    let pieces: Vec<_> = line.split('`').collect();
    let whole = pieces.len() - usize::from(pieces.len().is_multiple_of(2));
    pieces[..whole].iter().skip(1).step_by(2).for_each(|code| push(Kind::Code, code));

    for (at, _) in line.match_indices("](") {
        let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
        push(Kind::Link, target.trim_matches(['<', '>']));
    }
    // `[label]: target` defines a link for the whole document.
    if line.starts_with('[')
        && let Some((_, rest)) = line.split_once("]: ")
        && let Some(target) = rest.split_whitespace().next()
    {
        push(Kind::Link, target.trim_matches(['<', '>']));
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Resolves `.` and `..`; none where the path leaves the repository.
fn join(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, said};
    use super::*;

    fn findings_in(doc: &str) -> Vec<String> {
        let paths: Vec<String> =
            ["docs/GUIDE.md", "docs/adr/0001-tags.md", "crates/server/src/chain/read.rs", "README.md"]
                .map(str::to_owned)
                .into();
        let repository = Repository { paths: &paths, server: vec!["serve".to_owned()] };
        said(&repository.check(&file("docs/GUIDE.md", doc)))
    }

    #[track_caller]
    fn fine(doc: &str) {
        assert_eq!(findings_in(doc), Vec::<String>::new());
    }

    #[track_caller]
    fn found(doc: &str, part: &str) {
        let said = findings_in(doc);
        assert!(said.len() == 1 && said[0].contains(part), "{said:?}");
    }

    #[test]
    fn links_resolve_from_their_document() {
        fine(
            "[a](adr/0001-tags.md#why) [b](../README.md) [c](#here) [d](https://x.y/z) [e](adr/)\n[f]: ../crates/server",
        );
        found("line\n[a](README.md)", "docs/GUIDE.md:2: the link `README.md` leads nowhere");
        found("[a]: ../../outside.md", "leads nowhere");
    }

    #[test]
    fn paths_in_backticks_exist_in_the_repository_or_end_so() {
        fine("`crates/server/src/chain/read.rs` `chain/read.rs` `adr/0001-tags.md` `crates/server/` `./README.md`");
        fine(
            "`chain/read.rs:12` `crates/*/src` `crates/<name>/x.rs` `a/b` `/etc/x.rs` `application/json` `src/x y.rs`",
        );
        found("`chain/write.rs`", "there is no `chain/write.rs`");
        found("`crates/client`", "there is no `crates/client`");
    }

    #[test]
    fn commands_exist_with_their_flags() {
        fine("`cargo xtask test` `cargo xtask bench NAME --quick`\n```sh\n$ cargo xtask lint --fix # all\n```");
        fine("`cargo xtask test [--stores DIR]` and in prose cargo xtask does things; `cargo xtask NAME --help`");
        found("`cargo xtask perv`", "has no command `perv`; the commands: test, lint");
        found(
            "```\nCI=1 cargo xtask test --fast\n```",
            "docs/GUIDE.md:2: `cargo xtask test --fast`: unexpected argument",
        );
        fine("`tiergate serve --config x` `tiergate --help` `tiergate help`\n```\ntiergate: listening\n```");
        found("```sh\n$ tiergate sever\n```", "has no command `sever`; the server's commands: serve");
    }

    #[test]
    fn the_first_documents_are_required() {
        let said = said(&check(&[], &[]));
        assert_eq!(said.len(), 3);
        assert!(said[0].starts_with("error: README.md: the file is missing; "), "{said:?}");

        let paths: Vec<_> = REQUIRED.iter().map(|(path, _)| (*path).to_owned()).collect();
        let changelog = |text| check(&paths, &[file("CHANGELOG.md", text)]);
        assert_eq!(changelog("# Changelog\n\n## [Unreleased]\n"), []);
        assert_eq!(changelog("# Changelog\n\n## 0.1.0\n").len(), 1);
    }

    #[test]
    fn the_servers_commands_are_read_from_its_source() {
        let source = "#[derive(Debug, Subcommand)]\npub(crate) enum Command {\n    /// Serve.\n    Serve(Args),\n    \
            #[command(alias = \"X\")]\n    CheckConfig {\n        Path: u8,\n    },\n}\n\nenum Other {\n    No,\n}\n";
        assert_eq!(subcommands(source), ["serve", "check-config"]);
    }
}
