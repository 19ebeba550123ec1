//! One resource with what is wrong with it.

use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    day::day_of,
    inventory::Tags,
    policy::{Code, Finding, Policy, Severity, Subject, ViolationType},
    store::{Row, Rule, Snapshot},
};

use super::{
    arguments::{SeverityFilter, nullable_number},
    identity::Identity,
    resource_cost,
};
use crate::text::visible;

/// A resource with findings.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Violation {
    #[serde(flatten)]
    identity: Identity,
    /// Of the worst finding: `missing_required_tag`, `invalid_value` or `invalid_format`.
    violation_type: &'static str,
    /// Required keys that are absent.
    missing_tags: Vec<String>,
    /// Of the worst finding: `error` or `warning`.
    severity: &'static str,
    /// What the resource costs a month, counted once whatever its findings; null when that is not known.
    #[schemars(schema_with = "nullable_number")]
    cost_impact_monthly: Option<f64>,
    /// `resource_charges`, `share_of_instance_hours` or `share_of_volume_size`; absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    cost_source: Option<&'static str>,
    /// At most eight, errors first.
    findings: Vec<Problem>,
    /// Findings beyond those. Absent when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    more_findings: Option<usize>,
}

/// Findings told of one resource.
const MOST_FINDINGS: usize = 8;

/// One thing that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Stable code, such as `MISSING` or `VALUE_CASE`.
    code: &'static str,
    /// `error` about a required tag, `warning` about an optional tag or a spelling.
    severity: &'static str,
    /// The tag key it is about; absent when it is about the whole resource. Untrusted text.
    #[serde(skip_serializing_if = "String::is_empty")]
    tag: String,
    /// The key as found, where it is spelt otherwise. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    found_key: Option<String>,
    /// The value as found. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    current_value: Option<String>,
    /// The key or value to write instead, where one follows from the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    fix: Option<String>,
    /// Date of the snapshot that first saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    first_seen: Option<String>,
}

impl SeverityFilter {
    fn admits(self, severity: Severity) -> bool {
        match self {
            Self::ErrorsOnly => severity == Severity::Error,
            Self::WarningsOnly => severity == Severity::Warning,
            Self::All => true,
        }
    }
}

/// All that is wrong with a resource, in words.
pub(crate) fn problems(row: &Row, policy: &Policy, snapshot: &Snapshot) -> Vec<Problem> {
    let tags = Tags::Known(row.tags.clone());
    judged(row, &tags, policy, snapshot).iter().map(|finding| Problem::of(finding, row)).collect()
}

/// Judges the row again, by the policy and on the day of its snapshot, for the wording that is not stored.
fn judged<'a>(row: &'a Row, tags: &'a Tags, policy: &'a Policy, snapshot: &Snapshot) -> Vec<Finding<'a>> {
    let subject = Subject { resource_type: row.scope.resource_type, arn: &row.arn, tags };
    policy.judge(&subject, day_of(snapshot.started_at)).findings
}

impl Violation {
    pub(crate) fn of(row: &Row, policy: &Policy, snapshot: &Snapshot, which: SeverityFilter, costs: bool) -> Self {
        let tags = Tags::Known(row.tags.clone());
        let mut findings = judged(row, &tags, policy, snapshot);
        findings.retain(|finding| which.admits(finding.severity));
        let worst = findings.iter().min_by_key(|finding| (finding.severity, finding.code.violation_type()));
        let (errors, warnings): (Vec<_>, Vec<_>) = findings.iter().partition(|f| f.severity == Severity::Error);
        let told = errors.into_iter().chain(warnings).take(MOST_FINDINGS);
        let (cost_impact_monthly, cost_source) = resource_cost::told(row, costs);
        let missing = findings.iter().filter(|finding| finding.code == Code::Missing);
        Self {
            identity: Identity::of(row),
            violation_type: worst.map_or(ViolationType::InvalidFormat, |f| f.code.violation_type()).as_str(),
            missing_tags: missing.map(|finding| finding.tag.to_owned()).collect(),
            severity: worst.map_or(Severity::Warning, |finding| finding.severity).as_str(),
            cost_impact_monthly,
            cost_source,
            findings: told.map(|finding| Problem::of(finding, row)).collect(),
            more_findings: findings.len().checked_sub(MOST_FINDINGS).filter(|more| *more > 0),
        }
    }
}

impl Problem {
    fn of(finding: &Finding<'_>, row: &Row) -> Self {
        let rule =
            |rule: &Rule| rule.code == finding.code && rule.severity == finding.severity && rule.tag == finding.tag;
        let first_seen = row.violations.iter().find(|(known, _)| rule(known)).map(|(_, opened)| *opened);
        Self {
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            tag: visible(finding.tag),
            found_key: finding.key.map(visible),
            current_value: finding.value.map(visible),
            fix: finding.fix.as_deref().map(visible),
            first_seen: first_seen.map(|at| day_of(at).to_string()),
        }
    }
}
