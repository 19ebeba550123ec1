//! The attribution gap by resource type, region or account.

use std::{cmp::Reverse, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tagledger_cost::{Amount, Attribution, TaggableSpend, round_to_cents, service_category, services_of};
use tagledger_ledger::ComplianceCounts;
use tagledger_model::inventory::Scope;

use crate::{
    tools::{
        common::{arguments::nullable_number, envelope::to_units},
        cost::current_tags_gap::CurrentTagsSpend,
    },
    untrusted_text::escape,
};

/// The maximum number of categories.
const MAX_CATEGORIES: usize = 20;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum Grouping {
    #[default]
    #[serde(rename = "by_resource_type")]
    ResourceType,
    #[serde(rename = "by_region")]
    Region,
    #[serde(rename = "by_account")]
    Account,
}

/// The gap of one category.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Category {
    /// A resource type, an AWS service without a scanned resource type, a region or an account ID.
    category: String,
    unattributable_cost: f64,
    /// The unattributable cost of current resources, by their current tags. Absent when the costs of individual resources are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    live_unattributable_cost: Option<f64>,
    /// The spend that must carry required tags.
    taggable_cost: f64,
    /// The number of non-compliant resources in the snapshot. Null for services without a scanned resource type.
    #[schemars(schema_with = "nullable_number")]
    resource_count: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MoreCategories {
    categories: u64,
    unattributable_cost: f64,
}

/// The figures of the snapshot, by category.
pub(crate) struct SnapshotFigures {
    non_compliant: BTreeMap<String, u64>,
    current_gap: BTreeMap<String, f64>,
}

impl SnapshotFigures {
    pub(crate) fn compute(
        grouping: Grouping,
        cells: &[(Scope, ComplianceCounts)],
        spend: Option<&CurrentTagsSpend>,
    ) -> Self {
        let current_gap = spend.map(|spend| spend.unattributable_by(|scope| grouping.billed_category(scope)));
        Self { non_compliant: count_non_compliant(cells, grouping), current_gap: current_gap.unwrap_or_default() }
    }
}

/// The categories with the largest gaps, and the sum of the others.
pub(crate) fn break_down(
    grouping: Grouping,
    attribution: &Attribution,
    gap_cents: i64,
    figures: &SnapshotFigures,
) -> (Vec<Category>, Option<MoreCategories>) {
    let mut spends: BTreeMap<String, TaggableSpend> = BTreeMap::new();
    let parts = match grouping {
        Grouping::ResourceType => &attribution.by_service,
        Grouping::Region => &attribution.by_region,
        Grouping::Account => &attribution.by_account,
    };
    for (name, spend) in parts {
        let name = if grouping == Grouping::ResourceType { service_category(name) } else { name };
        let sum = spends.entry(name.to_owned()).or_default();
        sum.taggable += spend.taggable;
        sum.unattributable += spend.unattributable;
    }
    let mut spends: Vec<(String, TaggableSpend)> = spends.into_iter().collect();
    spends.sort_by_key(|(_, spend)| (Reverse(spend.unattributable), Reverse(spend.taggable)));
    let gaps: Vec<Amount> = spends.iter().map(|(_, spend)| spend.unattributable).collect();
    let cents = round_to_cents(&gaps, gap_cents);
    let categories = spends.iter().zip(&cents).take(MAX_CATEGORIES).map(|((name, spend), cents)| Category {
        category: escape(name),
        unattributable_cost: to_units(*cents),
        live_unattributable_cost: figures.current_gap.get(name).copied(),
        taggable_cost: to_units(spend.taggable.cents()),
        resource_count: figures.non_compliant.get(name).copied(),
    });
    let rest = cents.get(MAX_CATEGORIES..).filter(|rest| !rest.is_empty());
    let more = rest
        .map(|rest| MoreCategories { categories: rest.len() as u64, unattributable_cost: to_units(rest.iter().sum()) });
    (categories.collect(), more)
}

impl Grouping {
    /// The category of a scope on the bill. The bill has one category for databases and their clusters.
    fn billed_category(self, scope: &Scope) -> String {
        match services_of(scope.resource_type).next() {
            Some(service) if self == Self::ResourceType => service_category(service).to_owned(),
            _ => self.category_of(scope),
        }
    }

    /// The category of a scope in the snapshot.
    fn category_of(self, scope: &Scope) -> String {
        match self {
            Self::ResourceType => scope.resource_type.to_string(),
            Self::Region => scope.region.to_string(),
            Self::Account => scope.account.to_string(),
        }
    }
}

fn count_non_compliant(cells: &[(Scope, ComplianceCounts)], grouping: Grouping) -> BTreeMap<String, u64> {
    let mut non_compliant = BTreeMap::new();
    for (scope, counts) in cells {
        *non_compliant.entry(grouping.category_of(scope)).or_default() += counts.non_compliant;
    }
    non_compliant
}
