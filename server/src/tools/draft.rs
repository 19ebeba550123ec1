//! A policy that is not in force: read from a question, and set beside the one that is.

use serde_json::Value;
use shared::policy::{Policy, PolicyFaults, TagRule};

use super::ToolFailure;
use crate::{ledger::Ledger, text::visible};

/// Faults told of a draft.
const MOST_FAULTS: usize = 20;

/// Largest draft, bytes, and how many patterns it may have: each takes a mebibyte or two when compiled.
const MOST_BYTES: usize = 1 << 18;
const MOST_PATTERNS: usize = 60;

/// Changes told of it.
const MOST_CHANGES: usize = 20;

/// The draft that a question sends, or names as a file.
pub(crate) fn draft(ledger: &Ledger, policy: Option<&Value>, file: Option<&str>) -> Result<Policy, ToolFailure> {
    let text = match (policy, file) {
        (Some(given), None) => serde_json::to_string_pretty(given).unwrap_or_default(),
        (None, Some(name)) => read(ledger, name)?,
        _ => return Err(ToolFailure::Caller("pass either `policy` or `policy_file`".to_owned())),
    };
    // Whoever may ask may send a draft: one that takes all memory or time to read is none.
    if text.len() > MOST_BYTES || text.matches("\"validation_regex\"").count() > MOST_PATTERNS {
        let why = format!("a draft may have {} KiB and {MOST_PATTERNS} patterns at most", MOST_BYTES >> 10);
        return Err(ToolFailure::Caller(why));
    }
    Policy::parse(&text).map_err(|faults| ToolFailure::Caller(told_faults(&faults)))
}

/// Only files beside the one in force: whoever asks must not read others through us.
fn read(ledger: &Ledger, name: &str) -> Result<String, ToolFailure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let well_named = name.ends_with(".json") && !name.starts_with('.') && name.len() <= 100 && name.chars().all(plain);
    if !well_named {
        return Err(ToolFailure::Caller("`policy_file` must be a plain file name that ends with .json".to_owned()));
    }
    let Some(folder) = ledger.policy().folder() else {
        let why = "`policy_file`: this server follows no policy file, so there is no folder to look in; pass `policy`";
        return Err(ToolFailure::Caller(why.to_owned()));
    };
    std::fs::read_to_string(folder.join(name)).map_err(|error| {
        let what = if error.kind() == std::io::ErrorKind::NotFound { "is not there" } else { "cannot be read" };
        ToolFailure::Caller(format!("`policy_file`: {} {what}, beside the policy in force", visible(name)))
    })
}

/// Every fault, a line each.
fn told_faults(faults: &PolicyFaults) -> String {
    let all = &faults.faults;
    let lines = all.iter().take(MOST_FAULTS).map(|fault| visible(&format!("{}: {}", fault.place, fault.message)));
    let more = all.len().saturating_sub(MOST_FAULTS);
    let rest = (more > 0).then(|| format!("and {more} more"));
    let lines: Vec<String> = lines.chain(rest).collect();
    format!("the draft has faults:\n{}", lines.join("\n"))
}

/// What the draft does otherwise, tag by tag.
pub(crate) fn changes(in_force: &Policy, draft: &Policy) -> Vec<String> {
    let mut lines = Vec::new();
    let pairs =
        [("required", in_force.required(), draft.required()), ("optional", in_force.optional(), draft.optional())];
    for (kind, old, new) in pairs {
        for rule in new {
            match old.iter().find(|known| known.name() == rule.name()) {
                None => lines.push(format!("{kind} tag {}: new", visible(rule.name()))),
                Some(known) => lines.extend(differences(kind, known, rule)),
            }
        }
        let gone = old.iter().filter(|known| new.iter().all(|rule| rule.name() != known.name()));
        lines.extend(gone.map(|known| format!("{kind} tag {}: no longer", visible(known.name()))));
    }
    if in_force.naming() != draft.naming() {
        lines.push("tag_naming_rules: others".to_owned());
    }
    if in_force.exemptions() != draft.exemptions() {
        lines.push("exemptions: others".to_owned());
    }
    lines.truncate(MOST_CHANGES);
    lines
}

fn differences(kind: &str, old: &TagRule, new: &TagRule) -> Option<String> {
    let mut what = Vec::new();
    if old.allowed_values() != new.allowed_values() {
        what.push("allowed_values");
    }
    if old.validation_regex() != new.validation_regex() {
        what.push("validation_regex");
    }
    if old.applies_to() != new.applies_to() {
        what.push("applies_to");
    }
    if old.value_type() != new.value_type() {
        what.push("value_type");
    }
    (!what.is_empty()).then(|| format!("{kind} tag {}: another {}", visible(new.name()), what.join(", ")))
}
