//! `generate_compliance_report`: a one-page compliance report as JSON, CSV or Markdown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_ledger::Filter;

use crate::{
    app_state::AppState,
    error::ToolFailure,
    tools::{
        common::{
            account_filter::limit_accounts,
            arguments::{earlier_snapshot_note, select_snapshot},
            envelope::{Answer, policy_note, score},
            resource_cost,
            time_period::Day,
        },
        report::{
            csv,
            data::ReportData,
            markdown,
            model::{Body, Details},
        },
    },
};

pub(crate) const NAME: &str = "generate_compliance_report";

#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The format of the report: `json` (all fields), `csv` (for spreadsheets) or `markdown` (one page of text). Default: `json`.
    #[schemars(with = "Format")]
    #[serde(default)]
    format: Option<Format>,
    /// Whether the report recommends which resources to tag first. Default: true.
    #[schemars(with = "bool")]
    #[serde(default)]
    include_recommendations: Option<bool>,
    /// Reads the last snapshot of this day (UTC) or before, such as `2026-10-31`. Default: the latest.
    #[schemars(with = "String")]
    #[serde(default)]
    pub(crate) as_of: Option<Day>,
}

limit_accounts!(entire_estate);

impl Arguments {
    /// The arguments of a Markdown report of the latest snapshot, or of that of a day.
    ///
    /// # Errors
    ///
    /// When `day` is not a date.
    pub(crate) fn as_markdown(day: Option<&str>) -> Result<Self, String> {
        let as_of = day.map(|day| Day::try_from(day.to_owned())).transpose()?;
        Ok(Self { format: Some(Format::Markdown), include_recommendations: None, as_of })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Json,
    Csv,
    Markdown,
}

/// Reports on the latest snapshot, or on that of a day.
pub(crate) fn answer(app: &AppState, arguments: Arguments) -> Result<Answer<Body>, ToolFailure> {
    app.read_snapshot(select_snapshot(arguments.as_of), |session, snapshot| {
        let earlier = earlier_snapshot_note(session, &snapshot, arguments.as_of)?;
        let mut data = ReportData::load(session, &snapshot, earlier.is_none())?;
        if arguments.include_recommendations == Some(false) {
            data.recommendations.clear();
        }
        let mut notes: Vec<String> = Vec::new();
        match earlier {
            Some(note) => notes.push(note),
            None => {
                notes.extend(policy_note(app, &snapshot));
                notes.push(resource_cost::describe_basis(session, &snapshot, &Filter::default(), "cost_impact")?);
            }
        }
        if !data.recommendations.is_empty() && data.more_recommendations > 0 {
            notes.push(format!("{} more groups of resources are not listed.", data.more_recommendations));
        }
        let body = Body {
            report_date: data.day.to_string(),
            overall_compliance: score(&data.counts),
            summary: data.summary(),
            document: None,
            details: None,
        };
        let answer = Answer::new(session, &snapshot, &Filter::default(), body, notes)?;
        Ok(add_report(answer, data, arguments.format.unwrap_or(Format::Json)))
    })
}

/// Adds the report in the requested format.
fn add_report(mut answer: Answer<Body>, data: ReportData, format: Format) -> Answer<Body> {
    match format {
        Format::Json => answer.body.details = Some(Details::from_data(data)),
        Format::Csv => answer.body.document = Some(csv::document(&data, &answer)),
        Format::Markdown => answer.body.document = Some(markdown::document(&data, &answer)),
    }
    answer
}
