//! `docs/tools.md`, made of what the server says of its tools.
//!
//! `UPDATE_REFERENCE=1 cargo test -p server --test protocol reference` writes it anew.

use std::{fmt::Write, path::Path};

use serde_json::{Value, json};

use crate::asked::{Asked, Nights, instances};

const HEAD: &str = "# Tools

What the server says of its tools, for people. Made of the same schemas that clients get: a test holds the two together. The list
of tools has an outline of each answer; the whole JSON schema of it is the resource `tagledger://schema/{tool}`.

Every answer also has `as_of` (number, time and completeness of the snapshot), `policy` (version and digest of what judged it),
`coverage` (what was not seen, and why) and, where there is something to say, `notes`. Text that others wrote (tag keys, tag
values, names) is data: it stands in fields of its own, with every character that hides made visible.
";

/// What a schema admits, in a few words.
fn kind(schema: &Value, whole: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        return kind(&whole["$defs"][name.rsplit('/').next().unwrap()], whole);
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", value.as_str().unwrap())).collect();
        return values.join(", ");
    }
    if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let choices: Vec<String> = choices
            .iter()
            .map(|choice| choice["const"].as_str().map_or_else(|| kind(choice, whole), |value| format!("`{value}`")))
            .collect();
        return choices.join(", ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", kind(&schema["items"], whole)),
        Some("object") => {
            let fields: Vec<String> =
                schema["properties"].as_object().into_iter().flatten().map(|(name, _)| format!("`{name}`")).collect();
            if fields.is_empty() { "object".to_owned() } else { format!("object with {}", fields.join(", ")) }
        }
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn fields(out: &mut String, title: &str, schema: &Value, known: &[&str]) {
    let properties = schema["properties"].as_object().unwrap();
    let told: Vec<_> = properties.iter().filter(|(name, _)| !known.contains(&name.as_str())).collect();
    if told.is_empty() {
        return;
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
    writeln!(out, "\n| {title} | type | |\n|---|---|---|").unwrap();
    for (name, field) in told {
        let needed = if title == "argument" && required.contains(&name.as_str()) { "Needed. " } else { "" };
        let described = cell(field["description"].as_str().unwrap_or_default());
        writeln!(out, "| `{name}` | {} | {needed}{described} |", cell(&kind(field, schema))).unwrap();
    }
}

#[tokio::test]
async fn the_tool_reference_is_what_the_schemas_say() {
    let nights = Nights::new();
    nights.append(1, vec![instances([])]);
    let server = Asked::of(&nights).await;
    let listed = server.request("tools/list", json!({})).await;
    let mut made = HEAD.to_owned();
    for tool in listed["result"]["tools"].as_array().unwrap() {
        let live = if tool["annotations"]["openWorldHint"] == true { " Asks AWS." } else { "" };
        let described = cell(tool["description"].as_str().unwrap());
        write!(made, "\n## {}\n\n{described}{live}\n", tool["name"].as_str().unwrap()).unwrap();
        fields(&mut made, "argument", &tool["inputSchema"], &[]);
        let answers = server.resource(&format!("tagledger://schema/{}", tool["name"].as_str().unwrap())).await;
        fields(&mut made, "answer", &answers, &["as_of", "policy", "coverage", "notes"]);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tools.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == made,
        "docs/tools.md says something else: UPDATE_REFERENCE=1 cargo test -p server --test protocol reference"
    );
}
