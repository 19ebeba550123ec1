//! A draft policy in a request, and its differences from the current policy.

use serde_json::Value;
use tagledger_policy::{Policy, PolicyErrors, TagRule};

use crate::{app_state::AppState, error::ToolFailure, untrusted_text::escape};

/// The maximum number of errors of a draft in an answer.
const MAX_ERRORS: usize = 20;

/// The maximum size of a draft in bytes.
const MAX_BYTES: usize = 1 << 18;

/// The maximum number of patterns of a draft. A compiled pattern takes 1 to 2 MiB of memory.
const MAX_PATTERNS: usize = 60;

/// The maximum number of changes in an answer.
const MAX_CHANGES: usize = 20;

/// Loads the draft from the argument `policy` or from the file `policy_file`.
///
/// # Errors
///
/// When not exactly one of both is present, or when the draft is too large or invalid.
pub(crate) fn load_draft(app: &AppState, policy: Option<&Value>, file: Option<&str>) -> Result<Policy, ToolFailure> {
    let text = match (policy, file) {
        (Some(given), None) => serde_json::to_string_pretty(given).unwrap_or_default(),
        (None, Some(name)) => read_file(app, name)?,
        _ => return Err(ToolFailure::Caller("pass either `policy` or `policy_file`".to_owned())),
    };
    // Any reader can send a draft. The limits protect the memory and the time of the server.
    if text.len() > MAX_BYTES || text.matches("\"validation_regex\"").count() > MAX_PATTERNS {
        let why = format!("a draft can have {} KiB and {MAX_PATTERNS} patterns at most", MAX_BYTES >> 10);
        return Err(ToolFailure::Caller(why));
    }
    Policy::parse(&text).map_err(|errors| ToolFailure::Caller(describe_errors(&errors)))
}

/// Reads a file from the folder of the current policy file. Callers must not be able to read other files of the server.
fn read_file(app: &AppState, name: &str) -> Result<String, ToolFailure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_valid = name.ends_with(".json") && !name.starts_with('.') && name.len() <= 100 && name.chars().all(plain);
    if !is_valid {
        return Err(ToolFailure::Caller("`policy_file` must be a plain file name that ends with .json".to_owned()));
    }
    let Some(folder) = app.policy().folder() else {
        let why = "`policy_file`: the server has no policy file and therefore no policy folder; use `policy`";
        return Err(ToolFailure::Caller(why.to_owned()));
    };
    std::fs::read_to_string(folder.join(name)).map_err(|error| {
        let problem = if error.kind() == std::io::ErrorKind::NotFound { "does not exist" } else { "cannot be read" };
        ToolFailure::Caller(format!(
            "`policy_file`: {} {problem} in the folder of the current policy file",
            escape(name)
        ))
    })
}

/// One line for each error.
fn describe_errors(errors: &PolicyErrors) -> String {
    let all = &errors.errors;
    let lines = all.iter().take(MAX_ERRORS).map(|error| escape(&format!("{}: {}", error.path, error.message)));
    let more = all.len().saturating_sub(MAX_ERRORS);
    let rest = (more > 0).then(|| format!("and {more} more"));
    let lines: Vec<String> = lines.chain(rest).collect();
    format!("the draft is invalid:\n{}", lines.join("\n"))
}

/// The differences of the draft from the current policy, one line for each tag.
pub(crate) fn list_changes(in_force: &Policy, draft: &Policy) -> Vec<String> {
    let mut lines = Vec::new();
    let pairs =
        [("required", in_force.required(), draft.required()), ("optional", in_force.optional(), draft.optional())];
    for (kind, old, new) in pairs {
        for rule in new {
            match old.iter().find(|known| known.name() == rule.name()) {
                None => lines.push(format!("{kind} tag {}: added", escape(rule.name()))),
                Some(known) => lines.extend(compare_rules(kind, known, rule)),
            }
        }
        let removed = old.iter().filter(|known| new.iter().all(|rule| rule.name() != known.name()));
        lines.extend(removed.map(|known| format!("{kind} tag {}: removed", escape(known.name()))));
    }
    if in_force.naming() != draft.naming() {
        lines.push("tag_naming_rules: changed".to_owned());
    }
    if in_force.exemptions() != draft.exemptions() {
        lines.push("exemptions: changed".to_owned());
    }
    lines.truncate(MAX_CHANGES);
    lines
}

fn compare_rules(kind: &str, old: &TagRule, new: &TagRule) -> Option<String> {
    let mut fields = Vec::new();
    if old.allowed_values() != new.allowed_values() {
        fields.push("allowed_values");
    }
    if old.validation_regex() != new.validation_regex() {
        fields.push("validation_regex");
    }
    if old.resource_types() != new.resource_types() {
        fields.push("applies_to");
    }
    if old.value_type() != new.value_type() {
        fields.push("value_type");
    }
    (!fields.is_empty()).then(|| format!("{kind} tag {}: {} changed", escape(new.name()), fields.join(", ")))
}
