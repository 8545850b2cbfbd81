//! Where the workspace is, and what cargo knows of its packages.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process;

/// The workspace that the current directory belongs to.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One member, as far as the commands need it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the root, with `/`.
    pub(crate) manifest: String,
    pub(crate) rust_version: Option<String>,
    pub(crate) description: Option<String>,
    /// False where the package must not be uploaded to a registry.
    pub(crate) publish: bool,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) benches: Vec<Bench>,
}

/// One edge from a package.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dependency {
    /// The package, not the name it is imported by.
    pub(crate) name: String,
    /// Only tests, examples and benches import it.
    pub(crate) dev: bool,
}

/// One benchmark target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bench {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
}

impl Workspace {
    /// Looks upwards from the current directory, then asks cargo.
    pub(crate) fn find() -> Result<Self, String> {
        let here = std::env::current_dir().map_err(|error| format!("the current directory can't be read: {error}"))?;
        let root = root_above(&here).ok_or_else(|| {
            format!("{} is not inside the tiergate workspace; change into your clone and try again", here.display())
        })?;
        // Not `--locked`: a lock file that is behind should fail in the step that says so, not here.
        let args = ["metadata", "--no-deps", "--format-version", "1"];
        let said = process::ask(&mut process::cargo(&root, args))?;
        let metadata = serde_json::from_str(&said).map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
        read_metadata(root, &metadata).ok_or_else(|| "cargo metadata lacks its packages; is cargo too old?".to_owned())
    }

    /// The oldest Rust that the packages promise to build with.
    pub(crate) fn rust_version(&self) -> Option<&str> {
        self.packages.iter().find_map(|package| package.rust_version.as_deref())
    }
}

/// The nearest directory upwards that holds a workspace with an xtask.
fn root_above(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .find(|directory| {
            directory.join("xtask/Cargo.toml").is_file()
                && std::fs::read_to_string(directory.join("Cargo.toml"))
                    .is_ok_and(|manifest| manifest.contains("[workspace]") && manifest.contains("tiergate"))
        })
        .map(Path::to_path_buf)
}

fn read_metadata(root: PathBuf, metadata: &Value) -> Option<Workspace> {
    let packages =
        metadata["packages"].as_array()?.iter().map(|package| read_package(&root, package)).collect::<Option<_>>()?;
    Some(Workspace { target: metadata["target_directory"].as_str()?.into(), packages, root })
}

fn read_package(root: &Path, package: &Value) -> Option<Package> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let manifest = Path::new(package["manifest_path"].as_str()?);
    let dependencies = package["dependencies"].as_array()?.iter().map(|dependency| {
        Some(Dependency { name: text(&dependency["name"])?, dev: dependency["kind"].as_str() == Some("dev") })
    });
    let benches = package["targets"].as_array()?.iter().filter(|target| {
        target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() == Some("bench")))
    });
    let benches = benches.map(|target| {
        let features = target["required-features"].as_array().into_iter().flatten().filter_map(text).collect();
        Some(Bench { name: text(&target["name"])?, features })
    });
    Some(Package {
        name: text(&package["name"])?,
        manifest: manifest.strip_prefix(root).unwrap_or(manifest).to_string_lossy().replace('\\', "/"),
        rust_version: text(&package["rust_version"]),
        description: text(&package["description"]),
        publish: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        dependencies: dependencies.collect::<Option<_>>()?,
        benches: benches.collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_from_below_and_nowhere_else() {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(root_above(&manifest.join("src")), manifest.parent().map(Path::to_path_buf));
        assert_eq!(root_above(Path::new("/")), None);
    }

    #[test]
    fn packages_are_read_with_edges_and_benches() {
        let metadata = serde_json::json!({
            "target_directory": "/w/target",
            "packages": [{
                "name": "tiergate-x", "manifest_path": "/w/crates/x/Cargo.toml", "rust_version": "1.90",
                "description": null, "publish": [],
                "dependencies": [
                    {"name": "serde", "rename": "s", "kind": null},
                    {"name": "tempfile", "kind": "dev"},
                ],
                "targets": [
                    {"name": "x", "kind": ["lib"]},
                    {"name": "speed", "kind": ["bench"], "required-features": ["testing"]},
                ],
            }],
        });
        let workspace = read_metadata("/w".into(), &metadata).expect("it is complete");
        let dependency = |name: &str, dev| Dependency { name: name.to_owned(), dev };
        let bench = Bench { name: "speed".to_owned(), features: vec!["testing".to_owned()] };
        assert_eq!(
            workspace.packages,
            [Package {
                name: "tiergate-x".to_owned(),
                manifest: "crates/x/Cargo.toml".to_owned(),
                rust_version: Some("1.90".to_owned()),
                description: None,
                publish: false,
                dependencies: vec![dependency("serde", false), dependency("tempfile", true)],
                benches: vec![bench],
            }]
        );
    }
}
