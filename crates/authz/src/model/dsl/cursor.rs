//! A position among tokens, and the words in which a fault names what stands there.

use super::token::{Sign, Token};
use crate::model::error::{ModelError, ModelErrorKind};
use crate::relation::{IdentError, Text, check_relation};

/// Words that join what stands beside them, so that a relation of that name could not be told from them.
const OPERATORS: [&str; 4] = ["or", "and", "from", "with"];

/// Either a value, or a fault that makes the rest of the line useless.
pub(super) type Parsed<T> = Result<T, ModelError>;

/// A position among tokens.
pub(super) struct Cursor<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the first token.
    pub(super) fn new(tokens: Vec<Token<'a>>) -> Self {
        Self { tokens, at: 0 }
    }

    /// The token here. At the end it is [`Sign::End`] over and over.
    pub(super) fn peek(&self) -> Token<'a> {
        self.ahead(0)
    }

    /// The token `distance` further on.
    pub(super) fn ahead(&self, distance: usize) -> Token<'a> {
        let last = self.tokens.len() - 1;
        self.tokens[(self.at + distance).min(last)]
    }

    /// Takes the token here.
    pub(super) fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
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
