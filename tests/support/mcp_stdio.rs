//! Calls the built binary as a desktop client does: MCP over standard input and output.

use std::{io::Write, path::Path, process::Stdio};

use serde_json::{Value, json};

use super::binary::{finish, tagledger};

/// What a tool answers: `structuredContent`, or the text of its refusal.
pub(crate) fn ask(store: &Path, tool: &str, arguments: &Value) -> Result<Value, String> {
    ask_with(store, &[], tool, arguments)
}

/// The same with access to a cloud, with further environment variables.
pub(crate) fn ask_live(
    store: &Path,
    endpoint: &str,
    variables: &[(&str, &str)],
    tool: &str,
    arguments: &Value,
) -> Result<Value, String> {
    let mut all = vec![("AWS_ENDPOINT_URL", endpoint), ("AWS_REGION", "us-east-1")];
    all.extend([("AWS_ACCESS_KEY_ID", "AKIAFAKEFAKEFAKEFAKE"), ("AWS_SECRET_ACCESS_KEY", "fake")]);
    all.extend(variables);
    ask_with(store, &all, tool, arguments)
}

fn ask_with(store: &Path, variables: &[(&str, &str)], tool: &str, arguments: &Value) -> Result<Value, String> {
    let home = store.parent().expect("a folder");
    let mut command = tagledger(home);
    command.envs(variables.iter().copied());
    command.args(["mcp", "--policy"]).arg(super::binary::sample_policy()).arg("--store").arg(store);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let client = json!({"name": "test", "version": "1"});
    let lines = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}),
    ];
    let mut input = child.stdin.take().expect("a pipe");
    for line in &lines {
        writeln!(input, "{line}").expect("it reads");
    }
    // Read to the answer before the input is closed, which ends the server.
    let mut output = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let answer = loop {
        let mut line = String::new();
        let read = std::io::BufRead::read_line(&mut output, &mut line).expect("it answers");
        assert!(read > 0, "no answer to {tool}");
        let message: Value = serde_json::from_str(&line).expect("JSON");
        if message["id"] == 2 {
            break message;
        }
    };
    drop(input);
    finish(&mut child, &command);
    let result = &answer["result"];
    match result["isError"].as_bool() {
        Some(true) => Err(result["content"][0]["text"].as_str().expect("words").to_owned()),
        _ if result.is_null() => Err(answer["error"]["message"].as_str().expect("words").to_owned()),
        _ => Ok(result["structuredContent"].clone()),
    }
}
