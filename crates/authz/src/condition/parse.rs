//! Text becomes a tree by way of the `cel` crate, which sees only what [`scan`] let through.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::common::ast::{IdedExpr, SourceInfo};
use cel::parser::Parser;

use super::bounds::{MAX_EXPRESSION_DEPTH, MAX_FAULTS};
use super::error::shown;
use super::fault::{ConditionFault, place_of};
use super::scan::scan;

/// A tree, and where its parts stand.
pub(super) struct Parsed {
    pub(super) root: IdedExpr,
    source: SourceInfo,
}

impl Parsed {
    pub(super) fn place(&self, id: u64) -> Option<(u32, u32)> {
        let (start, _) = self.source.offset_for(id)?;
        Some(place_of(&self.source.source, usize::try_from(start).ok()?))
    }
}

/// Parses an expression.
pub(super) fn parse(text: &str) -> Result<Parsed, Vec<ConditionFault>> {
    scan(text).map_err(|fault| vec![fault])?;
    let depth = u16::try_from(2 * MAX_EXPRESSION_DEPTH).unwrap_or(u16::MAX);
    let parser = Parser::new().max_recursion_depth(depth).error_recovery_limit(4);
    // The parser panics where it believes that its generated tables rule a case out; a model must not bring anything down.
    let parsed = catch_unwind(AssertUnwindSafe(|| parser.parse_with_source_info(text)));
    match parsed {
        Ok(Ok((root, source))) => Ok(Parsed { root, source }),
        Ok(Err(errors)) => Err(errors.errors.into_iter().take(MAX_FAULTS).map(|error| told(&error)).collect()),
        Err(_) => Err(vec![ConditionFault::new("the expression can't be read", "write it in a simpler way")]),
    }
}

fn told(error: &cel::parser::ParseError) -> ConditionFault {
    let (line, column) = error.pos;
    let place = u32::try_from(line).ok().zip(u32::try_from(column).ok()).filter(|(line, _)| *line > 0);
    let mut what = error.msg.trim_start_matches("Syntax error: ").to_owned();
    // What could have stood there is a list of nearly every sign.
    if let Some((found, _)) = what.split_once(" expecting {") {
        what = found.to_owned();
    }
    let remedy = match () {
        () if what.contains("'and'") || what.contains("'or'") || what.contains("'not'") => "write `&&`, `||` and `!`",
        () if what.starts_with("token recognition error at: '=") => "write `==`",
        () if what.contains("'<EOF>'") => "something is missing at the end",
        () => "see the grammar of CEL: comparisons, `&&`, `||`, `!`, `in`, calls, and `?:`",
    };
    ConditionFault::new(format!("the expression can't be read: {}", shown(&what)), remedy).at(place)
}
