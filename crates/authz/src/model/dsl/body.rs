//! The body of a condition: an expression in another language, of which nothing is known here but where it ends.
//!
//! That is the brace that closes the first one, outside of strings and comments. Comments are left out of the expression, as
//! OpenFGA does; every other character keeps its line and its column, so that a fault in the expression has a place in the text.

use crate::model::Place;

/// What stands in a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Body {
    /// The expression without comments and without the gaps around it.
    pub(super) expression: String,
    /// Where it begins.
    pub(super) place: Place,
}

/// Reads up to the brace that closes the body whose first character is the first of `text`, and says how many bytes that took.
/// None where the body has no end.
pub(super) fn read(text: &str, place: Place) -> Option<(Body, usize)> {
    let (mut at, mut open) = (0, 1_usize);
    let mut kept = String::new();
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match c {
            '#' => comment(rest),
            '/' if rest.starts_with("//") => comment(rest),
            '"' | '\'' => {
                let string = string(rest, is_raw(&text[..at]));
                kept.push_str(&rest[..string]);
                string
            }
            '}' if open == 1 => return Some((trimmed(&kept, place), at + 1)),
            _ => {
                match c {
                    '{' => open += 1,
                    '}' => open -= 1,
                    _ => {}
                }
                kept.push(c);
                c.len_utf8()
            }
        };
        at += length;
    }
    None
}

fn comment(rest: &str) -> usize {
    rest.find(['\n', '\r']).unwrap_or(rest.len())
}

/// The length of the string that begins here. One that its line doesn't end ends there, unless it has three quotes.
fn string(rest: &str, raw: bool) -> usize {
    let quote = &rest[..1];
    let triple = quote.repeat(3);
    let (closing, one_line) = if rest.starts_with(&triple) { (&*triple, false) } else { (quote, true) };
    let mut at = closing.len();
    while let Some(c) = rest[at..].chars().next() {
        if rest[at..].starts_with(closing) {
            return at + closing.len();
        }
        if one_line && matches!(c, '\n' | '\r') {
            break;
        }
        at += c.len_utf8();
        if c == '\\' && !raw {
            at += rest[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    at
}

/// Whether the string that follows has a prefix by which a backslash in it means itself.
fn is_raw(before: &str) -> bool {
    let word = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(before, |at| {
        let after = before[at..].chars().next().map_or(0, char::len_utf8);
        &before[at + after..]
    });
    matches!(word.to_ascii_lowercase().as_str(), "r" | "br" | "rb")
}

/// Where comments were left out, a line keeps its end, and so only the first line's columns have to be told.
fn trimmed(kept: &str, mut place: Place) -> Body {
    let expression = kept.trim_start();
    for c in kept[..kept.len() - expression.len()].chars() {
        place = match c {
            '\n' => Place { line: place.line.saturating_add(1), column: 1 },
            '\r' => place,
            _ => Place { column: place.column.saturating_add(1), ..place },
        };
    }
    Body { expression: expression.trim_end().to_owned(), place }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> (String, (u32, u32), usize) {
        let (body, bytes) = read(text, Place { line: 1, column: 1 }).unwrap_or_else(|| panic!("{text} has no end"));
        (body.expression, (body.place.line, body.place.column), bytes)
    }

    #[test]
    fn braces_of_the_expression_and_in_strings_do_not_end_it() {
        for expression in [
            "{'a': {'b': 1}}.a.b == x",
            "s == \"}\" || s == '{'",
            r#"s == "\"}" && s == '\'}'"#,
            r#"s == r"\" || s == bR'\' || s == R"}""#,
            "s == \"\"\"a\n \"}\"\n\"\"\" && t == '''}'''",
        ] {
            assert_eq!(body(&format!(" {expression} }} rest")).0, expression);
            assert_eq!(body(&format!("{expression}}}rest")).2, expression.len() + 1);
        }
    }

    #[test]
    fn comments_are_left_out_and_the_rest_keeps_its_place() {
        let (expression, place, _) = body("\n  # }\n  // { \"\n    x < 1 // why }\n    && y # not\n}");
        assert_eq!(expression, "x < 1 \n    && y");
        assert_eq!(place, (4, 5));
        assert_eq!(body("s == 'a # b' && t == \"http://x\"}").0, "s == 'a # b' && t == \"http://x\"");
    }

    #[test]
    fn a_string_that_its_line_does_not_end_does_not_swallow_the_model() {
        assert_eq!(body("s == \"a\n}\ntype user").0, "s == \"a");
        assert_eq!(body("s == r\"\\\n}").0, "s == r\"\\");
    }

    #[test]
    fn a_body_without_an_end_is_none() {
        for text in ["", "x", "{}", "'''}", "// }", "x == '", "x == '\\"] {
            assert_eq!(read(text, Place { line: 1, column: 1 }), None, "{text}");
        }
    }
}
