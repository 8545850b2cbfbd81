//! The lines of a model: its header, its types, their relations, and its conditions.
//!
//! Indentation has no meaning; lines have. A fault costs the rest of its line, and reading goes on with the next one, so that
//! one run tells of many faults.

use std::collections::HashSet;

use super::cursor::{Cursor, Parsed};
use super::token::{Sign, Token};
use super::{condition, expression, header};
use crate::model::bounds::{MAX_CONDITIONS, MAX_RELATIONS, MAX_TYPES};
use crate::model::error::{Faults, ModelError, ModelErrorKind};
use crate::model::{ConditionDefinition, Model, Module, RelationDefinition, SchemaVersion, TypeDefinition};
use crate::relation::{Text, check_type};

/// One file of a modular model.
#[derive(Default)]
pub(in crate::model) struct Part {
    pub(in crate::model) types: Vec<TypeDefinition>,
    pub(in crate::model) extensions: Vec<Extension>,
    pub(in crate::model) conditions: Vec<ConditionDefinition>,
}

/// `extend type t`: what is added to a type that another file defines. Its name and its place are those of the extension.
pub(in crate::model) struct Extension(pub(in crate::model) TypeDefinition);

/// Reads a model that is one file.
pub(super) fn read(mut cursor: Cursor<'_>, faults: &mut Faults) -> Model {
    cursor.skip_empty_lines();
    let schema_version = header::of_model(&mut cursor, faults).unwrap_or(SchemaVersion::V1_1);
    let Part { types, conditions, .. } = statements(cursor, faults, None);
    Model { schema_version, types, conditions }
}

/// Reads one file of a modular model. `file` is what its module is told to come from.
pub(in crate::model) fn read_part(text: &str, file: &Text, faults: &mut Faults) -> Part {
    let mut cursor = Cursor::new(text);
    cursor.skip_empty_lines();
    let name = header::of_module(&mut cursor, faults).unwrap_or_else(|| Text::from(""));
    statements(cursor, faults, Some(Module { name, file: Some(file.clone()) }))
}

fn statements(cursor: Cursor<'_>, faults: &mut Faults, module: Option<Module>) -> Part {
    let part = Part::default();
    let mut document = Document {
        cursor,
        faults,
        part,
        module,
        known: Known::default(),
        current: Current::Nothing,
        in_relations: false,
    };
    loop {
        document.cursor.skip_empty_lines();
        if document.cursor.peek().sign == Sign::End || document.faults.is_full() {
            return document.part;
        }
        if let Err(error) = document.statement() {
            document.faults.push(error);
            document.cursor.skip_line();
        }
    }
}

struct Document<'d, 'a> {
    cursor: Cursor<'a>,
    faults: &'d mut Faults,
    part: Part,
    /// The module of a file of a modular model; none where the file is the model.
    module: Option<Module>,
    known: Known,
    current: Current,
    /// Whether the current type's `relations` line was read.
    in_relations: bool,
}

/// What the lines with relations belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    Nothing,
    Type,
    Extension,
}

/// The names that were defined: of all types, extensions and conditions, and of the current type's relations.
#[derive(Default)]
struct Known {
    types: HashSet<Text>,
    extensions: HashSet<Text>,
    conditions: HashSet<Text>,
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
                format!("expected `type`, `relations`, `define` or `condition`, found {}", first.describe()),
                "begin the line with one of these words, or with `#` for a comment",
            )
            .at(Some(first.place))),
        }
    }

    fn type_definition(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        // The relations below belong to nobody else, whatever is wrong with the name.
        self.begin(Current::Type);
        self.part.types.push(self.nameless(keyword));
        if self.part.types.len() > MAX_TYPES {
            self.part.types.pop();
            return Err(too_large(
                keyword,
                format!("the model has more than {MAX_TYPES} types"),
                "split it into several stores",
            ));
        }
        let (name, token) =
            self.cursor.name("the name of a type", "name the type, as in `type document`", check_type)?;
        if !self.known.types.insert(name.clone()) {
            self.duplicate(
                &token,
                format!("the type `{name}` is defined twice"),
                "keep one definition with the relations of both",
            );
        }
        if let Some(current) = self.part.types.last_mut() {
            current.name = name;
            current.place = Some(token.place);
        }
        self.cursor.line_end("give every type a line of its own, and its relations lines below")
    }

    fn begin(&mut self, current: Current) {
        self.known.relations.clear();
        self.in_relations = false;
        self.current = current;
    }

    fn nameless(&self, keyword: &Token<'_>) -> TypeDefinition {
        let module = self.module.clone();
        TypeDefinition { name: Text::from(""), relations: Vec::new(), module, place: Some(keyword.place) }
    }

    fn duplicate(&mut self, token: &Token<'_>, what: String, remedy: &str) {
        self.faults.push(ModelError::new(ModelErrorKind::Duplicate, what, remedy).at(Some(token.place)));
    }

    fn relations(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        if self.current == Current::Nothing || self.in_relations {
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
        let definition = expression::definition(&mut self.cursor)?;
        self.cursor.line_end("open a parenthesis before you close it")?;
        if !self.known.relations.insert(name.clone()) {
            let what = format!("the relation `{name}` is defined twice in its type");
            self.duplicate(&token, what, "keep one definition, for example with `or` between the two");
            return Ok(());
        }
        if self.known.relations.len() > MAX_RELATIONS {
            let what = format!("the type has more than {MAX_RELATIONS} relations");
            self.faults.push(too_large(&token, what, "split the type"));
            return Ok(());
        }
        let (current, module) = match self.current {
            Current::Extension => {
                (self.part.extensions.last_mut().map(|extension| &mut extension.0), self.module.clone())
            }
            Current::Type => (self.part.types.last_mut(), None),
            Current::Nothing => (None, None),
        };
        if let Some(current) = current {
            current.relations.push(RelationDefinition {
                name,
                rewrite: definition.rewrite,
                restrictions: definition.restrictions,
                module,
                place: Some(token.place),
            });
        }
        Ok(())
    }

    /// `extend type t`: a module adds relations to a type of another file, which are read like those of a type.
    fn extension(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        if self.cursor.take_word("type").is_none() {
            return Err(self.cursor.unexpected("`type` after `extend`", "write `extend type document`"));
        }
        self.begin(Current::Extension);
        self.part.extensions.push(Extension(self.nameless(keyword)));
        if self.part.extensions.len() > MAX_TYPES {
            self.part.extensions.pop();
            let what = format!("the module extends more than {MAX_TYPES} types");
            return Err(too_large(keyword, what, "split it into several stores"));
        }
        let (name, token) = self.cursor.name("the name of a type", "name the type that is extended", check_type)?;
        if self.module.is_none() {
            let what = "`extend` stands in a model that is one file, where no other file defines the type";
            let remedy = "add the relations to the type itself";
            self.faults.push(ModelError::new(ModelErrorKind::Syntax, what, remedy).at(Some(keyword.place)));
        }
        if !self.known.extensions.insert(name.clone()) {
            let what = format!("the type `{name}` is extended twice in one file");
            self.duplicate(&token, what, "keep one extension with the relations of both");
        }
        if let Some(current) = self.part.extensions.last_mut() {
            current.0.name = name;
            current.0.place = Some(token.place);
        }
        self.cursor.line_end("give every type a line of its own, and its relations lines below")
    }

    fn condition(&mut self, keyword: &Token<'_>) -> Parsed<()> {
        self.begin(Current::Nothing);
        let read = condition::definition(&mut self.cursor, self.faults);
        let mut definition = read.inspect_err(|_| self.skip_body())?;
        definition.module = self.module.clone();
        if !self.known.conditions.insert(definition.name.clone()) {
            let what = format!("the condition `{}` is defined twice", definition.name);
            let error = ModelError::new(ModelErrorKind::Duplicate, what, "keep one of them, or give one another name");
            self.faults.push(error.at(definition.place));
            return Ok(());
        }
        if self.part.conditions.len() == MAX_CONDITIONS {
            let what = format!("the model has more than {MAX_CONDITIONS} conditions");
            return Err(too_large(keyword, what, "give conditions parameters instead of constants"));
        }
        self.part.conditions.push(definition);
        Ok(())
    }
}

impl Document<'_, '_> {
    /// Passes over the body of a condition whose beginning is faulty, because its lines mean nothing here.
    fn skip_body(&mut self) {
        loop {
            match self.cursor.peek().sign {
                Sign::LineEnd | Sign::End => return,
                Sign::BodyOpen => {
                    let opening = self.cursor.take();
                    self.cursor.body(&opening);
                    return;
                }
                _ => self.cursor.take(),
            };
        }
    }
}

fn too_large(token: &Token<'_>, what: String, remedy: &str) -> ModelError {
    ModelError::new(ModelErrorKind::TooLarge, what, remedy).at(Some(token.place))
}
