//! The sizes, costs and usage of simulated resources.

use tagledger_model::{
    ResourceType,
    inventory::{Scope, Usage},
    resource_types::spec::UsageUnit,
};

use crate::simulated::{population::population, rng::Rng};

/// The size of a resource, its cost, and whether it is stopped.
pub(crate) struct ResourceSize {
    name: &'static str,
    /// Cost per day in cents, while the resource runs.
    pub(crate) cents: i64,
    pub(crate) stopped: bool,
}

impl ResourceSize {
    /// Picks the size of a resource. It has its own random stream, so that it does not change the resource's name.
    pub(crate) fn choose(seed: u64, scope: &Scope, number: u32) -> Self {
        let mut rng = Rng::new(seed ^ 0x00c0_57ed, &scope.to_string(), number);
        let population = population(scope.resource_type);
        let (name, cents) = rng.pick(population.sizes).copied().unwrap_or(("", 0));
        let stopped = population.stopped_one_in > 0 && rng.below(population.stopped_one_in) == 0;
        Self { name, cents, stopped }
    }

    /// The usage type that the inventory records for the resource, and its quantity.
    pub(crate) fn usage(&self, resource_type: ResourceType) -> Option<Usage> {
        match resource_type.spec().cost.driver?.unit {
            UsageUnit::Hours => Some(Usage { driver: self.name.to_owned(), quantity: u32::from(!self.stopped) }),
            UsageUnit::GigabyteMonths => {
                let (driver, gibibytes) = self.name.split_once(' ')?;
                Some(Usage { driver: driver.to_owned(), quantity: gibibytes.parse().ok()? })
            }
        }
    }
}
