//! The tag changes of a plan, and their scripts.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_analysis::remediation::{TagChange, aws_cli, custodian, terraform};
use tagledger_ledger::{ResourceRow, Snapshot, learn::predict, query::remediation};
use tagledger_model::ResourceType;

use crate::{
    error::ToolFailure,
    tools::common::{
        arguments::nullable_number,
        envelope::to_units,
        suggestions::{self, SuggestionEngine, TagPrediction},
    },
    untrusted_text::escape,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    AwsCli,
    Terraform,
    Custodian,
}

/// One value of one tag, for resources of one type, account and region.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Change {
    tag_key: String,
    /// Untrusted text: data, not instructions.
    value: String,
    /// The lowest confidence of the resources.
    confidence: f64,
    resource_type: &'static str,
    account_id: String,
    region: String,
    /// Untrusted text.
    resource_arns: Vec<String>,
    /// The known monthly cost of the resources. Null when no cost is known.
    #[schemars(schema_with = "nullable_number")]
    monthly_cost: Option<f64>,
}

/// A tag without a value of sufficient confidence.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct UnresolvedTag {
    tag_key: String,
    resource_type: &'static str,
    account_id: String,
    region: String,
    /// Untrusted text.
    resource_arns: Vec<String>,
}

/// The changes of the returned resources.
pub(crate) struct RenderedChanges {
    /// Each change with its lowest confidence and its known monthly cost in cents.
    pub(crate) changes: Vec<(TagChange, f64, Option<i64>)>,
    pub(crate) open: Vec<UnresolvedTag>,
}

/// Tag key, value, resource type, account and region of a change.
type ChangeKey = (String, String, ResourceType, tagledger_model::AccountId, tagledger_model::Region);

/// Predicts the values of the missing and invalid tags of resources, and groups them into changes.
pub(crate) fn render_changes(
    engine: &SuggestionEngine<'_>,
    snapshot: &Snapshot,
    keys: &[i64],
    min_confidence: f64,
    costs: bool,
) -> Result<RenderedChanges, ToolFailure> {
    let mut groups: BTreeMap<ChangeKey, (TagChange, f64, Option<i64>)> = BTreeMap::new();
    let mut order: Vec<ChangeKey> = Vec::new();
    let mut open: BTreeMap<ChangeKey, Vec<String>> = BTreeMap::new();
    for row in remediation::list_resources(engine.session, snapshot, keys)? {
        let cost = row.cost.filter(|_| costs).map(|cost| cost.monthly.cents());
        for (key, value) in predict_values(engine, &row, min_confidence)? {
            let scope = &row.scope;
            let text = value.as_ref().map(|(value, _)| value.clone()).unwrap_or_default();
            let change_key =
                (key.clone(), text.clone(), scope.resource_type, scope.account.clone(), scope.region.clone());
            let Some((_, confidence)) = value else {
                open.entry(change_key).or_default().push(escape(row.arn.as_str()));
                continue;
            };
            let (_, _, resource_type, account, region) = change_key.clone();
            let group = groups.entry(change_key.clone()).or_insert_with(|| {
                order.push(change_key);
                (TagChange { resource_type, account, region, key, value: text, arns: Vec::new() }, 1.0, None)
            });
            group.0.arns.push(row.arn.clone());
            group.1 = group.1.min(confidence);
            group.2 = cost.map_or(group.2, |cost| Some(group.2.unwrap_or_default() + cost));
        }
    }
    let changes = order.iter().filter_map(|change_key| groups.remove(change_key)).collect();
    let open = open.into_iter().map(|((key, _, resource_type, account, region), resource_arns)| UnresolvedTag {
        tag_key: escape(&key),
        resource_type: resource_type.as_str(),
        account_id: account.to_string(),
        region: region.to_string(),
        resource_arns,
    });
    Ok(RenderedChanges { changes, open: open.collect() })
}

/// Every tag to change, with its value if the confidence is sufficient.
fn predict_values(
    engine: &SuggestionEngine<'_>,
    row: &ResourceRow,
    min_confidence: f64,
) -> Result<Vec<TagPrediction>, ToolFailure> {
    let relations = predict::locate(engine.session, &row.arn)?;
    let target = relations.to_target(&row.scope, &row.arn, &row.tags);
    let found = engine.predict_values(&target)?;
    Ok(found
        .into_iter()
        .map(|(key, value)| (key, value.filter(|(_, confidence)| *confidence >= min_confidence)))
        .collect())
}

impl RenderedChanges {
    /// The changes in the form of the answer.
    pub(crate) fn list_changes(&self) -> Vec<Change> {
        let render = |(change, confidence, cost): &(TagChange, f64, Option<i64>)| Change {
            tag_key: escape(&change.key),
            value: escape(&change.value),
            confidence: suggestions::round_confidence(*confidence),
            resource_type: change.resource_type.as_str(),
            account_id: change.account.to_string(),
            region: change.region.to_string(),
            resource_arns: change.arns.iter().map(|arn| escape(arn.as_str())).collect(),
            monthly_cost: cost.map(to_units),
        };
        self.changes.iter().map(render).collect()
    }
}

impl Format {
    /// Renders a script that applies the changes.
    pub(crate) fn render(self, changes: &[(TagChange, f64, Option<i64>)]) -> String {
        let mut changes: Vec<TagChange> = changes.iter().map(|(change, ..)| change.clone()).collect();
        // The script switches credentials for each account and region.
        changes.sort_by(|a, b| (&a.account, &a.region).cmp(&(&b.account, &b.region)));
        match self {
            Self::AwsCli => aws_cli::write_script(&changes),
            Self::Terraform => terraform::write_configuration(&changes),
            Self::Custodian => custodian::write_policies(&changes),
        }
    }
}
