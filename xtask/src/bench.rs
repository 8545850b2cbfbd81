//! `cargo xtask bench`: the benchmarks that live in the crates, found through cargo and run as cargo runs them.

use crate::report::{Outcome, Report};
use crate::services::Services;
use crate::workspace::{Bench, Package, Workspace};
use crate::{process, test};

/// Run the benchmarks of the crates.
#[derive(Debug, Default, clap::Args)]
#[command(
    after_help = "Each file in crates/*/benches is a program that prints its figures, as ratios wherever one can \
                        be made, and that fails where it misses one that was promised. With --quick it measures briefly, \
                        shows that it works, and judges nothing; with --dev too it is built like the tests, which is soon done \
                        after them.\n\n\
                        Examples:\n  \
                        cargo xtask bench --list\n  \
                        cargo xtask bench l1\n  \
                        cargo xtask bench --quick\n  \
                        cargo xtask bench --quick --dev"
)]
pub(crate) struct Args {
    /// Only the benchmark with this name, or those of the package with this name
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Measure briefly and do not judge; passed on to the benchmarks
    #[arg(long)]
    pub(crate) quick: bool,
    /// Build without optimization, with what the tests are built with: no figure for anybody, but soon there
    #[arg(long, requires = "quick")]
    pub(crate) dev: bool,
    /// Only say which benchmarks there are
    #[arg(long)]
    pub(crate) list: bool,
    /// Install nothing: what measures Redis or PostgreSQL is skipped where those are missing
    #[arg(long)]
    pub(crate) no_install: bool,
}

impl Args {
    /// That each benchmark works, for `cargo xtask ci`.
    pub(crate) fn brief() -> Self {
        Self { quick: true, dev: true, ..Self::default() }
    }
}

pub(crate) fn run(workspace: &Workspace, args: &Args, report: &mut Report) -> Result<(), String> {
    let chosen = choose(&workspace.packages, args.name.as_deref())?;
    if args.list {
        chosen.iter().for_each(|(package, bench)| println!("{} (of {})", bench.name, package.name));
        return Ok(());
    }
    let services = Services::prepare(workspace, !args.no_install, report);
    run_with(&services, workspace, args, report)
}

/// As `run`, with servers that were prepared before.
pub(crate) fn run_with(
    services: &Services,
    workspace: &Workspace,
    args: &Args,
    report: &mut Report,
) -> Result<(), String> {
    let chosen = choose(&workspace.packages, args.name.as_deref())?;
    if chosen.is_empty() {
        report.step("bench", || Outcome::Skipped("no crate has a benchmark".to_owned()));
    }
    for (package, bench) in chosen {
        report.step(format!("bench {}", bench.name), || {
            let mut command = process::cargo(&workspace.root, ["bench", "--bench", bench.name.as_str()]);
            if args.dev {
                command.args(test::FORM).args(["--profile", "dev"]);
            } else {
                command.args(["--locked", "--package", package.name.as_str()]);
            }
            for feature in &bench.features {
                command.arg("--features").arg(format!("{}/{feature}", package.name));
            }
            services.name_to(&mut command);
            if args.quick {
                command.args(["--", "--quick"]);
            }
            process::run(&mut command)
        });
    }
    Ok(())
}

fn choose<'a>(packages: &'a [Package], name: Option<&str>) -> Result<Vec<(&'a Package, &'a Bench)>, String> {
    let all = packages.iter().flat_map(|package| package.benches.iter().map(move |bench| (package, bench)));
    let Some(name) = name else {
        return Ok(all.collect());
    };
    let called = |(package, bench): &(&Package, &Bench)| {
        bench.name == name || package.name == name || package.name.ends_with(&format!("-{name}"))
    };
    let chosen: Vec<_> = all.clone().filter(called).collect();
    if chosen.is_empty() {
        let known: Vec<_> = all.map(|(_, bench)| bench.name.as_str()).collect();
        let known = if known.is_empty() { "there are none yet".to_owned() } else { known.join(", ") };
        return Err(format!("there is no benchmark `{name}`; the benchmarks: {known}"));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, benches: &[&str]) -> Package {
        let benches = benches.iter().map(|name| Bench { name: (*name).to_owned(), features: vec![] }).collect();
        Package { name: name.to_owned(), benches, ..Package::default() }
    }

    #[test]
    fn a_benchmark_is_chosen_by_its_name_or_its_package() {
        let packages = [package("tiergate-cache-l1", &["hit", "fill"]), package("tiergate-server", &["http"])];
        let names = |name| {
            choose(&packages, name).map(|chosen| chosen.iter().map(|(_, bench)| bench.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(None).expect("all"), ["hit", "fill", "http"]);
        assert_eq!(names(Some("fill")).expect("it exists"), ["fill"]);
        assert_eq!(names(Some("l1")).expect("it exists"), ["hit", "fill"]);
        assert!(names(Some("x")).expect_err("there is none").contains("hit, fill, http"));
    }
}
