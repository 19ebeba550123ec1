//! The body of the compliance report.

use schemars::JsonSchema;
use serde::Serialize;

use crate::tools::{
    common::arguments::nullable_number,
    report::data::{Change, Money, Recommendation, ReportData, Summary, TopViolation, Worst},
};

impl Body {
    /// The text of the report. Empty in the format `json`.
    pub(crate) fn into_document(self) -> String {
        self.document.unwrap_or_default()
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Body {
    /// The date of the snapshot.
    pub(crate) report_date: String,
    /// compliant / (compliant + non_compliant), 0 to 1. Null when no resource could be evaluated.
    #[schemars(schema_with = "nullable_number")]
    pub(crate) overall_compliance: Option<f64>,
    pub(crate) summary: Summary,
    /// The report in the format `csv` or `markdown`. Absent in the format `json`. Contains untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) document: Option<String>,
    #[serde(flatten)]
    pub(crate) details: Option<Details>,
}

/// The fields of a report in the format `json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Details {
    /// The bill of the last complete month. Absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Money")]
    money: Option<Money>,
    /// The change since an earlier snapshot. Absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Change")]
    change: Option<Change>,
    /// The most frequent kinds of violation.
    top_violations: Vec<TopViolation>,
    /// The kinds of violation with the highest costs. A resource with several violations counts in each.
    top_violations_by_cost: Vec<TopViolation>,
    /// The accounts with the most non-compliant resources.
    worst_accounts: Vec<Worst>,
    /// The resource types with the most non-compliant resources.
    worst_resource_types: Vec<Worst>,
    /// The groups of resources to tag first as sentences, the highest cost first.
    recommendations: Vec<String>,
    /// The recommendations as data.
    recommendation_details: Vec<Recommendation>,
}

impl Details {
    pub(crate) fn from_data(data: ReportData) -> Self {
        let currency = data.money.as_ref().map_or_else(String::new, |money| money.currency.clone());
        Self {
            recommendations: data.recommendations.iter().map(|one| one.sentence(&currency, str::to_owned)).collect(),
            recommendation_details: data.recommendations,
            money: data.money,
            change: data.change,
            top_violations: data.by_count,
            top_violations_by_cost: data.by_cost,
            worst_accounts: data.accounts,
            worst_resource_types: data.types,
        }
    }
}
