//! A position among tokens, and the words in which a fault names what stands there.

use super::body::{self, Body};
use super::token::{Lexer, Sign, Token};
use crate::model::error::{ModelError, ModelErrorKind};
use crate::relation::{IdentError, Text, check_relation};

/// Words that join what stands beside them, so that a relation of that name could not be told from them.
const OPERATORS: [&str; 4] = ["or", "and", "from", "with"];

/// Either a value, or a fault that makes the rest of the line useless.
pub(super) type Parsed<T> = Result<T, ModelError>;

/// How many tokens beyond the next one a parser may look at.
const AHEAD: usize = 2;

/// A position among tokens.
pub(super) struct Cursor<'a> {
    lexer: Lexer<'a>,
    /// The token here and those after it.
    next: [Token<'a>; AHEAD + 1],
}

impl<'a> Cursor<'a> {
    /// At the first token of a text.
    pub(super) fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let next = std::array::from_fn(|_| lexer.token());
        Self { lexer, next }
    }

    /// The token here. At the end it is [`Sign::End`] over and over.
    pub(super) fn peek(&self) -> Token<'a> {
        self.next[0]
    }

    /// The token `distance` further on, at most [`AHEAD`].
    pub(super) fn ahead(&self, distance: usize) -> Token<'a> {
        self.next[distance.min(AHEAD)]
    }

    /// Takes the token here.
    pub(super) fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next.rotate_left(1);
        self.next[AHEAD] = self.lexer.token();
        token
    }

    /// Takes what stands between the brace that was just taken and the one that closes it, and that one. None where none does;
    /// then nothing is taken.
    pub(super) fn body(&mut self, opening: &Token<'a>) -> Option<Body> {
        let mut lexer = self.lexer.clone();
        lexer.go_behind(opening);
        let (body, bytes) = body::read(lexer.rest(), lexer.place())?;
        lexer.pass(bytes);
        self.next = std::array::from_fn(|_| lexer.token());
        self.lexer = lexer;
        Some(body)
    }

    /// Takes the token here where it is of this kind.
    pub(super) fn take_if(&mut self, sign: Sign) -> Option<Token<'a>> {
        (self.peek().sign == sign).then(|| self.take())
    }

    /// Whether this word stands here.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.peek().is_word(word)
    }

    /// Takes this word where it stands here.
    pub(super) fn take_word(&mut self, word: &str) -> Option<Token<'a>> {
        self.is_word(word).then(|| self.take())
    }

    /// Takes a name, which `check` may refuse.
    pub(super) fn name(
        &mut self,
        expected: &str,
        remedy: &str,
        check: fn(&str) -> Result<Text, IdentError>,
    ) -> Parsed<(Text, Token<'a>)> {
        let Some(token) = self.take_if(Sign::Word) else {
            return Err(self.unexpected(expected, remedy));
        };
        match check(token.text) {
            Ok(name) => Ok((name, token)),
            Err(error) => Err(ModelError::name(token.text, &error).at(Some(token.place))),
        }
    }

    /// Takes the name of a relation, which is none of the words that join relations.
    pub(super) fn relation_name(&mut self, remedy: &str) -> Parsed<(Text, Token<'a>)> {
        if self.at_operator() {
            return Err(self.unexpected("the name of a relation", remedy));
        }
        self.name("the name of a relation", remedy, check_relation)
    }

    /// Whether a word that joins relations stands here.
    pub(super) fn at_operator(&self) -> bool {
        let token = self.peek();
        OPERATORS.iter().any(|operator| token.is_word(operator))
            || (token.is_word("but") && self.ahead(1).is_word("not"))
    }

    /// Takes the end of the line, or of the text.
    pub(super) fn line_end(&mut self, remedy: &str) -> Parsed<()> {
        match self.peek().sign {
            Sign::LineEnd | Sign::End => {
                self.take();
                Ok(())
            }
            _ => Err(self.unexpected("the end of the line", remedy)),
        }
    }

    /// Passes over empty lines.
    pub(super) fn skip_empty_lines(&mut self) {
        while self.take_if(Sign::LineEnd).is_some() {}
    }

    /// Goes to the start of the next line, which is where reading goes on after a fault.
    pub(super) fn skip_line(&mut self) {
        while !matches!(self.take().sign, Sign::LineEnd | Sign::End) {}
    }

    /// Something else stands here than should.
    pub(super) fn unexpected(&self, expected: &str, remedy: &str) -> ModelError {
        self.syntax(format!("expected {expected}, found {}", self.peek().describe()), remedy)
    }

    /// A fault of the token here.
    pub(super) fn syntax(&self, what: impl Into<String>, remedy: &str) -> ModelError {
        ModelError::new(ModelErrorKind::Syntax, what, remedy).at(Some(self.peek().place))
    }
}

impl Token<'_> {
    /// Whether it is this word.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.sign == Sign::Word && self.text == word
    }

    /// How a message names it.
    pub(super) fn describe(&self) -> String {
        match self.sign {
            Sign::LineEnd => "the end of the line".to_owned(),
            Sign::End => "the end of the text".to_owned(),
            // Debug shows what can't be seen, and keeps a message on one line.
            _ => format!("{:?}", self.text.chars().take(64).collect::<String>()),
        }
    }
}
