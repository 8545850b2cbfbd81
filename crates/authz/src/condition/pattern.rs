//! Regular expressions mean what RE2 takes them for (`\d` is a digit of ASCII), take time in proportion to the text, and a bounded space.

use regex::{Regex, RegexBuilder};

use super::bounds::{MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH, MAX_PATTERN_SIZE};
use super::error::shown;

/// Compiles a pattern, or says why not.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("the regular expression has more than {MAX_PATTERN_BYTES} bytes"));
    }
    RegexBuilder::new(&translated(pattern))
        .size_limit(MAX_PATTERN_SIZE)
        .dfa_size_limit(MAX_PATTERN_SIZE)
        .nest_limit(MAX_PATTERN_DEPTH)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("the regular expression \"{}\" takes more than {limit} bytes", shown(pattern))
            }
            error => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                format!("\"{}\" is no regular expression ({})", shown(pattern), shown(&why))
            }
        })
}

/// Writes what the two dialects read differently so that it means the same here.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut signs = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => match signs.next() {
                Some(class) => escape(&mut out, class, in_class),
                None => out.push('\\'),
            },
            '[' if in_class && signs.peek() == Some(&':') => out.push('['),
            // There are no classes within classes, and no operators between them.
            '[' | '&' | '~' if in_class => out.extend(['\\', sign]),
            '[' => {
                in_class = true;
                out.push('[');
                if signs.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A bracket in front is one of the class.
                if signs.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if in_class => {
                // `[:alpha:]` ends with a bracket that doesn't end the class.
                in_class = out.ends_with(':') && named_class_is_open(&out);
                out.push(']');
            }
            sign => out.push(sign),
        }
    }
    out
}

fn named_class_is_open(out: &str) -> bool {
    out.rfind("[:").is_some_and(|start| {
        out[start + 2..].trim_end_matches(':').chars().all(|sign| sign.is_ascii_alphabetic() || sign == '^')
    })
}

fn escape(out: &mut String, class: char, in_class: bool) {
    let set = match class {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => "[\\t\\n\\f\\r ]",
        'S' => "[^\\t\\n\\f\\r ]",
        'b' if !in_class => "(?-u:\\b)",
        'B' if !in_class => "(?-u:\\B)",
        _ => {
            out.push('\\');
            out.push(class);
            return;
        }
    };
    out.push_str(set);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_ascii() {
        for (pattern, yes, no) in [
            ("^\\w+$", "ab_9", "é"),
            ("^[\\d-]+$", "1-2", "٣"),
            ("^[^\\s]$", "x", " "),
            ("^[[a]$", "[", "b"),
            ("^[]a]$", "]", "b"),
            ("^[a&&b]+$", "a&b", "c"),
            ("^[[:alpha:]1]+$", "ab1", "2"),
            ("^[\\Da]$", "a", "5"),
            ("a\\b", "éa", "ab"),
            ("(?i)ÄB", "äb", "ab"),
            ("^.$", "é", "ab"),
            ("^\\p{Greek}$", "α", "a"),
        ] {
            let regex = compile(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            assert!(regex.is_match(yes), "{pattern} matches {yes}");
            assert!(!regex.is_match(no), "{pattern} does not match {no}");
        }
    }

    #[test]
    fn what_takes_too_much_is_refused() {
        for pattern in ["(", "a{1000}{1000}", "(?=a)", &"a".repeat(MAX_PATTERN_BYTES + 1), &"(".repeat(200), "\\"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
