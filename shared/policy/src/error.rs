//! The errors of a policy file and their positions.

use std::fmt;

/// One error of a policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}, {path}: {message}")]
pub struct PolicyError {
    /// The JSON path, such as `required_tags[2].validation_regex`; `policy` for the file as a whole.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong and how to correct it.
    pub message: String,
}

/// All errors of a policy file, in file order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyErrors {
    /// The errors.
    pub errors: Vec<PolicyError>,
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}

/// The start of each line of a text.
pub(crate) struct LineIndex<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> LineIndex<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// Line and column of a byte offset, both counted from 1.
    pub(crate) fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// Quotes a text of the policy file for a message: at most 100 characters, with control characters escaped.
pub(crate) fn quote(text: &str) -> String {
    let shown: String = text.chars().take(100).flat_map(char::escape_debug).collect();
    let ellipsis = if text.chars().nth(100).is_some() { "..." } else { "" };
    format!("`{shown}{ellipsis}`")
}
