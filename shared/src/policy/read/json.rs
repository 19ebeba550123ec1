//! JSON with places: typed access that reports what does not fit and goes on.

use std::{collections::HashSet, fmt};

use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{Object, Value},
    common::Ranged,
};

use crate::policy::fault::{Fault, Lines, quoted};

/// The longest policy file, in bytes; the longest real ones have some ten thousand.
const LONGEST: usize = 1 << 20;
/// The most faults that are listed.
const MOST_FAULTS: usize = 1000;

/// A place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// The path to it; empty for the root.
    path: String,
    /// The byte where it begins.
    at: usize,
}

impl Spot {
    pub(super) const fn root() -> Self {
        Self { path: String::new(), at: 0 }
    }

    fn field(&self, name: &str, at: usize) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{dot}{name}", self.path), at }
    }

    fn element(&self, index: usize, at: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), at }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.path.is_empty() { "policy" } else { &self.path })
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Located<T> {
    pub(super) spot: Spot,
    pub(super) value: T,
}

pub(super) type Node<'j> = Located<&'j Value<'j>>;

/// Collects the faults of one file.
pub(super) struct Reader<'t> {
    text: &'t str,
    found: Vec<(Spot, String)>,
    dropped: usize,
}

impl<'t> Reader<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new(), dropped: 0 }
    }

    pub(super) fn fault(&mut self, spot: &Spot, message: impl Into<String>) {
        if self.found.len() < MOST_FAULTS {
            self.found.push((spot.clone(), message.into()));
        } else {
            self.dropped += 1;
        }
    }

    /// All faults in file order.
    pub(super) fn into_faults(mut self) -> Vec<Fault> {
        self.found.sort_by_key(|(spot, _)| spot.at);
        if self.dropped > 0 {
            let message = format!("has {} more faults, which are not listed", self.dropped);
            self.found.push((Spot { path: String::new(), at: self.text.len() }, message));
        }
        let lines = Lines::of(self.text);
        let locate = |(spot, message): (Spot, String)| {
            let (line, column) = lines.position(spot.at);
            Fault { place: spot.to_string(), line, column, message }
        };
        self.found.into_iter().map(locate).collect()
    }

    /// The fields of an object; reports those that are missing, unknown or there twice.
    pub(super) fn fields<'j>(&mut self, node: &Node<'j>, mandatory: &[&str], optional: &[&str]) -> Option<Fields<'j>> {
        let Value::Object(object) = node.value else { return self.wrong_type(node, "an object") };
        let allowed = [mandatory, optional].concat();
        let fields = self.known_fields(node, object, &allowed);
        for name in mandatory.iter().filter(|name| fields.get(name).is_none()) {
            self.fault(&node.spot, format!("the field `{name}` is missing"));
        }
        Some(fields)
    }

    fn known_fields<'j>(&mut self, node: &Node<'j>, object: &'j Object<'j>, allowed: &[&str]) -> Fields<'j> {
        let mut seen = HashSet::new();
        let mut fields = Fields(Vec::new());
        for property in &object.properties {
            let name = property.name.as_str();
            let shown: String = name.chars().take(100).collect();
            let key = node.spot.field(&shown, property.range.start);
            if !seen.insert(name) {
                self.fault(&key, format!("the field {} is there twice; leave one out", quoted(name)));
            } else if allowed.contains(&name) {
                let spot = node.spot.field(name, property.value.start());
                fields.0.push((name, Located { spot, value: &property.value }));
            } else {
                self.fault(&key, unknown("field", name, allowed));
            }
        }
        fields
    }

    pub(super) fn text<'j>(&mut self, node: &Node<'j>) -> Option<Located<&'j str>> {
        match node.value {
            Value::StringLit(text) => Some(Located { spot: node.spot.clone(), value: &text.value }),
            _ => self.wrong_type(node, "a string"),
        }
    }

    /// A text that says something.
    pub(super) fn filled_text<'j>(&mut self, node: &Node<'j>) -> Option<Located<&'j str>> {
        let text = self.text(node)?;
        if text.value.trim().is_empty() {
            self.fault(&text.spot, "must not be blank");
            return None;
        }
        Some(text)
    }

    pub(super) fn flag(&mut self, node: &Node<'_>) -> Option<bool> {
        match node.value {
            Value::BooleanLit(flag) => Some(flag.value),
            _ => self.wrong_type(node, "true or false"),
        }
    }

    /// A whole number from 1 to a limit.
    pub(super) fn length(&mut self, node: &Node<'_>, limit: usize) -> Option<usize> {
        let Value::NumberLit(number) = node.value else { return self.wrong_type(node, "a number") };
        let length = number.value.parse().ok().filter(|length| (1..=limit).contains(length));
        if length.is_none() {
            let given = quoted(number.value);
            self.fault(&node.spot, format!("must be a whole number from 1 to {limit}, AWS's limit, not {given}"));
        }
        length
    }

    pub(super) fn list<'j>(&mut self, node: &Node<'j>) -> Option<Vec<Node<'j>>> {
        let Value::Array(array) = node.value else { return self.wrong_type(node, "a list") };
        let element =
            |(index, value): (usize, &'j Value<'j>)| Located { spot: node.spot.element(index, value.start()), value };
        Some(array.elements.iter().enumerate().map(element).collect())
    }

    fn wrong_type<T>(&mut self, node: &Node<'_>, wanted: &str) -> Option<T> {
        let (given, remedy) = match node.value {
            Value::StringLit(_) => ("a string", ""),
            Value::NumberLit(_) => ("a number", ""),
            Value::BooleanLit(_) => ("true or false", ""),
            Value::Object(_) => ("an object", ""),
            Value::Array(_) => ("a list", ""),
            Value::NullKeyword(_) => ("null", "; a field without a value is left out"),
        };
        self.fault(&node.spot, format!("must be {wanted}, not {given}{remedy}"));
        None
    }
}

/// The known fields of an object.
pub(super) struct Fields<'j>(Vec<(&'j str, Node<'j>)>);

impl<'j> Fields<'j> {
    pub(super) fn get(&self, name: &str) -> Option<&Node<'j>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, node)| node)
    }
}

/// The message for a name that is none of those allowed: names them, the nearest first.
pub(super) fn unknown(kind: &str, given: &str, allowed: &[&str]) -> String {
    let short: String = given.chars().take(100).flat_map(char::to_lowercase).collect();
    let mut nearest = allowed.to_vec();
    nearest.sort_by(|a, b| strsim::jaro_winkler(&short, b).total_cmp(&strsim::jaro_winkler(&short, a)));
    let names = nearest.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    format!("{} is not a {kind} here; allowed are {names}", quoted(given))
}

pub(super) fn root<'j>(value: &'j Value<'j>) -> Node<'j> {
    Located { spot: Spot { path: String::new(), at: value.start() }, value }
}

/// Parses strict JSON. None where a fault says why.
pub(super) fn parse<'t>(reader: &mut Reader<'_>, text: &'t str) -> Option<Value<'t>> {
    if text.len() > LONGEST {
        reader.fault(&Spot::root(), format!("has {} bytes; a policy may have at most {LONGEST}", text.len()));
        return None;
    }
    if text.starts_with('\u{feff}') {
        reader.fault(&Spot::root(), "begins with a byte order mark; save the file as UTF-8 without it");
        return None;
    }
    // The strict parser goes first: it bounds the depth, and the one that knows ranges takes some texts that are not JSON.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let at = offset(text, error.line(), error.column());
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        reader.fault(&Spot { path: String::new(), at }, format!("is not JSON: {message}"));
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
            let spot = Spot { path: String::new(), at: error.range().start };
            reader.fault(&spot, format!("is not JSON: {}", error.kind()));
            None
        }
    }
}

/// The byte of a line and a column, both counted from 1, the column in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (before + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
