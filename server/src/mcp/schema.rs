//! Schemas that every client accepts.
//!
//! Derived schemas carry integer formats that validators do not know (`uint64`) and a dialect that is the default
//! anyway. Some clients log a warning for each on every call, some refuse the tool.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool};
use serde_json::Value;

/// The tool with such schemas.
pub(crate) fn portable(mut tool: Tool) -> Tool {
    tool.input_schema = Arc::new(clean(&tool.input_schema));
    tool.output_schema = tool.output_schema.map(|schema| Arc::new(clean(&schema)));
    tool
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

    #[test]
    fn a_property_called_format_stays() {
        let schema = serde_json::json!({
            "$schema": "x", "format": "uint64", "properties": { "format": { "type": "integer", "format": "int64" } }
        });
        let cleaned = clean(schema.as_object().unwrap());
        assert_eq!(Value::Object(cleaned), serde_json::json!({ "properties": { "format": { "type": "integer" } } }));
    }
}
