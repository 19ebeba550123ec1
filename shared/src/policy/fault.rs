//! What is wrong with a policy file, and where.

use std::fmt;

/// One thing that is wrong in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}, {place}: {message}")]
pub struct Fault {
    /// The path to it, such as `required_tags[2].validation_regex`; `policy` for the file as a whole.
    pub place: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong and what to do about it.
    pub message: String,
}

/// All that is wrong in a policy file, in file order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFaults {
    /// The faults.
    pub faults: Vec<Fault>,
}

impl fmt::Display for PolicyFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyFaults {}

/// Where the lines of a text begin.
pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// Line and column of a byte, both counted from 1.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// A text of the file's author for a message: cut to a sensible length, control characters made visible.
pub(super) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(100).flat_map(char::escape_debug).collect();
    let cut = if text.chars().nth(100).is_some() { "..." } else { "" };
    format!("`{shown}{cut}`")
}
