//! Reads a policy file: every fault at once, each with its place.

use super::{Policy, PolicyFaults, canonical};

mod check;
mod draft;
mod json;

use json::Reader;

/// Reads a policy.
///
/// # Errors
/// Every fault in the file, in file order.
pub(super) fn policy(text: &str) -> Result<Policy, PolicyFaults> {
    let mut reader = Reader::new(text);
    let policy = read(&mut reader, text);
    let faults = reader.into_faults();
    match policy {
        Some(policy) if faults.is_empty() => Ok(policy),
        _ => Err(PolicyFaults { faults }),
    }
}

/// None only where a fault says why.
fn read(reader: &mut Reader<'_>, text: &str) -> Option<Policy> {
    let root = json::parse(reader, text)?;
    let draft = draft::policy(reader, &json::root(&root))?;
    check::policy(reader, &draft);
    let mut policy = draft.finish()?;
    match canonical::json(&policy) {
        Ok(json) => policy.canonical_json = json,
        Err(error) => reader.fault(&json::Spot::root(), format!("has no canonical form: {error}")),
    }
    policy.digest = canonical::digest(&policy.canonical_json);
    Some(policy)
}
