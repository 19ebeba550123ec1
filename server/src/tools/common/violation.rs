//! A resource and its findings in an answer.

use schemars::JsonSchema;
use serde::Serialize;
use tagledger_ledger::{ResourceRow, Rule, Snapshot};
use tagledger_model::{epoch_day::day_of, inventory::Tags};
use tagledger_policy::{Code, Finding, Policy, Severity, Subject, ViolationType};

use crate::{
    tools::common::{
        arguments::{SeverityFilter, nullable_number},
        resource_cost,
        resource_identity::Identity,
    },
    untrusted_text::escape,
};

/// A resource that violates the policy.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Violation {
    #[serde(flatten)]
    identity: Identity,
    /// The type of the most severe finding: `missing_required_tag`, `invalid_value` or `invalid_format`.
    violation_type: &'static str,
    /// The required tag keys that are missing.
    missing_tags: Vec<String>,
    /// The severity of the most severe finding: `error` or `warning`.
    severity: &'static str,
    /// The monthly cost of the resource, regardless of the number of findings. Null when the cost is not known.
    #[schemars(schema_with = "nullable_number")]
    cost_impact_monthly: Option<f64>,
    /// How the cost was computed: `resource_charges`, `share_of_instance_hours` or `share_of_volume_size`. Absent when the cost is not
    /// known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    cost_source: Option<&'static str>,
    /// The findings, errors first, at most 8.
    findings: Vec<Problem>,
    /// The number of findings that are not listed. Absent when all are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    more_findings: Option<usize>,
}

/// The maximum number of findings of a resource.
const MAX_FINDINGS: usize = 8;

/// A finding of the policy evaluation.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// The stable code of the finding, such as `MISSING` or `VALUE_CASE`.
    code: &'static str,
    /// `error` for a required tag, `warning` for an optional tag or a spelling.
    severity: &'static str,
    /// The tag key. Absent when the finding applies to the entire resource. Untrusted text.
    #[serde(skip_serializing_if = "String::is_empty")]
    tag: String,
    /// The key on the resource, if its spelling is different. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    found_key: Option<String>,
    /// The value on the resource. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    current_value: Option<String>,
    /// The correct key or value, if the policy determines one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    fix: Option<String>,
    /// The date of the first snapshot with this finding.
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

/// All findings of a resource.
pub(crate) fn list_problems(row: &ResourceRow, policy: &Policy, snapshot: &Snapshot) -> Vec<Problem> {
    let tags = Tags::Known(row.tags.clone());
    evaluate(row, &tags, policy, snapshot).iter().map(|finding| Problem::from_finding(finding, row)).collect()
}

/// Evaluates the resource again, by the policy and on the day of its snapshot, because the ledger does not store the values and fixes
/// of findings.
fn evaluate<'a>(row: &'a ResourceRow, tags: &'a Tags, policy: &'a Policy, snapshot: &Snapshot) -> Vec<Finding<'a>> {
    let subject = Subject { resource_type: row.scope.resource_type, arn: &row.arn, tags };
    policy.evaluate(&subject, day_of(snapshot.started_at)).findings
}

impl Violation {
    pub(crate) fn from_row(
        row: &ResourceRow,
        policy: &Policy,
        snapshot: &Snapshot,
        severity: SeverityFilter,
        costs: bool,
    ) -> Self {
        let tags = Tags::Known(row.tags.clone());
        let mut findings = evaluate(row, &tags, policy, snapshot);
        findings.retain(|finding| severity.admits(finding.severity));
        let worst = findings.iter().min_by_key(|finding| (finding.severity, finding.code.violation_type()));
        let (errors, warnings): (Vec<_>, Vec<_>) = findings.iter().partition(|f| f.severity == Severity::Error);
        let listed = errors.into_iter().chain(warnings).take(MAX_FINDINGS);
        let (cost_impact_monthly, cost_source) = resource_cost::monthly_cost(row, costs);
        let missing = findings.iter().filter(|finding| finding.code == Code::Missing);
        Self {
            identity: Identity::from_row(row),
            violation_type: worst.map_or(ViolationType::InvalidFormat, |f| f.code.violation_type()).as_str(),
            missing_tags: missing.map(|finding| finding.tag.to_owned()).collect(),
            severity: worst.map_or(Severity::Warning, |finding| finding.severity).as_str(),
            cost_impact_monthly,
            cost_source,
            findings: listed.map(|finding| Problem::from_finding(finding, row)).collect(),
            more_findings: findings.len().checked_sub(MAX_FINDINGS).filter(|more| *more > 0),
        }
    }
}

impl Problem {
    fn from_finding(finding: &Finding<'_>, row: &ResourceRow) -> Self {
        let matches =
            |rule: &Rule| rule.code == finding.code && rule.severity == finding.severity && rule.tag == finding.tag;
        let first_seen = row.violations.iter().find(|(other, _)| matches(other)).map(|(_, opened)| *opened);
        Self {
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            tag: escape(finding.tag),
            found_key: finding.key.map(escape),
            current_value: finding.value.map(escape),
            fix: finding.fix.as_deref().map(escape),
            first_seen: first_seen.map(|at| day_of(at).to_string()),
        }
    }
}
