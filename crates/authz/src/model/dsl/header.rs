//! The first lines of a file: `model` and `schema 1.1`, or `module wiki`.

use super::cursor::{Cursor, Parsed};
use super::token::Sign;
use crate::model::SchemaVersion;
use crate::model::error::{Faults, ModelError, ModelErrorKind};
use crate::relation::{Text, check_type};

const HEADER: &str = "begin the model with a line `model` and a line `schema 1.1`";
const MODULE: &str = "begin each file of a modular model with a line such as `module wiki`";

/// Reads `model` and `schema 1.1`. Where it is faulty the types are read nevertheless.
pub(super) fn of_model(cursor: &mut Cursor<'_>, faults: &mut Faults) -> Option<SchemaVersion> {
    let first = cursor.peek();
    let read = match cursor.take_word("model") {
        Some(_) => schema(cursor),
        None if first.is_word("module") => {
            let what = "the file is one module of a modular model, and no model of its own";
            let remedy = "read the model's `fga.mod`, or begin with a line `model` and a line `schema 1.1`";
            Err(ModelError::new(ModelErrorKind::Syntax, what, remedy).at(Some(first.place)))
        }
        None => Err(cursor.unexpected("`model`", HEADER)),
    };
    read.map_err(|error| {
        faults.push(error);
        go_on(cursor);
    })
    .ok()
}

fn schema(cursor: &mut Cursor<'_>) -> Parsed<SchemaVersion> {
    cursor.line_end(HEADER)?;
    cursor.skip_empty_lines();
    if cursor.take_word("schema").is_none() {
        return Err(cursor.unexpected("`schema 1.1`", HEADER));
    }
    let token = cursor.peek();
    if token.sign != Sign::Word {
        return Err(cursor.unexpected("the version of the schema", "write `schema 1.1`"));
    }
    let version = SchemaVersion::read(token.text).map_err(|error| error.at(Some(token.place)))?;
    cursor.take();
    cursor.line_end("let the schema's version stand alone on its line")?;
    Ok(version)
}

/// Reads `module wiki`. Where it is faulty the types are read nevertheless.
pub(super) fn of_module(cursor: &mut Cursor<'_>, faults: &mut Faults) -> Option<Text> {
    let read = module(cursor);
    read.map_err(|error| {
        faults.push(error);
        go_on(cursor);
        // The second half of the header of a model that is one file.
        cursor.skip_empty_lines();
        if cursor.is_word("schema") {
            cursor.skip_line();
        }
    })
    .ok()
}

fn module(cursor: &mut Cursor<'_>) -> Parsed<Text> {
    if cursor.is_word("model") && cursor.ahead(1).sign == Sign::LineEnd {
        return Err(cursor.syntax("the file is a model of its own, and no module", MODULE));
    }
    if cursor.take_word("module").is_none() {
        return Err(cursor.unexpected("`module`", MODULE));
    }
    let (name, _) = cursor.name("the name of the module", MODULE, check_type)?;
    cursor.line_end("let the module's name stand alone on its line")?;
    Ok(name)
}

/// A type may stand where the header should; it must not get lost with the fault.
fn go_on(cursor: &mut Cursor<'_>) {
    if !cursor.is_word("type") {
        cursor.skip_line();
    }
}
