//! The lines of a model: its header, its types, and their relations.
//!
//! Indentation has no meaning; lines have. A fault costs the rest of its line, and reading goes on with the next one, so that
//! one run tells of many faults.

use std::collections::HashSet;

use super::cursor::{Cursor, Parsed};
use super::expression;
use super::token::{Sign, Token};
use crate::model::bounds::{MAX_RELATIONS, MAX_TYPES};
use crate::model::error::{Faults, Feature, ModelError, ModelErrorKind};
use crate::model::{Model, RelationDefinition, SchemaVersion, TypeDefinition};
use crate::relation::{Text, check_relation, check_type};

const HEADER: &str = "begin the model with a line `model` and a line `schema 1.1`";

pub(super) fn read(mut cursor: Cursor<'_>, faults: &mut Faults) -> Model {
    cursor.skip_empty_lines();
    header(&mut cursor, faults);
    let mut document = Document { cursor, faults, types: Vec::new(), known: Known::default(), in_relations: false };
    loop {
        document.cursor.skip_empty_lines();
        if document.cursor.peek().sign == Sign::End || document.faults.is_full() {
            break;
        }
        if let Err(error) = document.statement() {
            document.faults.push(error);
            document.cursor.skip_line();
        }
    }
    Model { schema_version: SchemaVersion::V1_1, types: document.types, conditions: Vec::new() }
}

/// Reads `model` and `schema 1.1`. Where it is faulty the types are read nevertheless.
fn header(cursor: &mut Cursor<'_>, faults: &mut Faults) {
    let first = cursor.peek();
    if first.is_word("module") && cursor.ahead(1).sign == Sign::Word {
        let what = format!("the file is a part of a modular model, the module `{}`", cursor.ahead(1).text);
        faults.push(ModelError::unsupported(Feature::Modules, what).at(Some(first.place)));
        cursor.skip_line();
        return;
    }
    let read = match cursor.take_word("model") {
        None => Err(cursor.unexpected("`model`", HEADER)),
        Some(_) => schema(cursor),
    };
    if let Err(error) = read {
        faults.push(error);
        // A type may stand where the header should; it must not get lost with the fault.
        if !cursor.is_word("type") {
            cursor.skip_line();
        }
    }
}

fn schema(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.line_end(HEADER)?;
    cursor.skip_empty_lines();
    if cursor.take_word("schema").is_none() {
        return Err(cursor.unexpected("`schema 1.1`", HEADER));
    }
    let version = cursor.peek();
    if version.sign != Sign::Word {
        return Err(cursor.unexpected("the version of the schema", "write `schema 1.1`"));
    }
    SchemaVersion::read(version.text).map_err(|error| error.at(Some(version.place)))?;
    cursor.take();
    cursor.line_end("let the schema's version stand alone on its line")
}

struct Document<'d, 'a> {
    cursor: Cursor<'a>,
    faults: &'d mut Faults,
    types: Vec<TypeDefinition>,
    known: Known,
    /// Whether the current type's `relations` line was read.
    in_relations: bool,
}

/// The names that were defined: of all types, and of the current type's relations.
#[derive(Default)]
struct Known {
    types: HashSet<Text>,
    relations: HashSet<Text>,
}

impl Document<'_, '_> {
    fn statement(&mut self) -> Parsed<()> {
        let first = self.cursor.take();
        match (first.sign, first.text) {
            (Sign::Word, "type") => self.type_definition(&first),
            (Sign::Word, "relations") => self.relations(&first),
            (Sign::Word, "define") => self.relation(&first),
            (Sign::Word, "extend") => self.extension(&first),
            (Sign::Word, "condition") => self.condition(&first),
            _ => Err(ModelError::new(
                ModelErrorKind::Syntax,
                format!("expected `type`, `relations` or `define`, found {}", first.describe()),
                "begin the line with one of these words, or with `#` for a comment",
            )
            .at(Some(first.place))),
        }
    }

    fn type_definition(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        // The relations below belong to nobody else, whatever is wrong with the name.
        self.known.relations.clear();
        self.in_relations = false;
        let unnamed =
            TypeDefinition { name: Text::from(""), relations: Vec::new(), module: None, place: Some(keyword.place) };
        self.types.push(unnamed);
        if self.types.len() > MAX_TYPES {
            self.types.pop();
            return Err(too_large(
                keyword,
                format!("the model has more than {MAX_TYPES} types"),
                "split it into several stores",
            ));
        }
        let (name, token) =
            self.cursor.name("the name of a type", "name the type, as in `type document`", check_type)?;
        if !self.known.types.insert(name.clone()) {
            self.faults.push(
                ModelError::new(
                    ModelErrorKind::Duplicate,
                    format!("the type `{name}` is defined twice"),
                    "keep one definition with the relations of both",
                )
                .at(Some(token.place)),
            );
        }
        if let Some(current) = self.types.last_mut() {
            current.name = name;
            current.place = Some(token.place);
        }
        self.cursor.line_end("give every type a line of its own, and its relations lines below")
    }

    fn relations(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        if self.types.is_empty() || self.in_relations {
            let what =
                if self.in_relations { "`relations` stands twice" } else { "`relations` stands outside of a type" };
            let remedy = "let one line `relations` follow the line of each type that has any";
            return Err(ModelError::new(ModelErrorKind::Syntax, what, remedy).at(Some(keyword.place)));
        }
        self.in_relations = true;
        self.cursor.line_end("give every `define` a line of its own")
    }

    fn relation(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        if !self.in_relations {
            let remedy = "put a line `relations` between the line of the type and its first `define`";
            self.faults.push(
                ModelError::new(ModelErrorKind::Syntax, "`define` stands without `relations` above it", remedy)
                    .at(Some(keyword.place)),
            );
            // Once for each type is enough.
            self.in_relations = true;
        }
        let (name, token) = self.cursor.relation_name("name the relation, as in `define viewer: [user]`")?;
        if self.cursor.take_if(Sign::Colon).is_none() {
            return Err(self.cursor.unexpected("`:` after the name of the relation", "write `define viewer: [user]`"));
        }
        let definition = expression::definition(&mut self.cursor, self.faults)?;
        self.cursor.line_end("open a parenthesis before you close it")?;
        if !self.known.relations.insert(name.clone()) {
            self.faults.push(
                ModelError::new(
                    ModelErrorKind::Duplicate,
                    format!("the relation `{name}` is defined twice in its type"),
                    "keep one definition, for example with `or` between the two",
                )
                .at(Some(token.place)),
            );
            return Ok(());
        }
        if self.known.relations.len() > MAX_RELATIONS {
            let what = format!("the type has more than {MAX_RELATIONS} relations");
            self.faults.push(too_large(&token, what, "split the type"));
            return Ok(());
        }
        if let Some(current) = self.types.last_mut() {
            current.relations.push(RelationDefinition {
                module: None,
                name,
                rewrite: definition.rewrite,
                restrictions: definition.restrictions,
                place: Some(token.place),
            });
        }
        Ok(())
    }

    /// `extend type t`: a module adds relations to another module's type, which are read like those of a type.
    fn extension(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        let Some(inner) = self.cursor.take_word("type") else {
            return Err(self.cursor.unexpected("`type` after `extend`", "write `type` alone"));
        };
        let what = "`extend` adds relations to a type of another module";
        self.faults.push(ModelError::unsupported(Feature::Modules, what).at(Some(keyword.place)));
        let (name, _) = self.cursor.name("the name of a type", "name the type that is extended", check_type)?;
        self.known.relations.clear();
        self.in_relations = false;
        self.types.push(TypeDefinition { name, relations: Vec::new(), module: None, place: Some(inner.place) });
        self.cursor.line_end("give every type a line of its own, and its relations lines below")
    }

    /// `condition c(...) {...}`: the body is another language, so that it is passed over up to the brace that closes it.
    fn condition(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        let remedy = "name the condition, as in `condition in_office(address: ipaddress) {...}`";
        let (name, _) = self.cursor.name("the name of a condition", remedy, check_relation)?;
        let what = format!("the model defines the condition `{name}`");
        self.faults.push(ModelError::unsupported(Feature::Conditions, what).at(Some(keyword.place)));
        let mut open = 0_usize;
        loop {
            match self.cursor.take().sign {
                Sign::BodyOpen => open += 1,
                Sign::BodyClose if open <= 1 => return Ok(()),
                Sign::BodyClose => open -= 1,
                Sign::End => {
                    let remedy = "put its expression between `{` and `}`";
                    return Err(ModelError::new(
                        ModelErrorKind::Syntax,
                        format!("the condition `{name}` has no end"),
                        remedy,
                    )
                    .at(Some(keyword.place)));
                }
                _ => {}
            }
        }
    }
}

fn too_large(token: &Token<'_>, what: String, remedy: &str) -> ModelError {
    ModelError::new(ModelErrorKind::TooLarge, what, remedy).at(Some(token.place))
}
