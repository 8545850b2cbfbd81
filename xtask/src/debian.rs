//! Packages of Debian and its kin, unpacked into a directory without installing them: nobody has to be root, and no service starts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::process;

/// Beginnings of the names of packages that a program is linked with; other dependencies set a system up.
const LIBRARIES: [&str; 2] = ["lib", "lua-"];

/// Downloads packages with those libraries of theirs that are not installed, and unpacks them all into `home`.
pub(crate) fn unpack(packages: &[&str], home: &Path) -> Result<(), String> {
    // What an earlier attempt left is not taken for the package.
    let _ = std::fs::remove_dir_all(home);
    std::fs::create_dir_all(home).map_err(|error| format!("{}: {error}", home.display()))?;
    let mut wanted: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
    let mut seen = BTreeSet::new();
    while let Some(package) = wanted.pop() {
        if !seen.insert(package.clone()) {
            continue;
        }
        download(&package, home)?;
        let archive = archive(home).ok_or_else(|| format!("apt-get downloaded no package {package}"))?;
        let needed = process::ask(Command::new("dpkg-deb").arg("-f").arg(&archive).arg("Depends"))?;
        process::ask(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(home))?;
        std::fs::remove_file(&archive).map_err(|error| format!("{}: {error}", archive.display()))?;
        wanted.extend(libraries(&needed).filter(|name| !is_installed(name)).map(str::to_owned));
    }
    Ok(())
}

/// After a look for new lists where the old ones don't have it.
fn download(package: &str, home: &Path) -> Result<(), String> {
    let download = || process::ask(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(home));
    if download().is_err() {
        // Once is enough: what the newest lists don't have, they don't have.
        static UPDATED: LazyLock<Result<String, String>> =
            LazyLock::new(|| process::ask(Command::new("apt-get").args(["update", "--quiet"])));
        UPDATED.clone()?;
        download()?;
    }
    Ok(())
}

fn archive(home: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(home).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    entries.find(|path| path.extension().is_some_and(|extension| extension == "deb"))
}

/// The libraries in a field `Depends`, the first where there is a choice.
fn libraries(depends: &str) -> impl Iterator<Item = &str> {
    let name = |alternatives: &str| alternatives.find(|c: char| " (|:".contains(c)).unwrap_or(alternatives.len());
    let names = depends.split(',').map(str::trim).map(move |text| &text[..name(text)]);
    names.filter(|name| LIBRARIES.iter().any(|prefix| name.starts_with(prefix)))
}

fn is_installed(package: &str) -> bool {
    let said = process::ask(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]));
    said.is_ok_and(|status| status.ends_with(" installed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_told_from_what_sets_a_system_up() {
        let depends = "adduser, libc6 (>= 2.34), liblzf1:amd64 (>= 1.5) | other, perl:any, lua-cjson";
        assert_eq!(libraries(depends).collect::<Vec<_>>(), ["libc6", "liblzf1", "lua-cjson"]);
        assert_eq!(libraries("").count(), 0);
    }
}
