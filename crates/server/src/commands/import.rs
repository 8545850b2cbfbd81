//! `tiergate import`

use std::process::ExitCode;

use super::{NO, YES, fail, say, small_runtime};
use crate::cli::{ImportArgs, SettingsArgs};
use crate::transfer::{DirectImport, Import, Imported};

pub(super) fn run(args: &ImportArgs) -> ExitCode {
    if args.direct {
        return direct(args);
    }
    let server = match args.url.server() {
        Ok(server) => server,
        Err(error) => return fail(error),
    };
    let import = Import {
        files: args.files.clone(),
        server,
        store: args.store.clone(),
        name: args.name.clone(),
        parallel: usize::from(args.parallel),
        journal: args.journal.clone(),
        replace_model: args.replace_model,
        skip_refused: args.skip_refused,
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(import.run()) {
        Ok(imported) => show(&imported),
        Err(error) => fail(error),
    }
}

fn direct(args: &ImportArgs) -> ExitCode {
    let sources = SettingsArgs { config: args.config.clone(), ..SettingsArgs::default() }.sources();
    let settings = match sources.load() {
        Ok(loaded) => loaded.settings,
        Err(error) => return fail(error),
    };
    let import = DirectImport {
        files: args.files.clone(),
        store: args.store.clone(),
        name: args.name.clone(),
        replace_model: args.replace_model,
        skip_refused: args.skip_refused,
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(import.run(&settings)) {
        Ok(imported) => show(&imported),
        Err(error) => fail(error),
    }
}

fn show(imported: &Imported) -> ExitCode {
    let Imported { store, taken, resumed_at, refused, refused_count, elapsed } = imported;
    let seconds = elapsed.as_secs_f64();
    let resumed = if *resumed_at > 0 { format!(", {resumed_at} of them by an earlier run") } else { String::new() };
    say(format!("store {store}: {taken} relationships{resumed}, in {seconds:.1} s"));
    for why in refused {
        say(format!("refused {why}"));
    }
    if *refused_count > refused.len() {
        say(format!("refused {} more", refused_count - refused.len()));
    }
    if *refused_count == 0 { YES } else { ExitCode::from(NO) }
}
