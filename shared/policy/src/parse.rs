//! Parses a policy file and reports all its errors with their positions.

pub(crate) mod check;
pub(crate) mod draft;
pub(crate) mod json;

use crate::{canonical, error::PolicyErrors, parse::json::SpannedReader, policy::Policy};

impl Policy {
    /// Parses a policy file.
    ///
    /// # Errors
    /// Every error of the file, in file order. A file with an error gives no policy.
    pub fn parse(text: &str) -> Result<Self, PolicyErrors> {
        let mut reader = SpannedReader::new(text);
        let policy = build_policy(&mut reader, text);
        let errors = reader.into_errors();
        match policy {
            Some(policy) if errors.is_empty() => Ok(policy),
            _ => Err(PolicyErrors { errors }),
        }
    }
}

/// None only when the reader has an error that gives the reason.
fn build_policy(reader: &mut SpannedReader<'_>, text: &str) -> Option<Policy> {
    let root = json::parse_json(reader, text)?;
    let draft = draft::draft_policy(reader, &json::root_node(&root))?;
    check::check_draft(reader, &draft);
    let mut policy = draft.finish()?;
    match canonical::canonical_json(&policy) {
        Ok(json) => policy.canonical_json = json,
        Err(error) => reader.report(&json::Position::root(), format!("has no canonical form: {error}")),
    }
    policy.digest = canonical::sha256_hex(&policy.canonical_json);
    Some(policy)
}
