//! The path that a client asked an application for.
//!
//! Invariant: what is accepted has one meaning. Gateways and applications differ in what they make of dot segments, doubled or encoded
//! slashes, backslashes, parameters after `;` and text that is encoded twice; a path that holds one of them is refused and never repaired,
//! because the application might read it in another way than the route that was matched.

use percent_encoding::percent_decode_str;

/// The longest path, in bytes as it was sent.
pub(crate) const MAX_PATH_BYTES: usize = 4_096;

/// A path with one meaning, decoded: every segment is text without `/`, and only the last one may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target(String);

/// Why a path was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ambiguous {
    #[error("the path has more than {MAX_PATH_BYTES} bytes")]
    TooLong,
    #[error("the target does not begin with /: it is a whole URL, a *, or nothing")]
    NoPath,
    #[error("the path holds a byte that has to be percent-encoded")]
    Raw,
    #[error("the path decodes to something that is no UTF-8")]
    NotText,
    #[error("the path holds an empty segment (//)")]
    EmptySegment,
    #[error(
        "a segment of the path is . or .., or ends in a dot or begins or ends in white space, which some systems drop"
    )]
    Dots,
    #[error("the path holds {0:?} in its encoded form or as it is, which applications read in different ways")]
    Character(char),
}

impl Target {
    /// Reads a request target in origin form. The query is left out: it decides nothing.
    ///
    /// # Errors
    /// Where it has no single meaning.
    pub(crate) fn parse(raw: &[u8]) -> Result<Self, Ambiguous> {
        let raw = raw.split(|byte| *byte == b'?').next().unwrap_or_default();
        if raw.len() > MAX_PATH_BYTES {
            return Err(Ambiguous::TooLong);
        }
        if let Some(byte) = raw.iter().find(|byte| !is_plain(**byte)) {
            // A known trick is named; anything else is just not what a path is written in.
            return Err(if is_tricky(char::from(*byte)) {
                Ambiguous::Character(char::from(*byte))
            } else {
                Ambiguous::Raw
            });
        }
        let raw = std::str::from_utf8(raw).map_err(|_| Ambiguous::NotText)?;
        let rest = raw.strip_prefix('/').ok_or(Ambiguous::NoPath)?;
        let mut path = String::with_capacity(raw.len());
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            let text = percent_decode_str(segment).decode_utf8().map_err(|_| Ambiguous::NotText)?;
            if !(text.is_empty() && segments.peek().is_none()) {
                check_segment(&text)?;
            }
            path.push('/');
            path.push_str(&text);
        }
        Ok(Self(path))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The same path as an application sees it that knows neither case nor a slash at the end.
    pub(super) fn folded(&self) -> String {
        without_slash(&self.0).to_lowercase()
    }
}

/// A path without the slash at its end, unless it is nothing else.
pub(super) fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path)
}

/// Whether a decoded segment has one meaning.
///
/// # Errors
/// Where it has not.
pub(super) fn check_segment(text: &str) -> Result<(), Ambiguous> {
    if text.is_empty() {
        return Err(Ambiguous::EmptySegment);
    }
    if text.ends_with('.') || text.trim() != text {
        return Err(Ambiguous::Dots);
    }
    text.chars().find(|c| is_tricky(*c)).map_or(Ok(()), |c| Err(Ambiguous::Character(c)))
}

/// The letters that a path is written in (RFC 3986, `pchar` and `/`), without `;`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@%/".contains(&byte)
}

/// What must not come out of decoding either. A `%` would be one that was encoded twice, or one that encodes nothing.
fn is_tricky(c: char) -> bool {
    matches!(c, '/' | '\\' | ';' | '%' | '?' | '#') || c.is_control()
}
