//! Tests of the policy as a whole: cases as tables, properties, and the stable names.

mod codes;
mod faults;
mod files;
mod judging;
mod properties;

use jiff::civil::{Date, date};

use super::{Finding, Policy, Severity, State, Subject, Verdict};
use crate::{
    Arn, ResourceType,
    inventory::{TagSet, Tags},
};

const TODAY: Date = date(2026, 6, 15);

/// A policy with these members beside the mandatory ones.
fn policy_of(members: &str) -> Policy {
    let head = r#""version": "1", "last_updated": "2026-01-01T00:00:00Z""#;
    Policy::parse(&format!("{{{head}, {members}}}")).unwrap()
}

fn bucket() -> Arn {
    "arn:aws:s3:::a-bucket".parse().unwrap()
}

fn judge_on<'a>(policy: &'a Policy, arn: &'a Arn, tags: &'a Tags, on: Date) -> Verdict<'a> {
    policy.judge(&Subject { resource_type: ResourceType::S3Bucket, arn, tags }, on)
}

/// Tags written as `Key=value; Other=value`; only the separator is trimmed.
fn tags_of(text: &str) -> Tags {
    let pairs = text.split("; ").filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap());
    Tags::Known(pairs.collect::<TagSet>())
}

/// A finding in short: `!CODE tag` is an error, `~CODE tag` a warning, then `@key` as found and `>fix`.
fn short(finding: &Finding<'_>) -> String {
    let mark = if finding.severity == Severity::Error { '!' } else { '~' };
    let key = finding.key.map(|key| format!(" @{key}")).unwrap_or_default();
    let fix = finding.fix.as_ref().map(|fix| format!(" >{fix}")).unwrap_or_default();
    format!("{mark}{} {}{key}{fix}", finding.code, finding.tag)
}

/// Judges a bucket; the expectation is all findings in short, `; ` between them.
#[track_caller]
fn check(members: &str, tags: &str, expected: &str) {
    let policy = policy_of(members);
    let (arn, tags) = (bucket(), tags_of(tags));
    let verdict = judge_on(&policy, &arn, &tags, TODAY);
    let found: Vec<_> = verdict.findings.iter().map(short).collect();
    assert_eq!(found.join("; "), expected);
    let state = if expected.contains('!') { State::NonCompliant } else { State::Compliant };
    assert_eq!(verdict.state, state);
}
