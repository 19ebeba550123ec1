//! JSON nodes with positions: typed access that reports errors and continues.

use std::{collections::HashSet, fmt};

use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{Object, Value},
    common::Ranged,
};

use crate::error::{LineIndex, PolicyError, quote};

/// The maximum size of a policy file, in bytes. Large policies have some ten thousand bytes.
const MAX_FILE_BYTES: usize = 1 << 20;

/// The maximum number of errors that are listed.
const MAX_ERRORS: usize = 1000;

/// A position in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// The JSON path; empty for the root.
    path: String,
    /// The byte offset of the first byte.
    offset: usize,
}

impl Position {
    pub(crate) const fn root() -> Self {
        Self { path: String::new(), offset: 0 }
    }

    fn field(&self, name: &str, offset: usize) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{dot}{name}", self.path), offset }
    }

    fn element(&self, index: usize, offset: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), offset }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.path.is_empty() { "policy" } else { &self.path })
    }
}

/// A value with its position.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) position: Position,
    pub(crate) value: T,
}

pub(crate) type JsonNode<'j> = Spanned<&'j Value<'j>>;

/// Reads one file and collects its errors.
pub(crate) struct SpannedReader<'t> {
    text: &'t str,
    errors: Vec<(Position, String)>,
    /// Errors beyond [`MAX_ERRORS`].
    omitted: usize,
}

impl<'t> SpannedReader<'t> {
    pub(crate) const fn new(text: &'t str) -> Self {
        Self { text, errors: Vec::new(), omitted: 0 }
    }

    pub(crate) fn report(&mut self, position: &Position, message: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push((position.clone(), message.into()));
        } else {
            self.omitted += 1;
        }
    }

    /// All errors in file order.
    pub(crate) fn into_errors(mut self) -> Vec<PolicyError> {
        self.errors.sort_by_key(|(position, _)| position.offset);
        if self.omitted > 0 {
            let message = format!("has {} more errors, which are not listed", self.omitted);
            self.errors.push((Position { path: String::new(), offset: self.text.len() }, message));
        }
        let lines = LineIndex::new(self.text);
        let locate = |(position, message): (Position, String)| {
            let (line, column) = lines.line_and_column(position.offset);
            PolicyError { path: position.to_string(), line, column, message }
        };
        self.errors.into_iter().map(locate).collect()
    }

    /// The fields of an object; reports those that are missing, unknown or duplicate.
    pub(crate) fn fields<'j>(
        &mut self,
        node: &JsonNode<'j>,
        mandatory: &[&str],
        optional: &[&str],
    ) -> Option<Fields<'j>> {
        let Value::Object(object) = node.value else { return self.wrong_type(node, "an object") };
        let allowed = [mandatory, optional].concat();
        let fields = self.known_fields(node, object, &allowed);
        for name in mandatory.iter().filter(|name| fields.get(name).is_none()) {
            self.report(&node.position, format!("the field `{name}` is missing"));
        }
        Some(fields)
    }

    fn known_fields<'j>(&mut self, node: &JsonNode<'j>, object: &'j Object<'j>, allowed: &[&str]) -> Fields<'j> {
        let mut seen = HashSet::new();
        let mut fields = Fields(Vec::new());
        for property in &object.properties {
            let name = property.name.as_str();
            let shown: String = name.chars().take(100).collect();
            let key = node.position.field(&shown, property.range.start);
            if !seen.insert(name) {
                self.report(&key, format!("the field {} occurs twice; remove one", quote(name)));
            } else if allowed.contains(&name) {
                let position = node.position.field(name, property.value.start());
                fields.0.push((name, Spanned { position, value: &property.value }));
            } else {
                self.report(&key, unknown_name_message("field", name, allowed));
            }
        }
        fields
    }

    pub(crate) fn text<'j>(&mut self, node: &JsonNode<'j>) -> Option<Spanned<&'j str>> {
        match node.value {
            Value::StringLit(text) => Some(Spanned { position: node.position.clone(), value: &text.value }),
            _ => self.wrong_type(node, "a string"),
        }
    }

    /// A string that is not blank.
    pub(crate) fn filled_text<'j>(&mut self, node: &JsonNode<'j>) -> Option<Spanned<&'j str>> {
        let text = self.text(node)?;
        if text.value.trim().is_empty() {
            self.report(&text.position, "must not be blank");
            return None;
        }
        Some(text)
    }

    pub(crate) fn flag(&mut self, node: &JsonNode<'_>) -> Option<bool> {
        match node.value {
            Value::BooleanLit(flag) => Some(flag.value),
            _ => self.wrong_type(node, "true or false"),
        }
    }

    /// An integer from 1 to a limit.
    pub(crate) fn length(&mut self, node: &JsonNode<'_>, limit: usize) -> Option<usize> {
        let Value::NumberLit(number) = node.value else { return self.wrong_type(node, "a number") };
        let length = number.value.parse().ok().filter(|length| (1..=limit).contains(length));
        if length.is_none() {
            let given = quote(number.value);
            self.report(&node.position, format!("must be an integer from 1 to {limit}, the AWS limit, not {given}"));
        }
        length
    }

    pub(crate) fn list<'j>(&mut self, node: &JsonNode<'j>) -> Option<Vec<JsonNode<'j>>> {
        let Value::Array(array) = node.value else { return self.wrong_type(node, "a list") };
        let element = |(index, value): (usize, &'j Value<'j>)| Spanned {
            position: node.position.element(index, value.start()),
            value,
        };
        Some(array.elements.iter().enumerate().map(element).collect())
    }

    fn wrong_type<T>(&mut self, node: &JsonNode<'_>, expected: &str) -> Option<T> {
        let (given, hint) = match node.value {
            Value::StringLit(_) => ("a string", ""),
            Value::NumberLit(_) => ("a number", ""),
            Value::BooleanLit(_) => ("true or false", ""),
            Value::Object(_) => ("an object", ""),
            Value::Array(_) => ("a list", ""),
            Value::NullKeyword(_) => ("null", "; remove a field that has no value"),
        };
        self.report(&node.position, format!("must be {expected}, not {given}{hint}"));
        None
    }
}

/// The known fields of an object.
pub(crate) struct Fields<'j>(Vec<(&'j str, JsonNode<'j>)>);

impl<'j> Fields<'j> {
    pub(crate) fn get(&self, name: &str) -> Option<&JsonNode<'j>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, node)| node)
    }
}

/// The message for a name that is not allowed. It lists the allowed names, the most similar first.
pub(crate) fn unknown_name_message(kind: &str, given: &str, allowed: &[&str]) -> String {
    let short: String = given.chars().take(100).flat_map(char::to_lowercase).collect();
    let mut by_similarity = allowed.to_vec();
    by_similarity.sort_by(|a, b| strsim::jaro_winkler(&short, b).total_cmp(&strsim::jaro_winkler(&short, a)));
    let names = by_similarity.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    format!("{} is not a {kind} here; allowed are {names}", quote(given))
}

pub(crate) fn root_node<'j>(value: &'j Value<'j>) -> JsonNode<'j> {
    Spanned { position: Position { path: String::new(), offset: value.start() }, value }
}

/// Parses strict JSON. Reports an error when it returns none.
pub(crate) fn parse_json<'t>(reader: &mut SpannedReader<'_>, text: &'t str) -> Option<Value<'t>> {
    if text.len() > MAX_FILE_BYTES {
        reader
            .report(&Position::root(), format!("has {} bytes; a policy may have at most {MAX_FILE_BYTES}", text.len()));
        return None;
    }
    if text.starts_with('\u{feff}') {
        reader.report(&Position::root(), "begins with a byte order mark; save the file as UTF-8 without it");
        return None;
    }
    // The strict parser runs first: it limits the depth, and the parser that records positions accepts some texts that
    // are not JSON.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let offset = byte_offset(text, error.line(), error.column());
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        reader.report(&Position { path: String::new(), offset }, format!("is not JSON: {message}"));
        return None;
    }
    let options = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    match jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &options) {
        Ok(parsed) => parsed.value,
        Err(error) => {
            let position = Position { path: String::new(), offset: error.range().start };
            reader.report(&position, format!("is not JSON: {}", error.kind()));
            None
        }
    }
}

/// The byte offset of a line and a column, both counted from 1, the column in bytes.
fn byte_offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut offset = (before + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
