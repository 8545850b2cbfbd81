//! The two templates of a route: its path, and the resource that is made from the path's placeholders.
//!
//! Invariant: two paths with different placeholders never make the same resource from one template. A value holds no slash unless it is the
//! last one, so that a slash between two placeholders keeps them apart.

use authz::relation::{IdentError, Object, Text, check_type};

use super::target::{Ambiguous, check_segment, without_slash};

/// The longest template, in bytes.
const MAX_TEMPLATE_BYTES: usize = 1_024;

/// A path with placeholders.
#[derive(Clone, Debug)]
pub(super) struct PathTemplate {
    pub(super) text: String,
    /// In their order.
    pub(super) names: Vec<String>,
    /// Whether the last one takes all that follows.
    catch_all: bool,
}

/// A resource with placeholders in its id.
#[derive(Clone, Debug)]
pub(super) struct ResourceTemplate {
    type_name: Text,
    id: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Value(String),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateFault {
    #[error("the path has more than {MAX_TEMPLATE_BYTES} bytes; divide the route")]
    TooLong,
    #[error("the path does not begin with /; write it as /documents/{{id}}")]
    NoSlash,
    #[error("no request can reach the path: {0}; write it decoded and without such segments")]
    Unreachable(#[from] Ambiguous),
    #[error(
        "the path's segment {0:?} is no placeholder and no text; a placeholder is a whole segment, {{id}} or {{*rest}}, of a-z, 0-9 and _"
    )]
    Braces(String),
    #[error("the path has the placeholder {{{0}}} twice; give each a name of its own")]
    Twice(String),
    #[error("{{*{0}}} takes all that follows; move it to the end of the path")]
    NotLast(String),
    #[error("resource has no : after a fixed type; write it as type:id, for example document:{{id}}")]
    NoType,
    #[error("resource has a brace without its partner, or a placeholder that is not of a-z, 0-9 and _; write {{id}}")]
    ResourceBraces,
    #[error("resource names {{{name}}}, which the path does not have; {}", has(.known))]
    Unknown { name: String, known: Vec<String> },
    #[error(
        "resource has placeholders that are not kept apart by a slash, so that two paths could mean one resource; write {{a}}/{{b}}"
    )]
    Apart,
    #[error("resource has {{{0}}}, which takes slashes, before other text; move it to the end")]
    CatchAllLast(String),
    #[error("resource: {0}")]
    Ident(#[from] IdentError),
}

fn has(known: &[String]) -> String {
    match known {
        [] => "it has no placeholders".to_owned(),
        names => format!("it has {{{}}}", names.join("}, {")),
    }
}

impl PathTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateFault> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateFault::TooLong);
        }
        let rest = text.strip_prefix('/').ok_or(TemplateFault::NoSlash)?;
        let mut template = Self { text: text.to_owned(), names: Vec::new(), catch_all: false };
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            template.take(segment, is_last)?;
        }
        Ok(template)
    }

    fn take(&mut self, segment: &str, is_last: bool) -> Result<(), TemplateFault> {
        let braced = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(inside) = braced else {
            return match segment {
                "" if is_last => Ok(()),
                _ if segment.contains(['{', '}', '*']) => Err(TemplateFault::Braces(segment.to_owned())),
                _ => Ok(check_segment(segment)?),
            };
        };
        let (name, catch_all) = match inside.strip_prefix('*') {
            Some(name) => (name, true),
            None => (inside, false),
        };
        if !is_name(name) {
            return Err(TemplateFault::Braces(segment.to_owned()));
        }
        if self.names.iter().any(|known| known == name) {
            return Err(TemplateFault::Twice(name.to_owned()));
        }
        if catch_all && !is_last {
            return Err(TemplateFault::NotLast(name.to_owned()));
        }
        self.names.push(name.to_owned());
        self.catch_all |= catch_all;
        Ok(())
    }

    /// The template without a slash at its end and with its placeholders named by their order: what is left says which paths it matches.
    pub(super) fn plain(&self) -> String {
        let mut number = 0;
        let segments = self.text.split('/').map(|segment| {
            if !segment.starts_with('{') {
                return segment.to_owned();
            }
            number += 1;
            let mark = if segment.starts_with("{*") { "*" } else { "" };
            format!("{{{mark}p{number}}}")
        });
        let text = segments.collect::<Vec<_>>().join("/");
        without_slash(&text).to_owned()
    }
}

impl ResourceTemplate {
    pub(super) fn parse(text: &str, path: &PathTemplate) -> Result<Self, TemplateFault> {
        let (type_name, id) = text.split_once(':').ok_or(TemplateFault::NoType)?;
        if type_name.contains(['{', '}']) {
            return Err(TemplateFault::NoType);
        }
        let template = Self { type_name: check_type(type_name)?, id: pieces(id)? };
        template.check_values(path)?;
        // With any value the rest must be an id.
        template.fill(|_| Some("x"))?;
        Ok(template)
    }

    fn check_values(&self, path: &PathTemplate) -> Result<(), TemplateFault> {
        let catch_all = path.names.last().filter(|_| path.catch_all);
        let mut apart = true;
        for (at, piece) in self.id.iter().enumerate() {
            match piece {
                Piece::Text(text) => apart |= text.contains('/'),
                Piece::Value(name) if !path.names.contains(name) => {
                    return Err(TemplateFault::Unknown { name: name.clone(), known: path.names.clone() });
                }
                Piece::Value(_) if !apart => return Err(TemplateFault::Apart),
                Piece::Value(name) if Some(name) == catch_all && at + 1 < self.id.len() => {
                    return Err(TemplateFault::CatchAllLast(name.clone()));
                }
                Piece::Value(_) => apart = false,
            }
        }
        Ok(())
    }

    /// The resource for values of the placeholders; a value that is missing is an empty one.
    pub(super) fn fill<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Result<Object, IdentError> {
        let parts = self.id.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Value(name) => value(name).unwrap_or_default(),
        });
        let id: String = parts.collect();
        Object::new(&self.type_name, &id)
    }
}

fn pieces(id: &str) -> Result<Vec<Piece>, TemplateFault> {
    let mut pieces = Vec::new();
    let mut rest = id;
    while let Some(at) = rest.find(['{', '}']) {
        let (text, braced) = rest.split_at(at);
        let inside = braced.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (name, after) = inside.filter(|(name, _)| is_name(name)).ok_or(TemplateFault::ResourceBraces)?;
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(Piece::Value(name.to_owned()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
