//! An expression's depth is known before the parser sees it: the parser recurses, and must not be given what would overflow a stack.
//!
//! The scan over-estimates. Whatever it can't be sure to read as the parser does (text that does not end, a quote behind a word) is a fault here.

use super::bounds::{MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH};
use super::fault::{ConditionFault, place_of};

/// What one bracket encloses.
struct Frame {
    /// Levels down to its start, with those of `?` in it.
    base: usize,
    /// Operators that build upon each other since the last separator.
    chain: usize,
}

/// Refuses an expression that is too long or too deep.
pub(super) fn scan(text: &str) -> Result<(), ConditionFault> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(ConditionFault::new(
            format!("the expression has {} bytes, more than {MAX_EXPRESSION_BYTES}", text.len()),
            "split it into several conditions",
        ));
    }
    let bytes = text.as_bytes();
    let mut frames = vec![Frame { base: 0, chain: 0 }];
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let fault = |what: &str, remedy: &str| Err(ConditionFault::new(what, remedy).at(Some(place_of(text, start))));
        let next = bytes.get(at + 1).copied();
        let mut depth = frames.last().map_or(0, |frame| frame.base + frame.chain);
        match byte {
            b'"' | b'\'' => {
                let Some(end) = string_end(bytes, at, raw(bytes, at)) else {
                    return fault(
                        "a text is not closed, or follows a word without a space",
                        "write it as \"text\" on one line",
                    );
                };
                at = end;
                continue;
            }
            b'/' if next == Some(b'/') => {
                at = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |line| at + line);
                continue;
            }
            b'`' => return fault("a name in backticks is not supported", "index with a text instead: map[\"a name\"]"),
            b'(' | b'[' | b'{' => {
                // What follows the bracket in the same chain builds upon it as well.
                if let Some(frame) = frames.last_mut() {
                    frame.chain += 1;
                }
                depth += 1;
                frames.push(Frame { base: depth, chain: 0 });
            }
            b')' | b']' | b'}' if frames.len() > 1 => {
                frames.pop();
            }
            b',' => restart(&mut frames, 0),
            b'?' => restart(&mut frames, 1),
            b'&' | b'|' if next == Some(byte) => {
                // The parser balances these, so that a long row of them is not deep.
                restart(&mut frames, 0);
                at += 1;
            }
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'<' | b'>' | b'=' => {
                if let Some(frame) = frames.last_mut() {
                    frame.chain += 1;
                }
                depth += 1;
                at += usize::from(next == Some(b'='));
            }
            b'i' if next == Some(b'n') && stands_alone(bytes, at, at + 2) => {
                if let Some(frame) = frames.last_mut() {
                    frame.chain += 1;
                }
                depth += 1;
            }
            _ => {}
        }
        if depth > MAX_EXPRESSION_DEPTH {
            return fault(
                &format!("the expression is deeper than {MAX_EXPRESSION_DEPTH} levels"),
                "use fewer brackets and operators in a row, or split it into several conditions",
            );
        }
        at += 1;
    }
    Ok(())
}

fn restart(frames: &mut [Frame], levels: usize) {
    if let Some(frame) = frames.last_mut() {
        frame.base += levels;
        frame.chain = 0;
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn stands_alone(bytes: &[u8], from: usize, to: usize) -> bool {
    let outside = |byte: Option<&u8>| !byte.copied().is_some_and(is_word);
    outside(from.checked_sub(1).and_then(|before| bytes.get(before))) && outside(bytes.get(to))
}

/// Whether the prefix of a text makes it raw; none where what stands before is no prefix.
fn raw(bytes: &[u8], quote: usize) -> Option<bool> {
    let start = bytes[..quote].iter().rposition(|&byte| !is_word(byte) && byte != b'.').map_or(0, |before| before + 1);
    match &bytes[start..quote] {
        b"" | b"b" | b"B" => Some(false),
        b"r" | b"R" | b"br" | b"bR" | b"Br" | b"BR" => Some(true),
        _ => None,
    }
}

/// Where a text ends: behind its closing quote.
fn string_end(bytes: &[u8], start: usize, raw: Option<bool>) -> Option<usize> {
    let raw = raw?;
    let quote = bytes[start];
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if triple { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if !raw => at += 1,
            b'\n' | b'\r' if !triple => return None,
            _ if byte == quote && !triple => return Some(at + 1),
            _ if byte == quote && bytes[at..].starts_with(&[quote; 3]) => return Some(at + 3),
            _ => {}
        }
        at += 1;
    }
    None
}
