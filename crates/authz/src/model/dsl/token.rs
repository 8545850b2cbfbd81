//! The words and signs of the DSL, with their places.
//!
//! The lexer never fails: a character that has no meaning becomes [`Sign::Other`], and the parser complains only where it meets
//! it. So the body of a condition, which is written in another language, can be passed over. Keywords are plain words here,
//! because a type or a relation may be called `model` or `define`; the parser knows them by where they stand.

use winnow::Parser;
use winnow::Result;
use winnow::combinator::{alt, dispatch, empty, fail};
use winnow::token::{any, take_till, take_while};

use crate::model::Place;

/// A token: what it is, what was written, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token<'a> {
    pub(super) sign: Sign,
    pub(super) text: &'a str,
    pub(super) place: Place,
}

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    /// A keyword, a name or a version.
    Word,
    /// `:`
    Colon,
    /// `,`
    Comma,
    /// `#` within a restriction.
    Hash,
    /// `*`
    Star,
    /// `[`
    ListOpen,
    /// `]`
    ListClose,
    /// `(`
    GroupOpen,
    /// `)`
    GroupClose,
    /// `{`
    BodyOpen,
    /// `}`
    BodyClose,
    /// The end of a line.
    LineEnd,
    /// The end of the text.
    End,
    /// A character that has no meaning.
    Other,
}

/// What the lexer cuts the text into; gaps and comments get lost on the way to the parser.
#[derive(Clone, Copy)]
enum Piece {
    Gap,
    Token(Sign),
}

/// The tokens of a text. The last one is the only [`Sign::End`].
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut rest = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut place = Place { line: 1, column: 1 };
    let mut found = Vec::new();
    // A `#` opens a comment only after a gap, so that `team#member` stays one restriction.
    let mut after_gap = true;
    while !rest.is_empty() {
        let before = rest;
        // Nothing is left unread: `any` takes what nobody else wants. Should that ever break, the rest is one token.
        let piece = piece(after_gap).parse_next(&mut rest).unwrap_or(Piece::Token(Sign::Other));
        let taken = match &before[..before.len() - rest.len()] {
            "" => std::mem::take(&mut rest),
            taken => taken,
        };
        if let Piece::Token(sign) = piece {
            found.push(Token { sign, text: taken, place });
        }
        after_gap = matches!(piece, Piece::Gap | Piece::Token(Sign::LineEnd));
        if matches!(piece, Piece::Token(Sign::LineEnd)) {
            place = Place { line: place.line.saturating_add(1), column: 1 };
        } else {
            let width = u32::try_from(taken.chars().count()).unwrap_or(u32::MAX);
            place.column = place.column.saturating_add(width);
        }
    }
    found.push(Token { sign: Sign::End, text: "", place });
    found
}

fn piece<'a>(after_gap: bool) -> impl Parser<&'a str, Piece, winnow::error::ContextError> {
    move |input: &mut &'a str| {
        alt((
            gap,
            move |input: &mut &'a str| if after_gap { comment(input) } else { fail.parse_next(input) },
            line_end,
            word,
            sign,
        ))
        .parse_next(input)
    }
}

fn gap(input: &mut &str) -> Result<Piece> {
    take_while(1.., |c: char| c.is_whitespace() && !ends_line(c)).value(Piece::Gap).parse_next(input)
}

fn comment(input: &mut &str) -> Result<Piece> {
    ('#', take_till(0.., ends_line)).value(Piece::Gap).parse_next(input)
}

fn line_end(input: &mut &str) -> Result<Piece> {
    alt(("\r\n", "\n", "\r")).value(Piece::Token(Sign::LineEnd)).parse_next(input)
}

fn word(input: &mut &str) -> Result<Piece> {
    take_while(1.., in_word).value(Piece::Token(Sign::Word)).parse_next(input)
}

fn sign(input: &mut &str) -> Result<Piece> {
    dispatch! { any;
        ':' => empty.value(Sign::Colon),
        ',' => empty.value(Sign::Comma),
        '#' => empty.value(Sign::Hash),
        '*' => empty.value(Sign::Star),
        '[' => empty.value(Sign::ListOpen),
        ']' => empty.value(Sign::ListClose),
        '(' => empty.value(Sign::GroupOpen),
        ')' => empty.value(Sign::GroupClose),
        '{' => empty.value(Sign::BodyOpen),
        '}' => empty.value(Sign::BodyClose),
        _ => empty.value(Sign::Other),
    }
    .map(Piece::Token)
    .parse_next(input)
}

fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// Whatever could stand in a name. Which names are allowed is decided where names are checked, with a better message.
fn in_word(c: char) -> bool {
    !(c.is_whitespace() || c.is_control() || ":,#*[](){}<>=&|!\"'`;@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn a_hash_within_a_restriction_is_no_comment() {
        assert_eq!(texts("[team#member] # a comment"), ["[", "team", "#", "member", "]", ""]);
        assert_eq!(texts("# a comment\ntype user"), ["\n", "type", "user", ""]);
    }

    #[test]
    fn places_count_lines_of_every_kind_and_characters_not_bytes() {
        let places: Vec<_> = tokens("a\r\nb\rc\n\tü  d")
            .into_iter()
            .filter(|token| token.sign == Sign::Word)
            .map(|token| (token.text, token.place.line, token.place.column))
            .collect();
        assert_eq!(places, [("a", 1, 1), ("b", 2, 1), ("c", 3, 1), ("ü", 4, 2), ("d", 4, 5)]);
    }

    #[test]
    fn names_may_hold_what_file_names_hold() {
        assert_eq!(texts("type app/asset-category.v1_2"), ["type", "app/asset-category.v1_2", ""]);
    }

    #[test]
    fn any_text_has_an_end() {
        for text in ["", "\u{FEFF}", "\0", "\u{200B}", "@@", "#", "\r", "🦀"] {
            assert_eq!(tokens(text).last().unwrap().sign, Sign::End);
        }
    }
}
