//! `tiergate model diff`: which decisions a new model would change.

use std::path::Path;
use std::process::ExitCode;

use authz::dry_run::{Changed, DryRun};
use authz::model::Model;
use authz::relation::Relationship;
use authz::storefile::{Check, Question, StoreFile, questions, relationships};
use serde_json::json;

use super::{FAILED, NO, YES, fail, is_store_file, say, small_runtime};
use crate::cli::ModelDiffArgs;

/// The largest file of relationships, in bytes.
const MAX_TUPLES_BYTES: usize = 256 << 20;
/// Relationships that are named; the others are counted.
const MAX_NAMED: usize = 20;

pub(super) fn run(args: &ModelDiffArgs) -> ExitCode {
    let found = match compare(args) {
        Ok(found) => found,
        Err(error) => return fail(error),
    };
    if found.asked == 0 {
        return fail(format!("{} asks nothing; a comparison of nothing says nothing", args.requests.display()));
    }
    if args.json {
        say(as_json(&found));
    } else {
        show(&found);
    }
    match found {
        found if !found.is_unchanged() => ExitCode::from(NO),
        // Nothing changed because nothing was answered: that must not pass for a yes.
        DryRun { asked, unanswered, .. } if asked == unanswered.len() => ExitCode::from(FAILED),
        _ => YES,
    }
}

fn compare(args: &ModelDiffArgs) -> Result<DryRun, String> {
    let (old, new) = (model(&args.old)?, model(&args.new)?);
    let mut data = Vec::new();
    for file in &args.tuples {
        data.extend(if is_store_file(file) {
            StoreFile::load(file).map_err(|error| error.to_string())?.tuples
        } else {
            relationships(file, MAX_TUPLES_BYTES).map_err(|error| error.to_string())?
        });
    }
    let mut rounds: Vec<(Vec<Relationship>, Vec<Question>)> = Vec::new();
    if is_store_file(&args.requests) {
        // Each test of a store file has relationships of its own.
        let StoreFile { tuples, tests, .. } = StoreFile::load(&args.requests).map_err(|error| error.to_string())?;
        for test in tests {
            let asked: Vec<Question> = test.checks.into_iter().map(question).collect();
            rounds.push((data.iter().chain(&tuples).chain(&test.tuples).cloned().collect(), asked));
        }
    } else {
        rounds.push((data, questions(&args.requests).map_err(|error| error.to_string())?));
    }
    let runtime = small_runtime().map_err(|error| error.to_string())?;
    let mut all = DryRun::default();
    for (relationships, questions) in rounds {
        let run = DryRun::new(&old, &new, &relationships, &questions);
        let DryRun { asked, changed, unanswered, dropped } =
            runtime.block_on(run).map_err(|error| error.to_string())?;
        all.asked += asked;
        all.changed.extend(changed);
        all.unanswered.extend(unanswered);
        for relationship in dropped {
            if !all.dropped.contains(&relationship) {
                all.dropped.push(relationship);
            }
        }
    }
    Ok(all)
}

fn question(Check { subject, relation, object, context, .. }: Check) -> Question {
    Question { subject, relation, object, context }
}

/// A model by itself, or that of a store file.
fn model(path: &Path) -> Result<Model, String> {
    let shown = path.display();
    if is_store_file(path) {
        let file = StoreFile::load(path).map_err(|error| error.to_string())?;
        return file.model.map_err(|errors| format!("{shown}: {errors}"));
    }
    let read = Model::load(path).and_then(|model| model.validate().map(|()| model));
    read.map_err(|errors| format!("{shown}: {errors}"))
}

fn show(found: &DryRun) {
    let DryRun { asked, changed, unanswered, dropped } = found;
    for Changed { question, before, after } in changed {
        say(format!("{question}: {before} -> {after}"));
    }
    for (question, why) in unanswered.iter().take(MAX_NAMED) {
        say(format!("{question}: no answer by either model ({why})"));
    }
    for relationship in dropped.iter().take(MAX_NAMED) {
        say(format!("would no longer count: {relationship}"));
    }
    if dropped.len() > MAX_NAMED {
        say(format!("would no longer count: {} more", dropped.len() - MAX_NAMED));
    }
    say(format!(
        "{} of {asked} decisions would change; {} have no answer by either model; {} relationships would no longer count",
        changed.len(),
        unanswered.len(),
        dropped.len()
    ));
}

fn as_json(found: &DryRun) -> serde_json::Value {
    let changed = found.changed.iter().map(|Changed { question, before, after }| {
        json!({"question": question.to_string(), "before": before.to_string(), "after": after.to_string()})
    });
    json!({
        "asked": found.asked,
        "changed": changed.collect::<Vec<_>>(),
        "unanswered": found.unanswered.iter().map(|(question, _)| question.to_string()).collect::<Vec<_>>(),
        "dropped": found.dropped.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
