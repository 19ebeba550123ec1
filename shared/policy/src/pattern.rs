//! Regular expressions that match entire tag values.

use regex::{Regex, RegexBuilder};

use crate::error::quote;

/// The maximum size of a compiled pattern, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// A pattern that must match an entire value. A match takes time linear in the length of the value, for every pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: String,
    anchored: Regex,
}

impl Pattern {
    /// Compiles the pattern of a tag; the error is a message that names the tag.
    pub(crate) fn compile(text: &str, tag: &str) -> Result<Self, String> {
        // Compiled alone first: `a)(b` is not a pattern, but it would become one inside the group.
        build_regex(text).map_err(|error| describe_compile_error(&error, tag))?;
        let anchored = build_regex(&format!(r"\A(?:{text})\z")).map_err(|error| describe_compile_error(&error, tag))?;
        Ok(Self { text: text.to_owned(), anchored })
    }

    /// As the author wrote it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, value: &str) -> bool {
        self.anchored.is_match(value)
    }
}

fn build_regex(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(SIZE_LIMIT).build()
}

fn describe_compile_error(error: &regex::Error, tag: &str) -> String {
    let tag = quote(tag);
    if let regex::Error::CompiledTooBig(_) = error {
        return format!(
            "the pattern of tag {tag} is over 1 MiB when compiled; remove counts such as `{{1,256}}` and \
             limit lengths with tag_naming_rules.max_value_length"
        );
    }
    let text = error.to_string();
    let reason = text.rsplit("error: ").next().unwrap_or_default().trim();
    if reason.contains("look-around") || reason.contains("backreference") {
        return format!(
            "the pattern of tag {tag} uses look-around or back references, which are not supported because they can \
             take exponential time; write it without them or list allowed_values"
        );
    }
    format!("the pattern of tag {tag} does not compile: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern matches only the entire value, even when it has alternatives or sets the multi-line flag.
    #[test]
    fn pattern_matches_entire_value() {
        let pattern = Pattern::compile(r"CC-\d{4}|X", "CostCenter").unwrap();
        assert!(pattern.matches("CC-1234") && pattern.matches("X"));
        for bad in ["CC-1234junk", "CC-1234\n", "aX", "Xa", ""] {
            assert!(!pattern.matches(bad), "{bad:?}");
        }
        assert!(!Pattern::compile("(?m)^a$", "T").unwrap().matches("a\nb"));
    }

    /// The error of a pattern that does not compile names the tag and the reason on one line.
    #[test]
    fn invalid_pattern_error_names_tag_and_reason() {
        for (text, reason) in [
            ("(?=a)b", "look-around"),
            (r"(a)\1", "back references"),
            (r"[\p{L}]{1,256}", "max_value_length"),
            ("a)(b", "unopened group"),
            ("[a", "unclosed character class"),
            ("(?x)a # note", "unclosed group"),
        ] {
            let message = Pattern::compile(text, "Owner").unwrap_err();
            assert!(message.contains(reason) && message.contains("`Owner`"), "{text}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
