//! The simulated company: its accounts, regions and applications, and how its resources are distributed.

use tagledger_model::inventory::Scope;

use crate::simulated::{
    population::{SUM_OF_SHARES, population},
    rng::Rng,
};

/// Days of change before the last day.
pub const DAYS: u16 = 90;

/// Account IDs and names. The management account of the organization is first.
pub(crate) const ACCOUNTS: &[(&str, &str)] =
    &[("111111111111", "acme-production"), ("222222222222", "acme-development"), ("333333333333", "acme-data")];

/// Region names, and whether the regions are enabled.
pub(crate) const REGIONS: &[(&str, bool)] =
    &[("ap-southeast-4", false), ("eu-west-1", true), ("us-east-1", true), ("us-west-2", true)];

/// The sum of [`share`] over all scopes of the company. The number of resources on one day is a little lower, because
/// some are not yet created or already deleted.
pub(crate) const TOTAL_SHARES: u64 = SUM_OF_SHARES * 10 * 9;

/// The part of all resources that a scope has, in units of 1 / [`TOTAL_SHARES`].
pub(crate) fn share(scope: &Scope) -> u64 {
    let account = match scope.account.as_str() {
        "111111111111" => 5,
        "222222222222" => 3,
        _ => 2,
    };
    let region = match scope.region.as_str() {
        "us-east-1" => 5,
        "eu-west-1" => 3,
        _ => 1,
    };
    population(scope.resource_type).share * account * region
}

/// Whether the company has this account and has enabled this region.
pub(crate) fn has_scope(scope: &Scope) -> bool {
    ACCOUNTS.iter().any(|(id, _)| *id == scope.account.as_str())
        && REGIONS.iter().any(|(name, enabled)| *enabled && *name == scope.region.as_str())
}

/// An application, its owner, and how well its resources are tagged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Application {
    pub(crate) name: &'static str,
    pub(crate) cost_center: &'static str,
    pub(crate) owner: &'static str,
    /// Percentage of resources that have wrong tags at first.
    pub(crate) error_percent: u32,
    pub(crate) environment: &'static str,
}

const APPLICATIONS: &[(&str, &str, &str, u32)] = &[
    ("checkout", "Engineering", "payments@acme.example", 12),
    ("catalog", "Engineering", "catalog@acme.example", 25),
    ("search", "Engineering", "search@acme.example", 30),
    ("identity", "Operations", "platform@acme.example", 6),
    ("observability", "Operations", "platform@acme.example", 10),
    ("warehouse", "Operations", "logistics@acme.example", 45),
    ("campaigns", "Marketing", "growth@acme.example", 60),
    ("newsletter", "Marketing", "growth@acme.example", 55),
    ("crm", "Sales", "sales-systems@acme.example", 40),
    ("pricing", "Sales", "sales-systems@acme.example", 35),
];

const ROLES: &[&str] = &["web", "api", "worker", "batch", "cache", "index", "export", "sync"];

impl Application {
    /// Picks an application and the environment of a resource.
    pub(crate) fn choose(rng: &mut Rng, scope: &Scope) -> Self {
        let fallback = ("checkout", "Engineering", "payments@acme.example", 12);
        let (name, cost_center, owner, error_percent) = *rng.pick(APPLICATIONS).unwrap_or(&fallback);
        let environment = match scope.account.as_str() {
            "111111111111" => "production",
            "222222222222" if rng.chance(40) => "staging",
            "222222222222" if rng.chance(30) => "testing",
            "222222222222" => "development",
            _ => "production",
        };
        Self { name, cost_center, owner, error_percent, environment }
    }

    /// Makes a resource name by the naming convention of the company.
    pub(crate) fn resource_name(&self, scope: &Scope, number: u32, rng: &mut Rng) -> String {
        let role = rng.pick(ROLES).copied().unwrap_or("web");
        let short = self.environment.get(..4).unwrap_or(self.environment);
        let account = scope.account.as_str().get(..1).unwrap_or_default();
        format!("{}-{short}-{role}-{account}{number:03}", self.name)
    }
}
