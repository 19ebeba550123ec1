//! The gap by resource type, region or account.

use std::{cmp::Reverse, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::{
    inventory::Scope,
    money::{Amount, Attribution, Spend, category, in_cents, service_of},
    store::Tally,
};

use super::{answer::units, arguments::nullable_number, live_gap::Live};
use crate::text::visible;

/// Categories told one by one.
const MOST_CATEGORIES: usize = 20;

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

/// A part of the gap.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Category {
    /// A resource type, a service that is not inventoried, a region or an account.
    category: String,
    unattributable_cost: f64,
    /// Of living resources, by the tags of today. Absent where costs of single resources are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    live_unattributable_cost: Option<f64>,
    /// Spend that must carry required tags.
    taggable_cost: f64,
    /// Non-compliant resources in the snapshot; null for services that are not inventoried.
    #[schemars(schema_with = "nullable_number")]
    resource_count: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MoreCategories {
    categories: u64,
    unattributable_cost: f64,
}

/// What the snapshot says of each category.
pub(crate) struct Counted {
    non_compliant: BTreeMap<String, u64>,
    live: BTreeMap<String, f64>,
}

impl Counted {
    pub(crate) fn of(grouping: Grouping, cells: &[(Scope, Tally)], live: Option<&Live>) -> Self {
        let live = live.map(|live| live.unattributable_by(|scope| grouping.billed(scope)));
        Self { non_compliant: non_compliant(cells, grouping), live: live.unwrap_or_default() }
    }
}

/// The categories with most of the gap, and how much the others have.
pub(crate) fn breakdown(
    grouping: Grouping,
    attribution: &Attribution,
    gap_cents: i64,
    counted: &Counted,
) -> (Vec<Category>, Option<MoreCategories>) {
    let mut spends: BTreeMap<String, Spend> = BTreeMap::new();
    let parts = match grouping {
        Grouping::ResourceType => &attribution.by_service,
        Grouping::Region => &attribution.by_region,
        Grouping::Account => &attribution.by_account,
    };
    for (name, spend) in parts {
        let name = if grouping == Grouping::ResourceType { category(name) } else { name };
        let sum = spends.entry(name.to_owned()).or_default();
        sum.taggable += spend.taggable;
        sum.unattributable += spend.unattributable;
    }
    let mut spends: Vec<(String, Spend)> = spends.into_iter().collect();
    spends.sort_by_key(|(_, spend)| (Reverse(spend.unattributable), Reverse(spend.taggable)));
    let gaps: Vec<Amount> = spends.iter().map(|(_, spend)| spend.unattributable).collect();
    let cents = in_cents(&gaps, gap_cents);
    let told = spends.iter().zip(&cents).take(MOST_CATEGORIES).map(|((name, spend), cents)| Category {
        category: visible(name),
        unattributable_cost: units(*cents),
        live_unattributable_cost: counted.live.get(name).copied(),
        taggable_cost: units(spend.taggable.cents()),
        resource_count: counted.non_compliant.get(name).copied(),
    });
    let rest = cents.get(MOST_CATEGORIES..).filter(|rest| !rest.is_empty());
    let more = rest
        .map(|rest| MoreCategories { categories: rest.len() as u64, unattributable_cost: units(rest.iter().sum()) });
    (told.collect(), more)
}

impl Grouping {
    /// The category of a scope's resources on a bill, on which databases and their clusters stand together.
    fn billed(self, scope: &Scope) -> String {
        match service_of(scope.resource_type).next() {
            Some(service) if self == Self::ResourceType => category(service).to_owned(),
            _ => self.of(scope),
        }
    }

    /// The category of a scope's resources.
    fn of(self, scope: &Scope) -> String {
        match self {
            Self::ResourceType => scope.resource_type.to_string(),
            Self::Region => scope.region.to_string(),
            Self::Account => scope.account.to_string(),
        }
    }
}

fn non_compliant(cells: &[(Scope, Tally)], grouping: Grouping) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (scope, tally) in cells {
        *counts.entry(grouping.of(scope)).or_default() += tally.non_compliant;
    }
    counts
}
