//! What is told of one resource that was asked for by name.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use shared::{
    ResourceType,
    day::day_of,
    inventory::{Gap, GapReason, Resource, Scope, TagSet, Tags},
    named::Misnamed,
    policy::{Finding, Policy, Severity, State, Subject},
    store::Row,
};

use super::arguments::nullable_bool;
use crate::text::visible;

/// Findings told of one resource.
const MOST_FINDINGS: usize = 8;

/// Values told of those that a tag may have.
const MOST_VALUES: usize = 12;

/// Changed tags told of one resource.
const MOST_CHANGES: usize = 5;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Validated {
    /// As it was given. Untrusted text.
    resource_arn: String,
    /// Absent when the ARN is of no supported type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    resource_type: Option<&'static str>,
    /// `read`; `not_found`: AWS has no such resource, or no more; `not_read`: AWS did not answer, or refused; `out_of_reach`: of an
    /// account or partition that is not scanned; `invalid_arn`: of no supported type, or no ARN.
    status: &'static str,
    /// Null when it was not read, is exempt, or no required tag applies to its type.
    #[schemars(schema_with = "nullable_bool")]
    compliant: Option<bool>,
    /// `compliant`, `non_compliant`, `not_applicable`, `unknown` or `exempt`; absent when it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    state: Option<&'static str>,
    /// What is wrong, at most eight: errors first, then warnings.
    violations: Vec<Found>,
    /// Violations beyond those. Absent when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    more_violations: Option<usize>,
    /// When AWS was asked (RFC 3339, UTC); absent when it was not, or did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    tags_as_of: Option<String>,
    /// What the snapshot says of it; absent when that is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Before")]
    last_snapshot: Option<Before>,
    /// Why it was not read; absent when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Problem")]
    problem: Option<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// The tag key; empty when it is about the whole resource.
    tag: String,
    /// `missing_required_tag`, `invalid_value` or `invalid_format`.
    issue: &'static str,
    /// Stable code, finer than `issue`, such as `MISSING` or `VALUE_CASE`.
    code: &'static str,
    /// `error` about a required tag, `warning` about an optional tag or a spelling.
    severity: &'static str,
    /// The key as found, where it is spelt otherwise. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    found_key: Option<String>,
    /// The value as found. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    current_value: Option<String>,
    /// The values that the policy allows, at most twelve of them. Absent when any value will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    allowed_values: Option<Vec<String>>,
    /// The key or value to write instead, where one follows from the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    fix: Option<String>,
}

/// What an earlier scan saw.
#[derive(Debug, Serialize, JsonSchema)]
struct Before {
    /// Its state then; null when the snapshot does not have the resource.
    #[schemars(schema_with = "super::arguments::nullable_text")]
    state: Option<&'static str>,
    /// Tags that are others now, at most five.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed_tags: Vec<ChangedTag>,
    /// Changed tags beyond those. Absent when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    more_changed_tags: Option<usize>,
}

/// A tag that changed. Untrusted text.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangedTag {
    tag: String,
    /// Absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    was: Option<String>,
    /// Absent when there is none now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    is: Option<String>,
}

/// Why a resource was not read.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: &'static str,
    /// `invalid_arn`, `unsupported_type`, `account_not_scanned`, `region_not_scanned`, `other_partition`, `account_unknown`, or as in coverage: `denied`, `denied_by_scp`,
    /// `throttled`, `not_enabled`, `failed`.
    reason: &'static str,
    /// What is wrong, and what to do.
    explanation: String,
    /// What AWS said. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    message: Option<String>,
}

impl Problem {
    fn ours(status: &'static str, reason: &'static str, explanation: impl Into<String>) -> Self {
        Self { status, reason, explanation: explanation.into(), message: None }
    }

    /// In a sentence's part, without AWS's own words.
    pub(crate) fn words(&self) -> String {
        format!("{} ({})", self.explanation, self.reason)
    }

    pub(crate) fn misnamed(why: Misnamed) -> Self {
        let reason = if why == Misnamed::Unsupported { "unsupported_type" } else { "invalid_arn" };
        Self::ours("invalid_arn", reason, why.to_string())
    }

    pub(crate) fn foreign_account() -> Self {
        let explanation = "its account is none of those that are scanned; add it to TAGLEDGER_ACCOUNTS and scan";
        Self::ours("out_of_reach", "account_not_scanned", explanation)
    }

    pub(crate) fn beyond_key() -> Self {
        Self::ours("out_of_reach", "account_not_allowed", "the key that asks is not for its account")
    }

    pub(crate) fn foreign_region() -> Self {
        Self::ours("out_of_reach", "region_not_scanned", "its region is none of those that are scanned")
    }

    pub(crate) fn homeless_bucket() -> Self {
        let explanation = "the ledger does not know the bucket, and the scanner's own account has none of that name; if another \
            account has it, scan first";
        Self::ours("not_read", "account_unknown", explanation)
    }

    pub(crate) fn foreign_partition() -> Self {
        Self::ours(
            "out_of_reach",
            "other_partition",
            "it is of another AWS partition than the accounts that are scanned",
        )
    }

    pub(crate) fn unanswered() -> Self {
        Self::ours("not_read", GapReason::Failed.as_str(), "AWS did not answer; ask again")
    }

    pub(crate) fn unread(gap: &Gap) -> Self {
        let explanation = match gap.reason {
            GapReason::Denied => "grant the server's role this action, and trust it with the member account's role",
            GapReason::DeniedByScp => "exempt the server's role in the service control policy",
            GapReason::Throttled => "AWS was asked too often; ask again in a minute",
            GapReason::NotEnabled => "the region or service is not enabled for its account",
            GapReason::Failed => "ask again; if it stays, the message says what AWS answered",
        };
        let message = visible(&format!("{}: {}", gap.operation, gap.message));
        Self { message: Some(message), ..Self::ours("not_read", gap.reason.as_str(), explanation) }
    }
}

impl Validated {
    fn bare(text: &str, resource_type: Option<ResourceType>, status: &'static str) -> Self {
        Self {
            resource_arn: visible(text.trim()),
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

    /// One that was not asked for, or not answered.
    pub(crate) fn refused(text: &str, resource_type: Option<ResourceType>, problem: Problem) -> Self {
        Self { problem: Some(problem.clone()), ..Self::bare(text, resource_type, problem.status) }
    }

    /// One that is not there, although the snapshot may have it.
    pub(crate) fn not_found(text: &str, resource_type: ResourceType, row: Option<&Row>, at: Timestamp) -> Self {
        let last_snapshot = row.map(|row| Before::of(row, Vec::new()));
        let tags_as_of = Some(at.to_string());
        Self { last_snapshot, tags_as_of, ..Self::bare(text, Some(resource_type), "not_found") }
    }

    /// One that was read.
    pub(crate) fn read(
        text: &str,
        scope: &Scope,
        resource: &Resource,
        policy: &Policy,
        at: Timestamp,
        row: Option<&Row>,
        brief: bool,
    ) -> Self {
        if let Tags::Unknown(gap) = &resource.tags {
            let state = Some(State::Unknown.as_str());
            return Self { state, ..Self::refused(text, Some(scope.resource_type), Problem::unread(gap)) };
        }
        let subject = Subject { resource_type: scope.resource_type, arn: &resource.arn, tags: &resource.tags };
        let verdict = policy.judge(&subject, day_of(at));
        let (errors, warnings): (Vec<_>, Vec<_>) =
            verdict.findings.iter().partition(|finding| finding.severity == Severity::Error);
        let told = errors.into_iter().chain(warnings).take(MOST_FINDINGS);
        Self {
            compliant: match verdict.state {
                State::Compliant => Some(true),
                State::NonCompliant => Some(false),
                State::NotApplicable | State::Unknown | State::Exempt => None,
            },
            state: Some(verdict.state.as_str()),
            violations: told.map(|finding| Found::of(finding, policy, brief)).collect(),
            more_violations: verdict.findings.len().checked_sub(MOST_FINDINGS).filter(|more| *more > 0),
            tags_as_of: Some(at.to_string()),
            last_snapshot: before(row, &resource.tags, verdict.state, brief),
            ..Self::bare(text, Some(scope.resource_type), "read")
        }
    }

    pub(crate) fn status(&self) -> &'static str {
        self.status
    }

    pub(crate) fn compliant(&self) -> Option<bool> {
        self.compliant
    }
}

impl Found {
    fn of(finding: &Finding<'_>, policy: &Policy, brief: bool) -> Self {
        let told = |text: Option<&str>| text.filter(|_| !brief).map(visible);
        let rule = policy.required().iter().chain(policy.optional()).find(|rule| rule.name() == finding.tag);
        let allowed = rule.and_then(|rule| rule.allowed_values()).filter(|_| !brief);
        Self {
            tag: visible(finding.tag),
            issue: finding.code.violation_type().as_str(),
            code: finding.code.as_str(),
            severity: finding.severity.as_str(),
            found_key: told(finding.key),
            current_value: told(finding.value),
            allowed_values: allowed.map(|values| values.iter().take(MOST_VALUES).map(|value| visible(value)).collect()),
            fix: told(finding.fix.as_deref()),
        }
    }
}

/// Whether nothing is known of a row's tags: none there is not none known.
pub(crate) fn never_read(row: &Row) -> bool {
    row.state == State::Unknown && row.tags.iter().len() == 0
}

/// What the snapshot said, when it is something else.
fn before(row: Option<&Row>, now: &Tags, state: State, brief: bool) -> Option<Before> {
    let Some(row) = row else {
        return Some(Before { state: None, changed_tags: Vec::new(), more_changed_tags: None });
    };
    let none = TagSet::default();
    let now = if let Tags::Known(tags) = now { tags } else { &none };
    let changed = if never_read(row) { Vec::new() } else { changes(&row.tags, now) };
    let same = changed.is_empty() && row.state == state;
    (!same).then(|| Before::of(row, if brief { Vec::new() } else { changed }))
}

fn changes(was: &TagSet, is: &TagSet) -> Vec<ChangedTag> {
    let keys: std::collections::BTreeSet<&str> = was.iter().chain(is.iter()).map(|(key, _)| key).collect();
    let differs = keys.into_iter().filter(|key| was.get(key) != is.get(key));
    differs
        .map(|key| ChangedTag { tag: visible(key), was: was.get(key).map(visible), is: is.get(key).map(visible) })
        .collect()
}

impl Before {
    fn of(row: &Row, mut changed_tags: Vec<ChangedTag>) -> Self {
        let more_changed_tags = changed_tags.len().checked_sub(MOST_CHANGES).filter(|more| *more > 0);
        changed_tags.truncate(MOST_CHANGES);
        Self { state: Some(row.state.as_str()), changed_tags, more_changed_tags }
    }
}
