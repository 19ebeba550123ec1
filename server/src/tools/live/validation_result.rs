//! The validation result of one requested resource.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tagledger_ledger::ResourceRow;
use tagledger_model::{
    ResourceType,
    epoch_day::day_of,
    inventory::{Gap, GapReason, Resource, Scope, TagSet, Tags},
    resource_ref::InvalidResourceRef,
};
use tagledger_policy::{Finding, Policy, Severity, State, Subject};

use crate::{tools::common::arguments::nullable_bool, untrusted_text::escape};

/// The maximum number of violations of a resource.
const MAX_FINDINGS: usize = 8;

/// The maximum number of allowed values of a tag.
const MAX_VALUES: usize = 12;

/// The maximum number of changed tags of a resource.
const MAX_CHANGES: usize = 5;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ValidationResult {
    /// The requested ARN. Untrusted text.
    resource_arn: String,
    /// The resource type. Absent when the type is not supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    resource_type: Option<&'static str>,
    /// `read`; `not_found`: the resource does not exist in AWS; `not_read`: AWS did not answer or refused the request;
    /// `out_of_reach`: the account, region or partition is not scanned; `invalid_arn`: not an ARN, or not a supported type.
    status: &'static str,
    /// Whether the resource complies with the policy. Null when it was not read, is exempt, or no required tag applies to its type.
    #[schemars(schema_with = "nullable_bool")]
    compliant: Option<bool>,
    /// The state of the resource: `compliant`, `non_compliant`, `not_applicable`, `unknown` or `exempt`. Absent when it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    state: Option<&'static str>,
    /// The violations, at most 8: errors first, then warnings.
    violations: Vec<Violation>,
    /// The number of violations that are not listed. Absent when all are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    more_violations: Option<usize>,
    /// The time at which AWS was queried (RFC 3339, UTC). Absent when it was not queried or did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    tags_as_of: Option<String>,
    /// The state in the latest snapshot. Absent when it is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SnapshotState")]
    last_snapshot: Option<SnapshotState>,
    /// The reason why the resource was not read. Absent when it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Problem")]
    problem: Option<Problem>,
}

/// A violation of the policy.
#[derive(Debug, Serialize, JsonSchema)]
struct Violation {
    /// The tag key. Empty when the violation applies to the entire resource.
    tag: String,
    /// The type of the violation: `missing_required_tag`, `invalid_value` or `invalid_format`.
    issue: &'static str,
    /// The stable code, more specific than `issue`, such as `MISSING` or `VALUE_CASE`.
    code: &'static str,
    /// `error` for a required tag, `warning` for an optional tag or a spelling.
    severity: &'static str,
    /// The key on the resource, if its spelling is different. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    found_key: Option<String>,
    /// The value on the resource. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    current_value: Option<String>,
    /// The values that the policy allows, at most 12. Absent when the policy allows any value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    allowed_values: Option<Vec<String>>,
    /// The correct key or value, if the policy determines one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    fix: Option<String>,
}

/// The state of the resource in the latest snapshot.
#[derive(Debug, Serialize, JsonSchema)]
struct SnapshotState {
    /// The state. Null when the snapshot does not have the resource.
    #[schemars(schema_with = "crate::tools::common::arguments::nullable_text")]
    state: Option<&'static str>,
    /// Tags that have changed since the snapshot, at most 5.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed_tags: Vec<ChangedTag>,
    /// The number of changed tags that are not listed. Absent when all are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    more_changed_tags: Option<usize>,
}

/// A tag that changed. Untrusted text.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangedTag {
    tag: String,
    /// The value in the snapshot. Absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    was: Option<String>,
    /// The current value. Absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    is: Option<String>,
}

/// The reason why a resource was not read.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: &'static str,
    /// `invalid_arn`, `unsupported_type`, `account_not_scanned`, `account_not_allowed`, `region_not_scanned`, `other_partition`,
    /// `account_unknown`, or a reason of coverage: `denied`, `denied_by_scp`, `throttled`, `not_enabled`, `failed`.
    reason: &'static str,
    /// The cause, and how to correct it.
    explanation: String,
    /// The error message of AWS. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    message: Option<String>,
}

impl Problem {
    fn new(status: &'static str, reason: &'static str, explanation: impl Into<String>) -> Self {
        Self { status, reason, explanation: explanation.into(), message: None }
    }

    /// The explanation and the reason, without the message of AWS.
    pub(crate) fn describe(&self) -> String {
        format!("{} ({})", self.explanation, self.reason)
    }

    pub(crate) fn invalid_arn(why: InvalidResourceRef) -> Self {
        let reason = if why == InvalidResourceRef::Unsupported { "unsupported_type" } else { "invalid_arn" };
        Self::new("invalid_arn", reason, why.to_string())
    }

    pub(crate) fn account_not_scanned() -> Self {
        let explanation = "the account is not scanned; add it to TAGLEDGER_ACCOUNTS and scan";
        Self::new("out_of_reach", "account_not_scanned", explanation)
    }

    pub(crate) fn account_not_allowed() -> Self {
        Self::new("out_of_reach", "account_not_allowed", "the caller's key does not include the account")
    }

    pub(crate) fn region_not_scanned() -> Self {
        Self::new("out_of_reach", "region_not_scanned", "the region is not scanned")
    }

    pub(crate) fn unknown_bucket_account() -> Self {
        let explanation = "the ledger does not have the bucket, and the scanner's own account has no bucket of this name; if it is in \
            another account, scan first";
        Self::new("not_read", "account_unknown", explanation)
    }

    pub(crate) fn other_partition() -> Self {
        Self::new("out_of_reach", "other_partition", "the AWS partition is not that of the scanned accounts")
    }

    pub(crate) fn no_answer() -> Self {
        Self::new("not_read", GapReason::Failed.as_str(), "AWS did not answer; try again")
    }

    pub(crate) fn from_gap(gap: &Gap) -> Self {
        let explanation = match gap.reason {
            GapReason::Denied => {
                "grant the action to the server's role, and allow that role to assume the role in the member account"
            }
            GapReason::DeniedByScp => "exempt the server's role in the service control policy",
            GapReason::Throttled => "AWS throttled the request; try again in a minute",
            GapReason::NotEnabled => "the region or service is not enabled for its account",
            GapReason::Failed => "try again; if the error persists, see the message of AWS",
        };
        let message = escape(&format!("{}: {}", gap.operation, gap.message));
        Self { message: Some(message), ..Self::new("not_read", gap.reason.as_str(), explanation) }
    }
}

impl ValidationResult {
    fn empty(text: &str, resource_type: Option<ResourceType>, status: &'static str) -> Self {
        Self {
            resource_arn: escape(text.trim()),
            resource_type: resource_type.map(ResourceType::as_str),
            status,
            compliant: None,
            state: None,
            violations: Vec::new(),
            more_violations: None,
            tags_as_of: None,
            last_snapshot: None,
            problem: None,
        }
    }

    /// The result for a resource that was not queried, or for which AWS did not answer.
    pub(crate) fn refused(text: &str, resource_type: Option<ResourceType>, problem: Problem) -> Self {
        Self { problem: Some(problem.clone()), ..Self::empty(text, resource_type, problem.status) }
    }

    /// The result for a resource that does not exist in AWS. The snapshot may have it.
    pub(crate) fn not_found(text: &str, resource_type: ResourceType, row: Option<&ResourceRow>, at: Timestamp) -> Self {
        let last_snapshot = row.map(|row| SnapshotState::from_row(row, Vec::new()));
        let tags_as_of = Some(at.to_string());
        Self { last_snapshot, tags_as_of, ..Self::empty(text, Some(resource_type), "not_found") }
    }

    /// The result for a resource that was read from AWS. `brief` omits values and fixes.
    pub(crate) fn from_resource(
        text: &str,
        scope: &Scope,
        resource: &Resource,
        policy: &Policy,
        at: Timestamp,
        row: Option<&ResourceRow>,
        brief: bool,
    ) -> Self {
        if let Tags::Unknown(gap) = &resource.tags {
            let state = Some(State::Unknown.as_str());
            return Self { state, ..Self::refused(text, Some(scope.resource_type), Problem::from_gap(gap)) };
        }
        let subject = Subject { resource_type: scope.resource_type, arn: &resource.arn, tags: &resource.tags };
        let evaluation = policy.evaluate(&subject, day_of(at));
        let (errors, warnings): (Vec<_>, Vec<_>) =
            evaluation.findings.iter().partition(|finding| finding.severity == Severity::Error);
        let listed = errors.into_iter().chain(warnings).take(MAX_FINDINGS);
        Self {
            compliant: match evaluation.state {
                State::Compliant => Some(true),
                State::NonCompliant => Some(false),
                State::NotApplicable | State::Unknown | State::Exempt => None,
            },
            state: Some(evaluation.state.as_str()),
            violations: listed.map(|finding| Violation::from_finding(finding, policy, brief)).collect(),
            more_violations: evaluation.findings.len().checked_sub(MAX_FINDINGS).filter(|more| *more > 0),
            tags_as_of: Some(at.to_string()),
            last_snapshot: find_snapshot_state(row, &resource.tags, evaluation.state, brief),
            ..Self::empty(text, Some(scope.resource_type), "read")
        }
    }

    pub(crate) fn status(&self) -> &'static str {
        self.status
    }

    pub(crate) fn compliant(&self) -> Option<bool> {
        self.compliant
    }
}

impl Violation {
    fn from_finding(finding: &Finding<'_>, policy: &Policy, brief: bool) -> Self {
        let optional_text = |text: Option<&str>| text.filter(|_| !brief).map(escape);
        let rule = policy.required().iter().chain(policy.optional()).find(|rule| rule.name() == finding.tag);
        let allowed = rule.and_then(|rule| rule.allowed_values()).filter(|_| !brief);
        Self {
            tag: escape(finding.tag),
            issue: finding.code.violation_type().as_str(),
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            found_key: optional_text(finding.key),
            current_value: optional_text(finding.value),
            allowed_values: allowed.map(|values| values.iter().take(MAX_VALUES).map(|value| escape(value)).collect()),
            fix: optional_text(finding.fix.as_deref()),
        }
    }
}

/// Whether no scan could read the tags of a resource. A resource without tags is different: its tags were read.
pub(crate) fn has_unknown_tags(row: &ResourceRow) -> bool {
    row.state == State::Unknown && row.tags.iter().len() == 0
}

/// The state in the snapshot, if it differs from the current state.
fn find_snapshot_state(row: Option<&ResourceRow>, now: &Tags, state: State, brief: bool) -> Option<SnapshotState> {
    let Some(row) = row else {
        return Some(SnapshotState { state: None, changed_tags: Vec::new(), more_changed_tags: None });
    };
    let none = TagSet::default();
    let now = if let Tags::Known(tags) = now { tags } else { &none };
    let changed = if has_unknown_tags(row) { Vec::new() } else { compare_tags(&row.tags, now) };
    let is_same = changed.is_empty() && row.state == state;
    (!is_same).then(|| SnapshotState::from_row(row, if brief { Vec::new() } else { changed }))
}

fn compare_tags(was: &TagSet, is: &TagSet) -> Vec<ChangedTag> {
    let keys: std::collections::BTreeSet<&str> = was.iter().chain(is.iter()).map(|(key, _)| key).collect();
    let differs = keys.into_iter().filter(|key| was.get(key) != is.get(key));
    differs
        .map(|key| ChangedTag { tag: escape(key), was: was.get(key).map(escape), is: is.get(key).map(escape) })
        .collect()
}

impl SnapshotState {
    fn from_row(row: &ResourceRow, mut changed_tags: Vec<ChangedTag>) -> Self {
        let more_changed_tags = changed_tags.len().checked_sub(MAX_CHANGES).filter(|more| *more > 0);
        changed_tags.truncate(MAX_CHANGES);
        Self { state: Some(row.state.as_str()), changed_tags, more_changed_tags }
    }
}
