//! Who the simulated company is: its accounts, regions, applications, and what it has how much of.

use super::dice::Dice;
use crate::{ResourceType, inventory::Scope};

/// Ids and names, the organization's own first.
pub(super) const ACCOUNTS: &[(&str, &str)] =
    &[("111111111111", "acme-production"), ("222222222222", "acme-development"), ("333333333333", "acme-data")];

/// Regions, and whether they are enabled.
pub(super) const REGIONS: &[(&str, bool)] =
    &[("ap-southeast-4", false), ("eu-west-1", true), ("us-east-1", true), ("us-west-2", true)];

/// The sum of [`share`] over all scopes that the company knows, a little more than what lives on one day.
pub(super) const SHARES: u64 = 100 * 10 * 9;

/// How much of the estate a scope has, in parts of [`SHARES`].
pub(super) fn share(scope: &Scope) -> u64 {
    let kind = match scope.resource_type {
        ResourceType::Ec2Instance => 26,
        ResourceType::Ec2Volume => 30,
        ResourceType::EcsCluster => 1,
        ResourceType::EcsService => 7,
        ResourceType::LambdaFunction => 24,
        ResourceType::RdsCluster => 1,
        ResourceType::RdsDb => 4,
        ResourceType::S3Bucket => 7,
    };
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
    kind * account * region
}

/// Whether the scope is one of the company's.
pub(super) fn knows(scope: &Scope) -> bool {
    ACCOUNTS.iter().any(|(id, _)| *id == scope.account.as_str())
        && REGIONS.iter().any(|(name, enabled)| *enabled && *name == scope.region.as_str())
}

/// An application, with who runs it and how well they tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Application {
    pub(super) name: &'static str,
    pub(super) cost_center: &'static str,
    pub(super) owner: &'static str,
    /// Of a hundred resources, so many are tagged wrongly at first.
    pub(super) carelessness: u32,
    pub(super) environment: &'static str,
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
    pub(super) fn choose(dice: &mut Dice, scope: &Scope) -> Self {
        let fallback = ("checkout", "Engineering", "payments@acme.example", 12);
        let (name, cost_center, owner, carelessness) = *dice.pick(APPLICATIONS).unwrap_or(&fallback);
        let environment = match scope.account.as_str() {
            "111111111111" => "production",
            "222222222222" if dice.percent(40) => "staging",
            "222222222222" if dice.percent(30) => "testing",
            "222222222222" => "development",
            _ => "production",
        };
        Self { name, cost_center, owner, carelessness, environment }
    }

    /// A name as this company gives them.
    pub(super) fn name(&self, scope: &Scope, number: u32, dice: &mut Dice) -> String {
        let role = dice.pick(ROLES).copied().unwrap_or("web");
        let short = self.environment.get(..4).unwrap_or(self.environment);
        let account = scope.account.as_str().get(..1).unwrap_or_default();
        format!("{}-{short}-{role}-{account}{number:03}", self.name)
    }
}
