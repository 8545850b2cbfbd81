//! `fga.mod`: which files a modular model consists of.
//!
//! A path in it is relative to its folder, leads to an `.fga` file, and doesn't leave the folder.

use std::path::{Component, Path};

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::model::bounds::MAX_MODULE_FILES;
use crate::model::error::{Faults, ModelError, ModelErrorKind, ModelErrors, Place};
use crate::relation::Text;

/// What is written in `fga.mod`. Other keys are passed over, as OpenFGA does.
#[derive(Deserialize)]
struct Raw {
    schema: Option<Spanned<Value>>,
    contents: Option<Spanned<Value>>,
}

/// The entries one by one; read only where they are known to be a list.
#[derive(Deserialize)]
struct Listed {
    contents: Vec<Spanned<Value>>,
}

/// The files, as they are named and in their order.
pub(super) fn read(text: &str, manifest: &Text) -> Result<Vec<Text>, ModelErrors> {
    let raw: Raw = parse(text).map_err(|error| error.in_file(Some(manifest)))?;
    let mut faults = Faults::default();
    let mut tell = |what: String, remedy: &str, at: Option<Place>| {
        let error = ModelError::new(ModelErrorKind::Syntax, what, remedy).at(at).in_file(Some(manifest));
        faults.push(error);
    };
    match &raw.schema {
        None => tell("the version of the schema is missing".to_owned(), "write `schema: '1.2'`", None),
        Some(schema) => match &schema.value {
            Value::String(version) if version == "1.2" => {}
            other => {
                let what = format!("the schema is {}, and that of a modular model is the text '1.2'", shown(other));
                tell(what, "write `schema: '1.2'`, with the quotes", Some(place(schema)));
            }
        },
    }
    let remedy = "list the files, as in `contents: [core.fga, wiki.fga]`";
    let mut files = Vec::new();
    match raw.contents {
        None => tell("the list of files is missing".to_owned(), remedy, None),
        Some(contents) => match &contents.value {
            Value::Array(list) if list.len() > MAX_MODULE_FILES => {
                let what = format!("more than {MAX_MODULE_FILES} files are listed");
                tell(what, "join some of them", Some(place(&contents)));
            }
            Value::Array(_) => {
                let listed: Listed = parse(text).map_err(|error| error.in_file(Some(manifest)))?;
                for entry in &listed.contents {
                    match file(&entry.value) {
                        Ok(file) => files.push(file),
                        Err((what, remedy)) => tell(what, remedy, Some(place(entry))),
                    }
                }
            }
            other => tell(format!("the list of files is {}", shown(other)), remedy, Some(place(&contents))),
        },
    }
    faults.into_result(files)
}

fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, ModelError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let message = error.without_snippet().render_with_formatter(&serde_saphyr::UserMessageFormatter);
        let what = format!("the file can't be read as YAML: {}", message.lines().next().unwrap_or_default());
        let at = error.location().map(|location| at(location.line(), location.column()));
        ModelError::new(ModelErrorKind::Syntax, what, "give it a `schema` and a list `contents`").at(at)
    })
}

/// A path, or what is wrong with it and what to do.
fn file(entry: &Value) -> Result<Text, (String, &'static str)> {
    const REMEDY: &str = "name a file in the folder of `fga.mod` or below it, as in `wiki/pages.fga`";
    let Value::String(named) = entry else {
        return Err((format!("a file is named by {}", shown(entry)), "name it by a text"));
    };
    // Written on whatever system, the path is the same.
    let path = named.replace('\\', "/");
    let inside = Path::new(&path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if path.is_empty() || path.len() > 4096 || !inside || path.contains(char::is_control) {
        return Err((format!("{} is no path within the folder", shown(entry)), REMEDY));
    }
    match path.ends_with(".fga") {
        true => Ok(Text::from(path)),
        false => Err((format!("{} has another ending than .fga", shown(entry)), REMEDY)),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", text.chars().take(64).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        other => format!("the value {other}"),
    }
}

fn place<T>(spanned: &Spanned<T>) -> Place {
    at(spanned.referenced.line(), spanned.referenced.column())
}

fn at(line: u64, column: u64) -> Place {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Place { line: narrow(line), column: narrow(column) }
}
