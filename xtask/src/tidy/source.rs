//! What no file may hold: ignored tests, placeholders, and directories of somebody's own machine.

use super::{File, Finding};

/// Code that was meant to go away again. Written in two halves: this file is checked as well.
const LEFTOVERS: &[(&str, &str)] = &[
    (concat!("#[ign", "ore"), "make the test pass, or delete it; a test that never runs shows nothing"),
    (concat!("tod", "o!("), "finish it, or return an error that says what is missing"),
    (concat!("unimpl", "emented!("), "finish it, or return an error that says what is missing"),
    (concat!("db", "g!("), "remove it, or use `tracing`"),
];

/// Absolute directories that exist on one machine and not on the reader's. Written in two halves, as above.
const MACHINES: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// A file that is longer is read by nobody in one sitting.
const MANY_LINES: usize = 600;

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    files.iter().flat_map(|file| leftovers(file).into_iter().chain(machines(file)).chain(length(file))).collect()
}

fn leftovers(file: &File) -> Vec<Finding> {
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let code = line.split("//").next().unwrap_or_default();
        for (word, remedy) in LEFTOVERS.iter().filter(|(word, _)| code.contains(word)) {
            findings.push(Finding::error(&file.path, number, format!("`{word}` is left"), *remedy));
        }
    }
    findings
}

fn machines(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for directory in MACHINES.iter().filter(|directory| names_absolute(line, directory)) {
            let remedy = "name a path relative to the repository, or one that every reader has";
            findings.push(Finding::error(&file.path, number, format!("`{directory}` is on one machine only"), remedy));
        }
    }
    findings
}

/// Whether the line holds the directory as the beginning of a path, and not within `example.com/…` or `../…`.
fn names_absolute(line: &str, directory: &str) -> bool {
    line.match_indices(directory).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._~-/}*".contains(c)) || line[..at].ends_with("file://"))
    })
}

fn length(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    (file.path.ends_with(".rs") && lines > MANY_LINES).then(|| {
        let what = format!("{lines} lines, more than {MANY_LINES}");
        Finding::warning(&file.path, 0, what, "divide it where its concepts divide")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, said};
    use super::*;

    #[test]
    fn leftovers_are_found_in_code_and_not_in_comments() {
        for (word, _) in LEFTOVERS {
            let code = file("a.rs", &format!("fn a() {{}}\n    {word}"));
            assert!(said(&leftovers(&code))[0].starts_with(&format!("error: a.rs:2: `{word}` is left; ")));
            assert_eq!(leftovers(&file("a.rs", &format!("// {word}"))), []);
            assert_eq!(leftovers(&file("a.md", word)), []);
        }
    }

    #[test]
    fn a_directory_of_one_machine_is_found_at_the_beginning_of_a_path() {
        let home = MACHINES[2];
        for line in [format!("cd {home}ann"), format!("\"{home}ann\""), format!("{home}ann"), format!("file://{home}a")]
        {
            assert_eq!(machines(&file("a.md", &line)).len(), 1, "{line}");
        }
        for line in [format!("https://example.com{home}ann"), format!("..{home}ann"), format!("~{home}ann")] {
            assert_eq!(machines(&file("a.md", &line)), [], "{line}");
        }
    }

    #[test]
    fn a_long_source_file_is_a_warning() {
        let long = "\n".repeat(MANY_LINES + 1);
        assert!(length(&file("a.rs", &long)).is_some_and(|finding| finding.only_a_warning));
        assert_eq!(length(&file("a.rs", &"\n".repeat(MANY_LINES))), None);
        assert_eq!(length(&file("a.txt", &long)), None);
    }
}
