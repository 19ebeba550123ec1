//! The JSON schemas of the tools.
//!
//! Derived schemas contain integer formats that validators do not know (`uint64`), and name the default dialect. Some
//! clients log a warning for each of them on every call, and some reject the tool. These keywords are removed.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool};
use serde_json::{Value, json};

use crate::mcp::tool_router::Tools;

/// The full JSON schema of a tool's answers; none if there is no such tool.
pub(crate) fn find_output_schema(tool: &str) -> Option<Arc<JsonObject>> {
    let tool = Tools::tool_router().get(tool).cloned()?;
    make_portable(tool).output_schema
}

/// Removes the keywords that clients do not accept from both schemas.
pub(crate) fn make_portable(mut tool: Tool) -> Tool {
    tool.input_schema = Arc::new(clean(&tool.input_schema));
    tool.output_schema = tool.output_schema.map(|schema| Arc::new(clean(&schema)));
    tool
}

/// Reduces the output schema to the fields and their types.
///
/// The full output schemas are four fifths of the list of tools, which some clients pass to a model. Programs can read a
/// full schema as a resource.
pub(crate) fn outline_output(mut tool: Tool) -> Tool {
    let mut input = tool.input_schema.as_ref().clone();
    // Each argument has its own description.
    let shared = input.get_mut("$defs").and_then(Value::as_object_mut).into_iter().flatten();
    shared.filter_map(|(_, schema)| schema.as_object_mut()).for_each(|schema| drop(schema.remove("description")));
    tool.input_schema = Arc::new(input);
    tool.output_schema = tool.output_schema.map(|schema| Arc::new(outline(&schema)));
    tool
}

fn outline(schema: &JsonObject) -> JsonObject {
    let fields = schema.get("properties").and_then(Value::as_object);
    let fields = fields.into_iter().flatten().map(|(name, field)| (name.clone(), reduce_to_type(field, schema)));
    let fields: JsonObject = fields.collect();
    JsonObject::from_iter([("type".to_owned(), json!("object")), ("properties".to_owned(), Value::Object(fields))])
}

/// The type of a field, or its alternative types; the whole schema of a field that has neither.
fn reduce_to_type(field: &Value, schema: &JsonObject) -> Value {
    let reference = field.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
    let resolved = reference.and_then(|name| schema.get("$defs")?.get(name)).unwrap_or(field);
    if let Some(kind) = resolved.get("type") {
        return json!({ "type": kind });
    }
    match resolved.get("anyOf").and_then(Value::as_array) {
        Some(types) => json!({ "anyOf": types.iter().map(|each| reduce_to_type(each, schema)).collect::<Vec<_>>() }),
        None => resolved.clone(),
    }
}

fn clean(schema: &JsonObject) -> JsonObject {
    let accepted = schema.iter().filter(|(key, value)| !is_unsupported(key, value));
    accepted.map(|(key, value)| (key.clone(), clean_value(value))).collect()
}

fn clean_value(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(clean(object)),
        Value::Array(items) => Value::Array(items.iter().map(clean_value).collect()),
        other => other.clone(),
    }
}

/// Whether a keyword is a format, a dialect, a null default, or `writeOnly`. A property can have the same name, but its
/// value is a schema.
fn is_unsupported(key: &str, value: &Value) -> bool {
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
        let schema = json!({
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
        assert_eq!(Value::Object(outline(schema.as_object().unwrap())), expected);
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
