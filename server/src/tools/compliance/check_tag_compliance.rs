//! `check_tag_compliance`: the compliance score, counts by several dimensions, and a page of violations.

use std::{cmp::Reverse, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_ledger::{ComplianceCounts, Filter, OrderBySeverity, ReadSession, Rule, Snapshot, query::compliance};
use tagledger_model::{ResourceType, inventory::Scope};
use tagledger_policy::Severity;

use crate::{
    app_state::AppState,
    error::ToolFailure,
    tools::common::{
        account_filter::limit_accounts,
        arguments::{
            Filters, PageRequest, SeverityFilter, check_coverage, earlier_snapshot_note, nullable_number,
            nullable_text, require_non_empty, type_list,
        },
        compliance_by_cost::{CostCompliance, compute_cost_compliance},
        envelope::{Answer, States, policy_note, score},
        resource_cost, scope_counts,
        time_period::Day,
        violation::Violation,
    },
    untrusted_text::escape,
};

pub(crate) const NAME: &str = "check_tag_compliance";

/// The maximum number of groups of a breakdown.
const MAX_GROUPS: usize = 10;

/// The maximum number of entries of `by_rule`.
const MAX_RULES: usize = 12;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The resource types to check. Default: all types.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// One region, one account, or both.
    #[schemars(with = "Filters")]
    #[serde(default)]
    pub(crate) filters: Option<Filters>,
    /// The findings to list: `errors_only`, `warnings_only` or `all`. The score and the counts do not depend on it. Default: `all`.
    #[schemars(with = "SeverityFilter")]
    #[serde(default)]
    severity: Option<SeverityFilter>,
    /// Reads the last snapshot of this day (UTC) or before, such as `2026-10-31`. Default: the latest.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) as_of: Option<Day>,
    /// The maximum number of violations to return, 1 to 100. Default: 10.
    #[schemars(with = "i64", range(min = 1, max = 100))]
    #[serde(default, skip_serializing)]
    limit: Option<i64>,
    /// The `next_cursor` of the previous page, with the same other arguments.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing)]
    cursor: Option<String>,
}

limit_accounts!(filters);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// compliant / (compliant + non_compliant), 0 to 1. Null when no resource could be evaluated.
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    /// The compliance by cost in the last complete month. Absent when it is not known for this filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CostCompliance")]
    compliance_by_cost: Option<CostCompliance>,
    /// The number of resources that match the arguments, in any state.
    total_resources: u64,
    compliant_resources: u64,
    states: States,
    /// The number of findings of severity `error` on these resources.
    error_findings: u64,
    /// The number of findings of severity `warning` on these resources.
    warning_findings: u64,
    by_resource_type: Vec<Group>,
    by_region: Vec<Group>,
    by_account: Vec<Group>,
    /// The number of resources by kind of finding: errors first, the most frequent first.
    by_rule: Vec<RuleCount>,
    /// A page of resources with findings, those with the most errors first.
    violations: Vec<Violation>,
    /// The number of resources with findings of the requested severity, on all pages.
    violating_resources: u64,
    /// The number of these resources on later pages.
    remaining: u64,
    /// Pass as `cursor` to get the next page of the same snapshot. Null on the last page.
    #[schemars(schema_with = "nullable_text")]
    next_cursor: Option<String>,
}

/// The resources of one resource type, region or account.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Group {
    /// The resource type, region or account ID.
    name: String,
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    total: u64,
    compliant: u64,
    non_compliant: u64,
    not_applicable: u64,
    unknown: u64,
    exempt: u64,
}

/// The number of resources with one kind of finding.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RuleCount {
    /// `missing_required_tag`, `invalid_value` or `invalid_format`.
    violation_type: &'static str,
    /// The stable code of the finding.
    code: &'static str,
    severity: &'static str,
    /// The tag key. Empty when the finding applies to the entire resource. Untrusted text.
    tag: String,
    resources: u64,
}

/// Answers the call from one snapshot.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let page = PageRequest::parse(arguments.limit, arguments.cursor.as_deref(), &[NAME], &arguments)?;
    let filters = arguments.filters.clone().unwrap_or_default();
    let filter = filters.filter(require_non_empty("resource_types", arguments.resource_types.clone())?);
    app.read_snapshot(page.select_snapshot(arguments.as_of), |session, snapshot| {
        check_coverage(session, &snapshot, &filter)?;
        let earlier = earlier_snapshot_note(session, &snapshot, arguments.as_of)?;
        let costs = earlier.is_none();
        let mut notes: Vec<String> = earlier.into_iter().collect();
        let mut body = body(session, &snapshot, &filter, &arguments, &page, costs, &mut notes)?;
        if costs {
            let (compliance_by_cost, unknown) = compute_cost_compliance(session, &snapshot, &filter)?;
            body.compliance_by_cost = compliance_by_cost;
            notes.extend(policy_note(app, &snapshot));
            notes.push(resource_cost::describe_basis(session, &snapshot, &filter, "cost_impact_monthly")?);
            notes.extend(unknown);
        }
        Ok(Answer::new(session, &snapshot, &filter, body, notes)?)
    })
}

fn body(
    session: &ReadSession<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    arguments: &Arguments,
    page: &PageRequest,
    costs: bool,
    notes: &mut Vec<String>,
) -> Result<Body, ToolFailure> {
    let cells = compliance::count_by_scope(session, snapshot, filter)?;
    let counts = scope_counts::sum_all(&cells);
    let severity = arguments.severity.unwrap_or_default();
    let found = compliance::list_by_severity(session, snapshot, filter, severity.into(), page.start, page.limit)?;
    let policy = session.policy(snapshot)?;
    let violating = severity.count(&counts);
    let shown = page.render(&found, snapshot, |row| Violation::from_row(row, &policy, snapshot, severity, costs));
    Ok(Body {
        compliance_score: score(&counts),
        compliance_by_cost: None,
        total_resources: counts.total(),
        compliant_resources: counts.compliant,
        states: States::from_counts(&counts),
        error_findings: counts.errors,
        warning_findings: counts.warnings,
        by_resource_type: group_by(&cells, "by_resource_type", notes, |scope| scope.resource_type.to_string()),
        by_region: group_by(&cells, "by_region", notes, |scope| scope.region.to_string()),
        by_account: group_by(&cells, "by_account", notes, |scope| scope.account.to_string()),
        by_rule: list_rules(compliance::count_by_rule(session, snapshot, filter)?, notes),
        violations: shown.rows,
        violating_resources: violating,
        remaining: violating.saturating_sub(shown.shown),
        next_cursor: shown.cursor.map(|cursor| cursor.encode(NAME, arguments)),
    })
}

impl From<SeverityFilter> for OrderBySeverity {
    fn from(filter: SeverityFilter) -> Self {
        let (errors, warnings) = (filter != SeverityFilter::WarningsOnly, filter != SeverityFilter::ErrorsOnly);
        Self { errors, warnings }
    }
}

impl SeverityFilter {
    fn count(self, counts: &ComplianceCounts) -> u64 {
        match self {
            Self::ErrorsOnly => counts.non_compliant,
            Self::WarningsOnly => counts.warned,
            Self::All => counts.flagged,
        }
    }
}

fn group_by(
    cells: &[(Scope, ComplianceCounts)],
    field: &str,
    notes: &mut Vec<String>,
    name: impl Fn(&Scope) -> String,
) -> Vec<Group> {
    let groups = scope_counts::rank_by(cells, name);
    if groups.len() > MAX_GROUPS {
        let all = groups.len();
        notes.push(format!(
            "{field} lists the {MAX_GROUPS} of {all} groups with the most non-compliant resources. Use filters to see the others."
        ));
    }
    groups.iter().take(MAX_GROUPS).map(|(name, counts)| Group::from_counts(name, counts)).collect()
}

impl Group {
    fn from_counts(name: &str, counts: &ComplianceCounts) -> Self {
        Self {
            name: name.to_owned(),
            compliance_score: score(counts),
            total: counts.total(),
            compliant: counts.compliant,
            non_compliant: counts.non_compliant,
            not_applicable: counts.not_applicable,
            unknown: counts.unknown,
            exempt: counts.exempt,
        }
    }
}

fn list_rules(counts: BTreeMap<Rule, u64>, notes: &mut Vec<String>) -> Vec<RuleCount> {
    let mut counts: Vec<(Rule, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(rule, resources)| (rule.severity != Severity::Error, Reverse(*resources)));
    if counts.len() > MAX_RULES {
        notes.push(format!("by_rule lists the first {MAX_RULES} of {} kinds of finding.", counts.len()));
    }
    let count = |(rule, resources): (Rule, u64)| RuleCount {
        violation_type: rule.code.violation_type().as_str(),
        code: rule.code.as_str(),
        severity: rule.severity.as_str(),
        tag: escape(&rule.tag),
        resources,
    };
    counts.into_iter().take(MAX_RULES).map(count).collect()
}
