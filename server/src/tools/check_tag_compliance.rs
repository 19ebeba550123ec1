//! check_tag_compliance: the score, the counts behind it, and a page of violations.

use std::{cmp::Reverse, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    ResourceType,
    inventory::Scope,
    policy::Severity,
    store::{Filter, Rule, Snapshot, Tally, View, Worst},
};

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, States, policy_note, score},
    arguments::{
        Filters, PageRequest, SeverityFilter, covered, earlier, listed, nullable_number, nullable_text, type_list,
    },
    cost_compliance::{CostCompliance, by_cost},
    period::Day,
    resource_cost,
    violation::Violation,
};
use crate::{ledger::Ledger, reach::bounded, text::visible};

pub(crate) const NAME: &str = "check_tag_compliance";

/// Groups told one by one in each breakdown.
const MOST_GROUPS: usize = 10;

/// Kinds of finding told one by one.
const MOST_RULES: usize = 12;

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Resource types to check; leave out for all.
    #[schemars(schema_with = "type_list")]
    #[serde(default)]
    resource_types: Option<Vec<ResourceType>>,
    /// Narrows to one region, one account, or both.
    #[schemars(with = "Filters")]
    #[serde(default)]
    filters: Option<Filters>,
    /// Which findings to list: `errors_only`, `warnings_only` or `all`. The score and the counts do not depend on it.
    #[schemars(with = "SeverityFilter")]
    #[serde(default)]
    severity: Option<SeverityFilter>,
    /// As of the end of that day (UTC), such as `2026-10-31`; now when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    as_of: Option<Day>,
    /// Violations on a page, 1 to 100; 10 when left out.
    #[schemars(with = "i64", range(min = 1, max = 100))]
    #[serde(default, skip_serializing)]
    limit: Option<i64>,
    /// `next_cursor` of the page before, with otherwise the same arguments.
    #[schemars(with = "String")]
    #[serde(default, skip_serializing)]
    cursor: Option<String>,
}

bounded!(filters);

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// compliant / (compliant + non_compliant), 0 to 1; null when no resource could be judged.
    #[schemars(schema_with = "nullable_number")]
    compliance_score: Option<f64>,
    /// The same by cost, of the last whole month. Absent when it is not known of the filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CostCompliance")]
    compliance_by_cost: Option<CostCompliance>,
    /// All resources asked about, in whatever state.
    total_resources: u64,
    compliant_resources: u64,
    states: States,
    /// Findings of severity error on all resources asked about.
    error_findings: u64,
    /// Findings of severity warning.
    warning_findings: u64,
    by_resource_type: Vec<Group>,
    by_region: Vec<Group>,
    by_account: Vec<Group>,
    /// The kinds of finding, errors first, the most frequent first.
    by_rule: Vec<RuleCount>,
    /// A page of resources with findings, those with most errors first.
    violations: Vec<Violation>,
    /// Resources with findings of the severity asked for, on all pages together.
    violating_resources: u64,
    /// Of these, how many stand on later pages.
    remaining: u64,
    /// Pass as `cursor` for the next page, which is of the same snapshot; null on the last one.
    #[schemars(schema_with = "nullable_text")]
    next_cursor: Option<String>,
}

/// A part of the estate.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Group {
    /// The type, region or account.
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

/// How many resources have a kind of finding.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RuleCount {
    /// `missing_required_tag`, `invalid_value` or `invalid_format`.
    violation_type: &'static str,
    /// Stable code.
    code: &'static str,
    severity: &'static str,
    /// The tag key; empty when it is about the whole resource. Untrusted text.
    tag: String,
    resources: u64,
}

/// The answer, read from one snapshot.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    let page = PageRequest::parse(arguments.limit, arguments.cursor.as_deref(), &[NAME], &arguments)?;
    let filters = arguments.filters.clone().unwrap_or_default();
    let filter = filters.filter(listed("resource_types", arguments.resource_types.clone())?);
    ledger.ask_about(page.which(arguments.as_of), |view, snapshot| {
        covered(view, &snapshot, &filter)?;
        let earlier = earlier(view, &snapshot, arguments.as_of)?;
        let costs = earlier.is_none();
        let mut notes: Vec<String> = earlier.into_iter().collect();
        let mut body = body(view, &snapshot, &filter, &arguments, &page, costs, &mut notes)?;
        if costs {
            let (compliance_by_cost, unknown) = by_cost(view, &snapshot, &filter)?;
            body.compliance_by_cost = compliance_by_cost;
            notes.extend(policy_note(ledger, &snapshot));
            notes.push(resource_cost::note(view, &snapshot, &filter, "cost_impact_monthly")?);
            notes.extend(unknown);
        }
        Ok(Answer {
            body,
            as_of: AsOf::of(&snapshot),
            policy: PolicyUsed::of(&*view.policy(&snapshot)?),
            coverage: Coverage::of(view, &snapshot, &filter)?,
            notes,
        })
    })
}

fn body(
    view: &View<'_>,
    snapshot: &Snapshot,
    filter: &Filter,
    arguments: &Arguments,
    page: &PageRequest,
    costs: bool,
    notes: &mut Vec<String>,
) -> Result<Body, ToolFailure> {
    let cells = view.cells(snapshot, filter)?;
    let tally = sum(cells.iter().map(|(_, tally)| tally));
    let severity = arguments.severity.unwrap_or_default();
    let found = view.worst(snapshot, filter, severity.into(), page.start, page.limit)?;
    let policy = view.policy(snapshot)?;
    let violating = severity.count(&tally);
    let shown = page.fit(&found, snapshot, |row| Violation::of(row, &policy, snapshot, severity, costs));
    Ok(Body {
        compliance_score: score(&tally),
        compliance_by_cost: None,
        total_resources: tally.total(),
        compliant_resources: tally.compliant,
        states: States::of(&tally),
        error_findings: tally.errors,
        warning_findings: tally.warnings,
        by_resource_type: groups(&cells, "by_resource_type", notes, |scope| scope.resource_type.to_string()),
        by_region: groups(&cells, "by_region", notes, |scope| scope.region.to_string()),
        by_account: groups(&cells, "by_account", notes, |scope| scope.account.to_string()),
        by_rule: rules(view.rules(snapshot, filter)?, notes),
        violations: shown.rows,
        violating_resources: violating,
        remaining: violating.saturating_sub(shown.shown),
        next_cursor: shown.cursor.map(|cursor| cursor.encode(NAME, arguments)),
    })
}

fn sum<'t>(tallies: impl Iterator<Item = &'t Tally>) -> Tally {
    let mut total = Tally::default();
    tallies.for_each(|tally| total += *tally);
    total
}

impl From<SeverityFilter> for Worst {
    fn from(filter: SeverityFilter) -> Self {
        let (errors, warnings) = (filter != SeverityFilter::WarningsOnly, filter != SeverityFilter::ErrorsOnly);
        Self { errors, warnings }
    }
}

impl SeverityFilter {
    fn count(self, tally: &Tally) -> u64 {
        match self {
            Self::ErrorsOnly => tally.non_compliant,
            Self::WarningsOnly => tally.warned,
            Self::All => tally.flagged,
        }
    }
}

fn groups(
    cells: &[(Scope, Tally)],
    what: &str,
    notes: &mut Vec<String>,
    name: impl Fn(&Scope) -> String,
) -> Vec<Group> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for (scope, tally) in cells {
        *tallies.entry(name(scope)).or_default() += *tally;
    }
    let mut groups: Vec<(String, Tally)> = tallies.into_iter().collect();
    groups.sort_by_key(|(_, tally)| Reverse(tally.non_compliant));
    if groups.len() > MOST_GROUPS {
        let all = groups.len();
        notes.push(format!(
            "{what}: the {MOST_GROUPS} with most non-compliant resources of {all}; narrow with filters."
        ));
    }
    groups.iter().take(MOST_GROUPS).map(|(name, tally)| group(name, tally)).collect()
}

fn group(name: &str, tally: &Tally) -> Group {
    Group {
        name: name.to_owned(),
        compliance_score: score(tally),
        total: tally.total(),
        compliant: tally.compliant,
        non_compliant: tally.non_compliant,
        not_applicable: tally.not_applicable,
        unknown: tally.unknown,
        exempt: tally.exempt,
    }
}

fn rules(counts: BTreeMap<Rule, u64>, notes: &mut Vec<String>) -> Vec<RuleCount> {
    let mut counts: Vec<(Rule, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(rule, resources)| (rule.severity != Severity::Error, Reverse(*resources)));
    if counts.len() > MOST_RULES {
        notes.push(format!("by_rule: the first {MOST_RULES} of {} kinds of finding.", counts.len()));
    }
    let count = |(rule, resources): (Rule, u64)| RuleCount {
        violation_type: rule.code.violation_type().as_str(),
        code: rule.code.as_str(),
        severity: rule.severity.as_str(),
        tag: visible(&rule.tag),
        resources,
    };
    counts.into_iter().take(MOST_RULES).map(count).collect()
}
