//! Tests of the crate as a whole: tables of cases, properties, and the stable names.

pub(crate) mod evaluation;
pub(crate) mod finding_codes;
pub(crate) mod policy_errors;
pub(crate) mod policy_files;
pub(crate) mod properties;

use jiff::civil::{Date, date};
use tagledger_model::{
    Arn, ResourceType,
    inventory::{TagSet, Tags},
};

use crate::{
    policy::Policy,
    results::{Evaluation, Finding, Severity, State, Subject},
};

const TODAY: Date = date(2026, 6, 15);

/// A policy with these fields in addition to the mandatory ones.
fn policy_of(members: &str) -> Policy {
    let head = r#""version": "1", "last_updated": "2026-01-01T00:00:00Z""#;
    Policy::parse(&format!("{{{head}, {members}}}")).unwrap()
}

fn bucket() -> Arn {
    "arn:aws:s3:::a-bucket".parse().unwrap()
}

fn evaluate_on<'a>(policy: &'a Policy, arn: &'a Arn, tags: &'a Tags, on: Date) -> Evaluation<'a> {
    policy.evaluate(&Subject { resource_type: ResourceType::S3Bucket, arn, tags }, on)
}

/// Tags written as `Key=value; Other=value`; only the separator is trimmed.
fn tags_of(text: &str) -> Tags {
    let pairs = text.split("; ").filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap());
    Tags::Known(pairs.collect::<TagSet>())
}

/// The short form of a finding: `!CODE tag` for an error or `~CODE tag` for a warning, then `@key` for the key on the
/// resource and `>fix`.
fn short(finding: &Finding<'_>) -> String {
    let mark = if finding.severity == Severity::Error { '!' } else { '~' };
    let key = finding.key.map(|key| format!(" @{key}")).unwrap_or_default();
    let fix = finding.fix.as_ref().map(|fix| format!(" >{fix}")).unwrap_or_default();
    format!("{mark}{} {}{key}{fix}", finding.code, finding.tag)
}

/// Evaluates a bucket. `expected` lists the short forms of all findings, separated by `; `.
#[track_caller]
fn check(members: &str, tags: &str, expected: &str) {
    let policy = policy_of(members);
    let (arn, tags) = (bucket(), tags_of(tags));
    let evaluation = evaluate_on(&policy, &arn, &tags, TODAY);
    let found: Vec<_> = evaluation.findings.iter().map(short).collect();
    assert_eq!(found.join("; "), expected);
    let state = if expected.contains('!') { State::NonCompliant } else { State::Compliant };
    assert_eq!(evaluation.state, state);
}
