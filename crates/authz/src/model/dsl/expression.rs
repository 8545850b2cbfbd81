//! The right-hand side of a `define`: how a relation is computed.
//!
//! ```text
//! expression = operand { "or" operand } | operand { "and" operand } | operand "but not" operand
//! operand    = "[" restrictions "]" | relation | relation "from" relation | "(" expression ")"
//! restriction = type | type ":" "*" | type "#" relation, each optionally followed by "with" condition
//! ```
//!
//! Operators have no precedence: two different ones on one level need parentheses. The parser descends once for each opening
//! parenthesis, and refuses the one that would exceed [`MAX_NESTING`], so that no text overflows the stack.

use super::cursor::{Cursor, Parsed};
use super::token::{Sign, Token};
use crate::model::bounds::{MAX_NESTING, MAX_OPERANDS, MAX_RESTRICTIONS};
use crate::model::error::{ModelError, ModelErrorKind};
use crate::model::{Restriction, RestrictionTarget, Rewrite, check_condition};
use crate::relation::{Text, check_relation, check_type};

/// What a `define` says after its colon.
pub(super) struct Definition {
    pub(super) rewrite: Rewrite,
    pub(super) restrictions: Vec<Restriction>,
}

/// Reads up to the end of the line, which is left unread.
pub(super) fn definition(cursor: &mut Cursor<'_>) -> Parsed<Definition> {
    let mut reader = Reader { cursor, restrictions: None };
    let rewrite = reader.expression(1)?;
    Ok(Definition { rewrite, restrictions: reader.restrictions.unwrap_or_default() })
}

struct Reader<'r, 'a> {
    cursor: &'r mut Cursor<'a>,
    /// The list of who may be written directly, once it was seen.
    restrictions: Option<Vec<Restriction>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    ButNot,
}

impl<'a> Reader<'_, 'a> {
    fn expression(&mut self, level: usize) -> Parsed<Rewrite> {
        let first = self.operand(level)?;
        let Some(operator) = self.operator()? else {
            return Ok(first);
        };
        let mut operands = vec![first];
        loop {
            self.take_operator(operator);
            if operands.len() == MAX_OPERANDS {
                return Err(self.too_large(
                    format!("more than {MAX_OPERANDS} things are joined by `{}`", operator.text()),
                    "give some of them a relation of their own",
                ));
            }
            operands.push(self.operand(level)?);
            match self.operator()? {
                None => break,
                Some(Operator::ButNot) if operator == Operator::ButNot => {
                    return Err(self.cursor.syntax(
                        "`but not` takes one thing on each side, and here a second one follows",
                        "put parentheses around one of the pairs, as in `(a but not b) but not c`",
                    ));
                }
                Some(next) if next != operator => {
                    return Err(self.cursor.syntax(
                        format!("`{}` and `{}` stand side by side", operator.text(), next.text()),
                        "put parentheses around what belongs together, as in `(a or b) and c`",
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(match operator {
            Operator::Or => Rewrite::Union(operands),
            Operator::And => Rewrite::Intersection(operands),
            Operator::ButNot => {
                let mut operands = operands.into_iter();
                match (operands.next(), operands.next()) {
                    (Some(base), Some(subtract)) => {
                        Rewrite::Exclusion { base: Box::new(base), subtract: Box::new(subtract) }
                    }
                    _ => unreachable!("the loop reads a second operand, or fails"),
                }
            }
        })
    }

    fn operator(&self) -> Parsed<Option<Operator>> {
        let token = self.cursor.peek();
        match (token.sign, token.text) {
            (Sign::Word, "or") => Ok(Some(Operator::Or)),
            (Sign::Word, "and") => Ok(Some(Operator::And)),
            (Sign::Word, "but") if self.cursor.ahead(1).is_word("not") => Ok(Some(Operator::ButNot)),
            (Sign::Word, "but") => Err(self.cursor.syntax("`but` stands without `not`", "write `but not`")),
            (Sign::LineEnd | Sign::End | Sign::GroupClose, _) => Ok(None),
            _ => Err(self.cursor.unexpected(
                "`or`, `and`, `but not` or the end of the line",
                "join relations with one of these operators",
            )),
        }
    }

    fn take_operator(&mut self, operator: Operator) {
        self.cursor.take();
        if operator == Operator::ButNot {
            self.cursor.take();
        }
    }

    fn operand(&mut self, level: usize) -> Parsed<Rewrite> {
        let token = self.cursor.peek();
        match token.sign {
            Sign::ListOpen => self.direct(),
            Sign::GroupOpen if level == MAX_NESTING => Err(self.too_large(
                format!("more than {} parentheses are open within each other", MAX_NESTING - 1),
                "give the inner part a relation of its own",
            )),
            Sign::GroupOpen => {
                self.cursor.take();
                let inner = self.expression(level + 1)?;
                if self.cursor.take_if(Sign::GroupClose).is_none() {
                    return Err(self.cursor.unexpected("`)`", "close every parenthesis on the line that opens it"));
                }
                Ok(inner)
            }
            Sign::Word if !self.cursor.at_operator() => self.computed(),
            _ => Err(self.cursor.unexpected(
                "a relation, a list of types in `[` and `]`, or `(`",
                "write what the relation follows from, as in `[user] or editor`",
            )),
        }
    }

    fn computed(&mut self) -> Parsed<Rewrite> {
        let relation = self.relation()?;
        if self.cursor.take_word("from").is_none() {
            return Ok(Rewrite::Computed { relation });
        }
        Ok(Rewrite::TupleToUserset { tupleset: self.relation()?, computed: relation })
    }

    fn relation(&mut self) -> Parsed<Text> {
        let remedy = "name a relation, as in `viewer from parent`";
        Ok(self.cursor.relation_name(remedy)?.0)
    }

    fn direct(&mut self) -> Parsed<Rewrite> {
        let opening = self.cursor.take();
        let list = self.restrictions(&opening)?;
        match &self.restrictions {
            Some(known) if *known != list => {
                return Err(ModelError::new(
                    ModelErrorKind::Restriction,
                    "the relation has two different lists of who may be written directly",
                    "keep one list with the types of both",
                )
                .at(Some(opening.place)));
            }
            _ => self.restrictions = Some(list),
        }
        Ok(Rewrite::Direct)
    }

    /// The inside of a list and its end. A list may run over several lines.
    fn restrictions(&mut self, opening: &Token<'a>) -> Parsed<Vec<Restriction>> {
        let mut list = Vec::new();
        self.skip_line_ends_in_list(opening)?;
        if self.cursor.take_if(Sign::ListClose).is_some() {
            // An empty list reads well; that nobody could be written is for the validation to say.
            return Ok(list);
        }
        loop {
            if list.len() == MAX_RESTRICTIONS {
                return Err(self.too_large(
                    format!("the list has more than {MAX_RESTRICTIONS} entries"),
                    "gather some of them in a type of their own, such as a group",
                ));
            }
            list.push(self.restriction()?);
            self.skip_line_ends_in_list(opening)?;
            if self.cursor.take_if(Sign::ListClose).is_some() {
                return Ok(list);
            }
            if self.cursor.take_if(Sign::Comma).is_none() {
                return Err(self
                    .cursor
                    .unexpected("`,` or `]`", "separate the entries of a list with commas, and close it"));
            }
            self.skip_line_ends_in_list(opening)?;
        }
    }

    fn restriction(&mut self) -> Parsed<Restriction> {
        let remedy = "list types as in `[user, user:*, team#member]`";
        let (type_name, _) = self.cursor.name("the name of a type", remedy, check_type)?;
        let target = if self.cursor.take_if(Sign::Hash).is_some() {
            RestrictionTarget::Userset(self.cursor.name("the name of a relation", remedy, check_relation)?.0)
        } else if self.cursor.take_if(Sign::Colon).is_some() {
            if self.cursor.take_if(Sign::Star).is_none() {
                return Err(self
                    .cursor
                    .unexpected("`*` after `:`", "write `user:*` for every user, or `user` for single ones"));
            }
            RestrictionTarget::Wildcard
        } else {
            RestrictionTarget::Object
        };
        let condition = match self.cursor.take_word("with") {
            Some(_) => {
                let remedy = "write `[user with condition]`";
                Some(self.cursor.name("the name of a condition", remedy, check_condition)?.0)
            }
            None => None,
        };
        Ok(Restriction { type_name, target, condition })
    }

    /// A list that was never closed must not swallow the definitions below it.
    fn skip_line_ends_in_list(&mut self, opening: &Token<'a>) -> Parsed<()> {
        while self.cursor.peek().sign == Sign::LineEnd {
            let next = self.cursor.ahead(1);
            let statement = matches!(next.text, "define" | "type" | "relations" | "condition" | "extend");
            let goes_on = !(statement && matches!(self.cursor.ahead(2).sign, Sign::Word | Sign::LineEnd));
            if next.sign == Sign::End || !goes_on {
                break;
            }
            self.cursor.take();
        }
        match self.cursor.peek().sign {
            Sign::LineEnd | Sign::End => {
                Err(ModelError::new(ModelErrorKind::Syntax, "the list of types has no end", "close it with `]`")
                    .at(Some(opening.place)))
            }
            _ => Ok(()),
        }
    }

    fn too_large(&self, what: String, remedy: &str) -> ModelError {
        ModelError::new(ModelErrorKind::TooLarge, what, remedy).at(Some(self.cursor.peek().place))
    }
}

impl Operator {
    fn text(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::ButNot => "but not",
        }
    }
}
