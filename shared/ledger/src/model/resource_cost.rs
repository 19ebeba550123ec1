//! The cost of one resource.

use jiff::Timestamp;
use tagledger_cost::{Amount, Days};
use tagledger_model::{ResourceType, inventory::Scope};

use crate::model::attributable::Attributable;

/// The basis of the costs of individual resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostBasis {
    /// The month whose spend is divided among the resources. All costs are those of this month.
    pub days: Days,
    /// The currency of all amounts.
    pub currency: String,
    /// The days for which the bill has resource IDs; none when it has none.
    pub window: Option<Days>,
    /// Why the bill has no resource IDs; empty when it has them.
    pub problem: String,
    /// The resource types whose resources have costs.
    pub types: Vec<ResourceType>,
}

/// Where the cost of a resource comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostSource {
    /// The bill lists the resource by ID in the last fourteen days. Its cost is its share of the service's amount in the month.
    ResourceCharges,
    /// A share of the amount for the hours of its instance type or class in its account and region.
    InstanceHours,
    /// A share of the amount for the gigabytes of its volume type in its account and region.
    VolumeSize,
}

impl CostSource {
    /// The name in answers, which does not change between versions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResourceCharges => "resource_charges",
            Self::InstanceHours => "share_of_instance_hours",
            Self::VolumeSize => "share_of_volume_size",
        }
    }
}

/// The monthly cost of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceCost {
    /// The cost of a month.
    pub monthly: Amount,
    /// The source of the cost.
    pub source: CostSource,
}

/// The monthly cost of the current resources of a scope, as far as the costs of individual resources are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeSpend {
    /// The scope.
    pub scope: Scope,
    /// The cost by whether tags attribute it.
    pub spend: CurrentTagSpend,
}

/// Spend by the current tags of the resources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CurrentTagSpend {
    /// Spend on resources whose required tags are all present and valid.
    pub attributable: Amount,
    /// Spend on resources with a required tag that is missing or has a value that is not allowed.
    pub unattributable: Amount,
    /// Spend on resources that are not evaluated.
    pub not_evaluated: Amount,
}

impl CurrentTagSpend {
    pub(crate) fn add(&mut self, attributable: Attributable, amount: Amount) {
        *match attributable {
            Attributable::Yes => &mut self.attributable,
            Attributable::No => &mut self.unattributable,
            Attributable::NotEvaluated => &mut self.not_evaluated,
        } += amount;
    }
}

/// The monthly cost of current resources whose tags were fixed or broken since a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemediatedSpend {
    /// When the scan of that snapshot began.
    pub since: Timestamp,
    /// Spend that a bill could not attribute then and can attribute now, by scope.
    pub fixed: Vec<(Scope, Amount)>,
    /// Spend that a bill could attribute then and cannot attribute now, by scope.
    pub regressed: Vec<(Scope, Amount)>,
}
