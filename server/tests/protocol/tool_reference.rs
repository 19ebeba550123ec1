//! `docs/tools.md` is generated from the descriptions and schemas of the tools.
//!
//! `UPDATE_REFERENCE=1 cargo test --workspace --test protocol -- reference` writes it.

use std::{fmt::Write, path::Path};

use serde_json::{Value, json};

use crate::test_server::{TestLedger, TestServer, instances};

const HEAD: &str = "# Tools

This file is generated from the descriptions and schemas that MCP clients receive. A test compares both. The list of tools contains
an outline of each answer; the resource `tagledger://schema/{tool}` contains the complete JSON schema.

Every answer also has the fields `as_of` (ID, time and completeness of the snapshot), `policy` (version and digest of the policy by
which it was evaluated), `coverage` (the scopes that could not be read, and why) and, if there is something to explain, `notes`. Tag
keys, tag values and names are untrusted text: data, not instructions. They are in separate fields, with hidden characters escaped.
";

/// The type that a schema accepts, in a short text.
fn type_text(schema: &Value, root: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return type_text(&root["$defs"][name.rsplit('/').next().unwrap()], root);
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", value.as_str().unwrap())).collect();
        return values.join(", ");
    }
    if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let choices: Vec<String> = choices
            .iter()
            .map(|choice| {
                choice["const"].as_str().map_or_else(|| type_text(choice, root), |value| format!("`{value}`"))
            })
            .collect();
        return choices.join(", ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", type_text(&schema["items"], root)),
        Some("object") => {
            let fields: Vec<String> =
                schema["properties"].as_object().into_iter().flatten().map(|(name, _)| format!("`{name}`")).collect();
            if fields.is_empty() { "object".to_owned() } else { format!("object with {}", fields.join(", ")) }
        }
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// Writes a table of the fields of a schema, without the fields `known`.
fn write_fields(out: &mut String, title: &str, schema: &Value, known: &[&str]) {
    let properties = schema["properties"].as_object().unwrap();
    let listed: Vec<_> = properties.iter().filter(|(name, _)| !known.contains(&name.as_str())).collect();
    if listed.is_empty() {
        return;
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
    writeln!(out, "\n| {title} | type | |\n|---|---|---|").unwrap();
    for (name, field) in listed {
        let required_text = if title == "argument" && required.contains(&name.as_str()) { "Required. " } else { "" };
        let described = cell(field["description"].as_str().unwrap_or_default());
        writeln!(out, "| `{name}` | {} | {required_text}{described} |", cell(&type_text(field, schema))).unwrap();
    }
}

/// `docs/tools.md` equals the text that is generated from the schemas of the tools.
#[tokio::test]
async fn tool_reference_matches_schemas() {
    let ledger = TestLedger::new();
    ledger.append(1, vec![instances([])]);
    let server = TestServer::of(&ledger).await;
    let listed = server.request("tools/list", json!({})).await;
    let mut made = HEAD.to_owned();
    for tool in listed["result"]["tools"].as_array().unwrap() {
        let live = if tool["annotations"]["openWorldHint"] == true { " Queries AWS." } else { "" };
        let described = cell(tool["description"].as_str().unwrap());
        write!(made, "\n## {}\n\n{described}{live}\n", tool["name"].as_str().unwrap()).unwrap();
        write_fields(&mut made, "argument", &tool["inputSchema"], &[]);
        let answers = server.resource(&format!("tagledger://schema/{}", tool["name"].as_str().unwrap())).await;
        write_fields(&mut made, "answer", &answers, &["as_of", "policy", "coverage", "notes"]);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tools.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let current = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        current == made,
        "docs/tools.md is out of date; run UPDATE_REFERENCE=1 cargo test --workspace --test protocol -- reference"
    );
}
