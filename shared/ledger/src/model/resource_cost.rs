//! The cost of one resource.

use jiff::Timestamp;
use tagledger_cost::{Amount, Days};
use tagledger_model::{ResourceType, inventory::Scope};

use crate::model::attributable::Attributable;

/// On what the costs of single resources are based.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostBasis {
    /// The month whose spend is shared out: costs are a month's, as in this one.
    pub days: Days,
    /// Of all amounts.
    pub currency: String,
    /// The days for which the bill names single resources; none when it does not.
    pub window: Option<Days>,
    /// Why it does not; empty when it does.
    pub problem: String,
    /// Types of which single resources have costs.
    pub types: Vec<ResourceType>,
}

/// Where the cost of a resource comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostSource {
    /// The bill names the resource in the last fourteen days: its part of what its service cost in the month.
    ResourceCharges,
    /// Its part of what the hours of its instance type or class cost in its account and region.
    InstanceHours,
    /// Its part of what the gigabytes of its volume type cost in its account and region.
    VolumeSize,
}

impl CostSource {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResourceCharges => "resource_charges",
            Self::InstanceHours => "share_of_instance_hours",
            Self::VolumeSize => "share_of_volume_size",
        }
    }
}

/// What a resource costs a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceCost {
    /// How much.
    pub monthly: Amount,
    /// Where the figure comes from.
    pub source: CostSource,
}

/// What the living resources of a scope cost a month, as far as it is known of single ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeSpend {
    /// Which.
    pub scope: Scope,
    /// How much.
    pub spend: CurrentTagSpend,
}

/// Spend by the tags of today.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CurrentTagSpend {
    /// Of resources with every required tag.
    pub attributable: Amount,
    /// Of those that lack one, or have a value that is not allowed.
    pub unattributable: Amount,
    /// Of those that are not judged.
    pub not_judged: Amount,
}

impl CurrentTagSpend {
    pub(crate) fn add(&mut self, attributable: Attributable, amount: Amount) {
        *match attributable {
            Attributable::Yes => &mut self.attributable,
            Attributable::No => &mut self.unattributable,
            Attributable::NotEvaluated => &mut self.not_judged,
        } += amount;
    }
}

/// What living resources cost whose tags were put right, or spoilt, since a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemediatedSpend {
    /// When its scan began.
    pub since: Timestamp,
    /// Of those that a bill could not attribute then, and can now; by scope.
    pub fixed: Vec<(Scope, Amount)>,
    /// The other way round.
    pub spoilt: Vec<(Scope, Amount)>,
}
