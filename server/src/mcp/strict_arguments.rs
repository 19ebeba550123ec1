//! Tool arguments whose errors name the argument.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};

use crate::untrusted_text::escape;

/// Arguments that are deserialized with the path of an error, in terms that a caller knows.
pub(crate) struct StrictArguments<T>(pub(crate) T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for StrictArguments<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_path_to_error::deserialize(deserializer).map(Self).map_err(|error| {
            let path = error.path().to_string();
            let reason = describe(&error.into_inner().to_string());
            D::Error::custom(if path == "." { reason } else { format!("`{}`: {reason}", escape(&path)) })
        })
    }
}

/// Replaces the names of Rust types and escapes the caller's text, which can be untrusted.
fn describe(reason: &str) -> String {
    let reason = reason.replace("expected i64", "expected a whole number").replace("expected f64", "expected a number");
    escape(&reason)
}

impl<T: JsonSchema> JsonSchema for StrictArguments<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::compliance::check_tag_compliance::Arguments;

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let error = serde_json::from_str::<StrictArguments<Arguments>>(json).err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    /// An argument error contains the path of the argument and the accepted type, format, values or fields.
    #[test]
    fn argument_errors_name_path_and_accepted_values() {
        check(r#"{"limit": "ten"}"#, "`limit`: invalid type: string \"ten\", expected a whole number");
        check(
            r#"{"filters": {"region": "mars"}}"#,
            "`filters.region`: `mars` is not an AWS region such as `eu-west-1`",
        );
        check(
            r#"{"resource_types": ["s3:bucket", "rds"]}"#,
            "`resource_types[1]`: `rds` is not a supported resource type (did you mean `rds:db`?); supported are",
        );
        check(r#"{"colour": 1}"#, "`colour`: unknown field `colour`, expected one of `resource_types`, `filters`");
    }

    /// An argument error escapes hidden characters of the caller's text and truncates it, so that the message stays
    /// below 400 characters.
    #[test]
    fn argument_errors_escape_and_truncate_input() {
        let hostile = format!(r#"{{"filters": {{"region": "a\u202e{}"}}}}"#, "x".repeat(5_000));
        let error = serde_json::from_str::<StrictArguments<Arguments>>(&hostile).err().unwrap().to_string();
        assert!(error.contains("\\u{202e}") && error.chars().count() < 400, "{error}");
    }
}
