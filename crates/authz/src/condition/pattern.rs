//! Regular expressions mean what RE2 takes them for (`\d` is a digit of ASCII), take time in proportion to the text, and a bounded space.

use regex::{Regex, RegexBuilder};

use super::bounds::{MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH, MAX_PATTERN_SIZE, SMALL_PATTERN_SIZE};
use super::budget::Budget;
use super::error::{Stop, shown};

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// Steps for each byte that is searched: a search takes at most as long as the text times the size of the pattern.
    steps: usize,
}

impl Pattern {
    /// Compiles a pattern, or says why not.
    pub(super) fn compile(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(format!("the regular expression has more than {MAX_PATTERN_BYTES} bytes"));
        }
        let translated = translated(pattern);
        let mut size = SMALL_PATTERN_SIZE;
        loop {
            match build(&translated, size) {
                Ok(regex) => return Ok(Self { regex, steps: size / SMALL_PATTERN_SIZE }),
                Err(regex::Error::CompiledTooBig(_)) if size < MAX_PATTERN_SIZE => size *= 4,
                Err(error) => return Err(told(pattern, &error)),
            }
        }
    }

    /// Whether it is anywhere in a text, and what that costs.
    pub(super) fn is_match(&self, text: &str, budget: &mut Budget) -> Result<bool, Stop> {
        budget.spend_elements(text.len().saturating_mul(self.steps))?;
        Ok(self.regex.is_match(text))
    }
}

fn build(translated: &str, size: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(translated)
        .size_limit(size)
        .dfa_size_limit(MAX_PATTERN_SIZE)
        .nest_limit(MAX_PATTERN_DEPTH)
        .build()
}

fn told(pattern: &str, error: &regex::Error) -> String {
    if let regex::Error::CompiledTooBig(limit) = error {
        return format!("the regular expression \"{}\" takes more than {limit} bytes", shown(pattern));
    }
    let why = error.to_string();
    let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
    format!("\"{}\" is no regular expression ({})", shown(pattern), shown(why))
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
            let regex = Pattern::compile(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            assert!(regex.regex.is_match(yes), "{pattern} matches {yes}");
            assert!(!regex.regex.is_match(no), "{pattern} does not match {no}");
        }
    }

    #[test]
    fn what_takes_too_much_is_refused() {
        for pattern in ["(", "a{1000}{1000}", "(?=a)", &"a".repeat(MAX_PATTERN_BYTES + 1), &"(".repeat(200), "\\"] {
            assert!(Pattern::compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_larger_pattern_costs_more() {
        let cost = |pattern: &str| {
            let mut budget = Budget::new(u64::MAX);
            Pattern::compile(pattern).unwrap().is_match("aaaa", &mut budget).unwrap();
            budget.spent()
        };
        assert_eq!(cost("^a+$"), 4);
        assert!(cost("(a|b){400}") > 4);
    }
}
