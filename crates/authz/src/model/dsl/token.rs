//! The words and signs of the DSL, with their places.
//!
//! The lexer never fails: a character that has no meaning becomes [`Sign::Other`], and the parser complains only where it meets
//! it. It works on demand, so that the body of a condition, which is written in another language, is left to [`super::body`].
//! Keywords are plain words here, because a type or a relation may be called `model` or `define`; the parser knows them by where
//! they stand.

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
    /// Where it begins in the text, in bytes.
    pub(super) start: usize,
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
    /// `<` of a parameter's type.
    OfOpen,
    /// `>`
    OfClose,
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

/// Cuts a text into tokens, one at a time. At the end it gives [`Sign::End`] over and over.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// How much was read, in bytes.
    at: usize,
    place: Place,
    /// A `#` opens a comment only after a gap, so that `team#member` stays one restriction.
    after_gap: bool,
}

impl<'a> Lexer<'a> {
    /// At the start of a text.
    pub(super) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
        Self { text, at, place: Place { line: 1, column: 1 }, after_gap: true }
    }

    /// Goes on behind a token, whatever was read since.
    pub(super) fn go_behind(&mut self, token: &Token<'a>) {
        self.at = token.start;
        self.place = token.place;
        self.pass(token.text.len());
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Where the next character stands.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Passes over the next bytes, which end with a character.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.place = advanced(self.place, &self.text[self.at..self.at + bytes]);
        self.at += bytes;
        self.after_gap = false;
    }

    /// The next token.
    pub(super) fn token(&mut self) -> Token<'a> {
        loop {
            let before = self.rest();
            let (start, place) = (self.at, self.place);
            if before.is_empty() {
                return Token { sign: Sign::End, text: "", place, start };
            }
            let mut rest = before;
            // Nothing is left unread: `any` takes what nobody else wants. Should that ever break, the rest is one token.
            let piece = piece(self.after_gap).parse_next(&mut rest).unwrap_or(Piece::Token(Sign::Other));
            let taken = match &before[..before.len() - rest.len()] {
                "" => before,
                taken => taken,
            };
            self.pass(taken.len());
            self.after_gap = matches!(piece, Piece::Gap | Piece::Token(Sign::LineEnd));
            if let Piece::Token(sign) = piece {
                return Token { sign, text: taken, place, start };
            }
        }
    }
}

/// Where one stands after this text.
fn advanced(mut place: Place, text: &str) -> Place {
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let ends = c == '\n' || (c == '\r' && characters.peek() != Some(&'\n'));
        place = match (ends, c) {
            (true, _) => Place { line: place.line.saturating_add(1), column: 1 },
            // The first half of a line end has no width.
            (false, '\r') => place,
            (false, _) => Place { column: place.column.saturating_add(1), ..place },
        };
    }
    place
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
        '<' => empty.value(Sign::OfOpen),
        '>' => empty.value(Sign::OfClose),
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

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(text);
        let mut found = Vec::new();
        while found.last().is_none_or(|token: &Token<'_>| token.sign != Sign::End) {
            found.push(lexer.token());
        }
        found
    }

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
