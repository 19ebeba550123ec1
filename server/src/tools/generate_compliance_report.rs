//! generate_compliance_report: one page on how the estate is tagged, as data, as a table for spreadsheets, or to be read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::store::Filter;

use super::{
    ToolFailure,
    answer::{Answer, AsOf, Coverage, PolicyUsed, policy_note, score},
    arguments::{earlier, nullable_number, which},
    period::Day,
    report_csv,
    report_facts::{Change, Facts, Money, Recommendation, Summary, TopViolation, Worst},
    report_markdown, resource_cost,
};
use crate::{ledger::Ledger, reach::bounded};

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// `json`: every field; `csv`: a table for spreadsheets; `markdown`: one page to be read. `json` when left out.
    #[schemars(with = "Format")]
    #[serde(default)]
    format: Option<Format>,
    /// Whether to say what to tag first; true when left out.
    #[schemars(with = "bool")]
    #[serde(default)]
    include_recommendations: Option<bool>,
    /// As of the end of that day (UTC), such as `2026-10-31`; now when left out.
    #[schemars(with = "String")]
    #[serde(default)]
    as_of: Option<Day>,
}

bounded!(whole);

impl Arguments {
    /// The page to be read, as of the end of a day or of now; why not where there is no such day.
    pub(crate) fn as_markdown(day: Option<&str>) -> Result<Self, String> {
        let as_of = day.map(|day| Day::try_from(day.to_owned())).transpose()?;
        Ok(Self { format: Some(Format::Markdown), include_recommendations: None, as_of })
    }
}

impl Body {
    /// The report as it is handed on; empty as `json`.
    pub(crate) fn document(self) -> String {
        self.document.unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Json,
    Csv,
    Markdown,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// Date of the snapshot that is reported on.
    report_date: String,
    /// compliant / (compliant + non_compliant); null when nothing could be judged.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) overall_compliance: Option<f64>,
    summary: Summary,
    /// The report as `csv` or `markdown`, to be handed on as it is. Absent as `json`. Holds untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    document: Option<String>,
    #[serde(flatten)]
    details: Option<Details>,
}

/// Of a report as `json`; otherwise all of it stands in `document`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Details {
    /// The bill of the last whole month. Absent when none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Money")]
    money: Option<Money>,
    /// Absent when there is no earlier snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Change")]
    change: Option<Change>,
    /// The most frequent kinds of violation.
    top_violations: Vec<TopViolation>,
    /// Those that cost most; a resource with several of them counts in each.
    top_violations_by_cost: Vec<TopViolation>,
    /// Accounts with most non-compliant resources.
    worst_accounts: Vec<Worst>,
    worst_resource_types: Vec<Worst>,
    /// What to tag first, those groups first that cost most, in words.
    recommendations: Vec<String>,
    /// The same in fields.
    recommendation_details: Vec<Recommendation>,
}

/// The report on the newest snapshot, or that of a day.
pub(crate) fn answer(ledger: &Ledger, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    ledger.ask_about(which(arguments.as_of), |view, snapshot| {
        let earlier = earlier(view, &snapshot, arguments.as_of)?;
        let mut facts = Facts::of(view, &snapshot, earlier.is_none())?;
        if arguments.include_recommendations == Some(false) {
            facts.advice.clear();
        }
        let mut notes: Vec<String> = Vec::new();
        match earlier {
            Some(note) => notes.push(note),
            None => {
                notes.extend(policy_note(ledger, &snapshot));
                notes.push(resource_cost::note(view, &snapshot, &Filter::default(), "cost_impact")?);
            }
        }
        if !facts.advice.is_empty() && facts.more_advice > 0 {
            notes.push(format!("{} more groups could be tagged together.", facts.more_advice));
        }
        let answer = Answer {
            body: Body {
                report_date: facts.day.to_string(),
                overall_compliance: score(&facts.tally),
                summary: facts.summary(),
                document: None,
                details: None,
            },
            as_of: AsOf::of(&snapshot),
            policy: PolicyUsed::of(&*view.policy(&snapshot)?),
            coverage: Coverage::of(view, &snapshot, &Filter::default())?,
            notes,
        };
        Ok(told(answer, facts, arguments.format.unwrap_or(Format::Json)))
    })
}

fn told(mut answer: Answer<Body>, facts: Facts, format: Format) -> Answer<Body> {
    match format {
        Format::Json => answer.body.details = Some(Details::of(facts)),
        Format::Csv => answer.body.document = Some(report_csv::document(&facts, &answer)),
        Format::Markdown => answer.body.document = Some(report_markdown::document(&facts, &answer)),
    }
    answer
}

impl Details {
    fn of(facts: Facts) -> Self {
        let currency = facts.money.as_ref().map_or_else(String::new, |money| money.currency.clone());
        Self {
            recommendations: facts.advice.iter().map(|one| one.sentence(&currency, str::to_owned)).collect(),
            recommendation_details: facts.advice,
            money: facts.money,
            change: facts.change,
            top_violations: facts.by_count,
            top_violations_by_cost: facts.by_cost,
            worst_accounts: facts.accounts,
            worst_resource_types: facts.types,
        }
    }
}
