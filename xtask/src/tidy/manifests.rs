//! Every crate takes from the workspace what the workspace decides.

use super::{File, Finding};
use crate::workspace::Package;

/// Keys of `[package]` that are `.workspace = true` everywhere.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

pub(super) fn check(packages: &[Package], files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        if package.description.as_deref().is_none_or(str::is_empty) {
            let remedy = "say in one sentence what the crate is for";
            findings.push(Finding::error(&package.manifest, 0, "`description` is missing", remedy));
        }
        if package.publish {
            let remedy = "write `publish.workspace = true`";
            findings.push(Finding::error(&package.manifest, 0, "the crate could be published", remedy));
        }
        if let Some(file) = files.iter().find(|file| file.path == package.manifest) {
            findings.extend(inherits(file));
        }
    }
    findings
}

fn inherits(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for key in INHERITED {
        if !has(&file.text, "package", &format!("{key}.workspace=true")) {
            let what = format!("`{key}` is not the workspace's");
            findings.push(Finding::error(&file.path, 0, what, format!("write `{key}.workspace = true` in [package]")));
        }
    }
    if !has(&file.text, "lints", "workspace=true") {
        let remedy = "add `[lints]` with `workspace = true`";
        findings.push(Finding::error(&file.path, 0, "the workspace's lints do not apply", remedy));
    }
    findings
}

/// Whether the table holds the line, whatever its spaces and its comment.
fn has(manifest: &str, table: &str, wanted: &str) -> bool {
    let mut within = false;
    manifest.lines().any(|line| {
        let line: String = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if line.starts_with('[') {
            within = line == format!("[{table}]");
        }
        within && line == wanted
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{file, said};
    use super::*;

    const GOOD: &str = "[package]\nname = \"x\"\nversion.workspace = true\nedition.workspace=true\n\
        rust-version.workspace = true # the oldest\nlicense.workspace = true\npublish.workspace = true\n\
        [lints]\nworkspace = true\n";

    #[test]
    fn a_manifest_that_inherits_everything_is_fine() {
        assert_eq!(said(&inherits(&file("x/Cargo.toml", GOOD))), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_inherited_is_found() {
        let own_edition = GOOD.replace("edition.workspace=true", "edition = \"2021\"");
        assert!(said(&inherits(&file("x", &own_edition)))[0].contains("`edition` is not the workspace's"));
        let no_lints = GOOD.replace("[lints]", "[lints.rust]");
        assert!(said(&inherits(&file("x", &no_lints)))[0].contains("lints do not apply"));
    }

    #[test]
    fn a_crate_without_a_description_or_that_could_be_published_is_found() {
        let package = Package { publish: true, ..Package::default() };
        assert_eq!(check(&[package], &[]).len(), 2);
    }
}
