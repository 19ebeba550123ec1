//! Patterns of whole values.

use regex::{Regex, RegexBuilder};

use super::fault::quoted;

/// The most that a compiled pattern may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// A pattern that a whole value must match. Matching takes linear time whatever the pattern and the value are.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    whole: Regex,
}

impl Pattern {
    /// Compiles the pattern of a tag; the error is a message that names the tag.
    pub(super) fn compile(text: &str, tag: &str) -> Result<Self, String> {
        // Alone first: `a)(b` is no pattern, but would become one inside the group.
        compile(text).map_err(|error| describe(&error, tag))?;
        let whole = compile(&format!(r"\A(?:{text})\z")).map_err(|error| describe(&error, tag))?;
        Ok(Self { text: text.to_owned(), whole })
    }

    /// As the author wrote it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, value: &str) -> bool {
        self.whole.is_match(value)
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(SIZE_LIMIT).build()
}

fn describe(error: &regex::Error, tag: &str) -> String {
    let tag = quoted(tag);
    if let regex::Error::CompiledTooBig(_) = error {
        return format!(
            "the pattern of tag {tag} is over 1 MiB when compiled; leave counts such as `{{1,256}}` out of it and \
             check lengths with tag_naming_rules.max_value_length"
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

    #[test]
    fn a_pattern_matches_whole_values_only() {
        let pattern = Pattern::compile(r"CC-\d{4}|X", "CostCenter").unwrap();
        assert!(pattern.matches("CC-1234") && pattern.matches("X"));
        for bad in ["CC-1234junk", "CC-1234\n", "aX", "Xa", ""] {
            assert!(!pattern.matches(bad), "{bad:?}");
        }
        assert!(!Pattern::compile("(?m)^a$", "T").unwrap().matches("a\nb"));
    }

    #[test]
    fn a_pattern_that_cannot_be_compiled_names_the_tag_and_the_reason() {
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
