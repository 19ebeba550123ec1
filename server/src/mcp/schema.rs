//! Schemas that every client accepts, and a list of tools that every model can afford.
//!
//! Derived schemas carry integer formats that validators do not know (`uint64`) and a dialect that is the default
//! anyway. Some clients log a warning for each on every call, some refuse the tool.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool};
use serde_json::{Value, json};

/// How long a client may keep the list of tools, in milliseconds. The list changes with the program only.
pub(crate) const TOOLS_TTL_MS: u64 = 3_600_000;

/// Returns the complete JSON schema of the answers of a tool. None for an unknown tool.
pub(crate) type AnswerSchema = fn(&str) -> Option<Arc<JsonObject>>;

/// The tool with portable schemas.
pub(crate) fn portable(mut tool: Tool) -> Tool {
    tool.input_schema = Arc::new(clean(&tool.input_schema));
    tool.output_schema = tool.output_schema.map(|schema| Arc::new(clean(&schema)));
    tool
}

/// A portable tool as it is listed: of its answers the fields with their types. All that can be said of them is four fifths of the
/// list, which some clients hand to models whole; whoever writes a program reads it as a resource.
pub(crate) fn listed(mut tool: Tool) -> Tool {
    let mut input = tool.input_schema.as_ref().clone();
    // An argument is described where it stands.
    let shared = input.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten();
    shared.filter_map(|(_, schema)| schema.as_object_mut()).for_each(|schema| drop(schema.remove("description")));
    tool.input_schema = Arc::new(input);
    tool.output_schema = tool.output_schema.map(|schema| Arc::new(outline(&schema)));
    tool
}

fn outline(whole: &JsonObject) -> JsonObject {
    let fields = whole.get("properties").and_then(Value::as_object);
    let fields = fields.into_iter().flatten().map(|(name, schema)| (name.clone(), types(schema, whole)));
    let fields: JsonObject = fields.collect();
    JsonObject::from_iter([("type".to_owned(), json!("object")), ("properties".to_owned(), Value::Object(fields))])
}

/// Its type, or each of them where it can be null; itself where that is not all that it is made of.
fn types(schema: &Value, whole: &JsonObject) -> Value {
    let named = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
    let meant = named.and_then(|name| whole.get("$defs")?.get(name)).unwrap_or(schema);
    if let Some(kind) = meant.get("type") {
        return json!({ "type": kind });
    }
    match meant.get("anyOf").and_then(Value::as_array) {
        Some(choices) => json!({ "anyOf": choices.iter().map(|choice| types(choice, whole)).collect::<Vec<_>>() }),
        None => meant.clone(),
    }
}

fn clean(schema: &JsonObject) -> JsonObject {
    let kept = schema.iter().filter(|(key, value)| !foreign(key, value));
    kept.map(|(key, value)| (key.clone(), clean_value(value))).collect()
}

fn clean_value(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(clean(object)),
        Value::Array(items) => Value::Array(items.iter().map(clean_value).collect()),
        other => other.clone(),
    }
}

/// A format, a dialect, a default that its own type refuses, or a trace of how we serialize; a property may have the
/// same name, but its value is a schema and none of these.
fn foreign(key: &str, value: &Value) -> bool {
    (value.is_string() && (key == "$schema" || key == "format"))
        || (value.is_null() && key == "default")
        || (value.is_boolean() && key == "writeOnly")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outline of an output schema contains every top-level field with its type, and no description, constraint,
    /// nested schema or definition.
    #[test]
    fn outline_keeps_only_fields_and_types() {
        let whole = json!({
            "type": "object",
            "description": "An answer.",
            "properties": {
                "rows": { "type": "array", "items": { "type": "string" }, "description": "Rows." },
                "total": { "$ref": "#/$defs/Total" },
                "score": { "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "null" }] },
            },
            "required": ["rows"],
            "$defs": { "Total": { "type": "object", "properties": { "n": { "type": "integer" } } } },
        });
        let fields = json!({
            "rows": { "type": "array" },
            "total": { "type": "object" },
            "score": { "anyOf": [{ "type": "number" }, { "type": "null" }] },
        });
        let expected = json!({ "type": "object", "properties": fields });
        assert_eq!(Value::Object(outline(whole.as_object().unwrap())), expected);
    }

    /// Cleaning a schema removes the keywords `$schema` and `format`, and keeps a property that is named `format`.
    #[test]
    fn clean_keeps_property_named_format() {
        let schema = serde_json::json!({
            "$schema": "x", "format": "uint64", "properties": { "format": { "type": "integer", "format": "int64" } }
        });
        let cleaned = clean(schema.as_object().unwrap());
        assert_eq!(Value::Object(cleaned), serde_json::json!({ "properties": { "format": { "type": "integer" } } }));
    }
}
