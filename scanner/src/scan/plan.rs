//! Plans the scopes that a scan lists. Pure: a function of the accounts and their regions.

use std::collections::BTreeSet;

use tagledger_cloud::{AccountRegion, Accounts};
use tagledger_model::{
    AccountId, Region, ResourceType,
    inventory::{Gap, GapReason, Scope},
};

/// The regions and types that the operator configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanTargets {
    /// Regions; empty means every region that is enabled in an account.
    pub regions: Vec<Region>,
    /// Resource types; empty means all.
    pub types: Vec<ResourceType>,
}

impl ScanTargets {
    /// Removes repeated regions and types.
    pub(crate) fn deduplicate(mut self) -> Self {
        self.regions.sort();
        self.regions.dedup();
        self.types.sort();
        self.types.dedup();
        self
    }
}

/// The part of a full scan to run now; an empty list means all. Scopes outside it are carried over from the previous
/// snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanScopeFilter {
    /// Accounts.
    pub accounts: Vec<AccountId>,
    /// Regions.
    pub regions: Vec<Region>,
    /// Resource types.
    pub types: Vec<ResourceType>,
}

impl ScanScopeFilter {
    /// Whether the filter selects every scope.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.regions.is_empty() && self.types.is_empty()
    }

    fn selects(&self, scope: &Scope) -> bool {
        (self.accounts.is_empty() || self.accounts.contains(&scope.account))
            && (self.regions.is_empty() || self.regions.contains(&scope.region))
            && (self.types.is_empty() || self.types.contains(&scope.resource_type))
    }
}

/// Why a scan cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A configured region does not exist in the partition.
    #[error("`{region}` is not a region of this account's partition{nearest}; correct TAGLEDGER_REGIONS or --regions")]
    UnknownRegion {
        /// The region that was configured.
        region: Region,
        /// The text ` (did you mean ...?)`, or empty.
        nearest: String,
    },
    /// The regions cannot be listed, and none is configured.
    #[error(
        "the regions of account {account} cannot be listed; \
        grant ec2:DescribeRegions, or set TAGLEDGER_REGIONS or --regions"
    )]
    NoRegions {
        /// The account of the credentials.
        account: AccountId,
        /// Why they cannot be listed.
        #[source]
        gap: Gap,
    },
    /// The requested part is not part of a full scan.
    #[error(
        "the requested accounts, regions and types match no scope that this scanner scans; \
        TAGLEDGER_ACCOUNTS, TAGLEDGER_REGIONS and TAGLEDGER_TYPES configure what it scans"
    )]
    EmptySelection,
}

/// The accounts and regions of an estate, before resources are listed.
#[derive(Debug)]
pub(crate) struct DiscoveredScopes {
    pub(crate) accounts: Accounts,
    /// For each account, in the same order.
    pub(crate) regions: Vec<Result<Vec<AccountRegion>, Gap>>,
    /// The scopes in which the ledger has current resources.
    pub(crate) recorded: Vec<Scope>,
}

/// The scopes to list, and the scopes that are already known to be gaps.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ScanPlan {
    pub(crate) scopes: Vec<Scope>,
    pub(crate) gaps: Vec<(Scope, Gap)>,
}

/// Plans a scan. Every account has scopes. The scopes of an account that cannot be accessed are gaps, so that its recorded
/// resources become stale instead of disappearing.
pub(crate) fn plan(discovered: &DiscoveredScopes, targets: &ScanTargets) -> Result<ScanPlan, PlanError> {
    let home = home_regions(discovered, targets)?;
    let mut plan = ScanPlan::default();
    for (account, regions) in discovered.accounts.found.iter().zip(&discovered.regions) {
        match regions {
            Ok(regions) => plan.add_account(&account.id, regions, targets),
            Err(gap) if only_region_listing_is_denied(gap) && !targets.regions.is_empty() => {
                plan.add(&account.id, targets.regions.iter(), targets, None);
            }
            Err(gap) => {
                let recorded = discovered.recorded.iter().filter(|s| s.account == account.id).map(|s| &s.region);
                let regions: BTreeSet<&Region> = recorded.chain(&home).collect();
                plan.add(&account.id, regions.into_iter(), targets, Some(gap));
            }
        }
    }
    if let Some(gap) = &discovered.accounts.gap {
        plan.add_unlisted_accounts(discovered, targets, gap);
    }
    Ok(plan)
}

/// An account whose regions cannot be listed can be scanned in configured regions. An account whose role cannot be assumed
/// cannot be scanned.
fn only_region_listing_is_denied(gap: &Gap) -> bool {
    gap.operation == "ec2:DescribeRegions" && matches!(gap.reason, GapReason::Denied | GapReason::DeniedByScp)
}

/// The regions of the account of the credentials: the configured regions, or all enabled regions.
fn home_regions(discovered: &DiscoveredScopes, targets: &ScanTargets) -> Result<Vec<Region>, PlanError> {
    match discovered.regions.first() {
        Some(Ok(regions)) => {
            if let Some(unknown) = targets.regions.iter().find(|target| regions.iter().all(|r| r.region != **target)) {
                return Err(PlanError::UnknownRegion {
                    region: unknown.clone(),
                    nearest: suggest_nearest(unknown, regions),
                });
            }
            if targets.regions.is_empty() {
                return Ok(regions.iter().filter(|r| r.enabled).map(|r| r.region.clone()).collect());
            }
        }
        Some(Err(gap)) if targets.regions.is_empty() || !only_region_listing_is_denied(gap) => {
            let account = discovered.accounts.found.first().map(|a| a.id.clone());
            return account.map_or(Ok(Vec::new()), |account| Err(PlanError::NoRegions { account, gap: gap.clone() }));
        }
        _ => {}
    }
    Ok(targets.regions.clone())
}

fn suggest_nearest(given: &Region, regions: &[AccountRegion]) -> String {
    let shared_letters = |other: &Region| {
        let mut remaining: Vec<char> = given.as_str().chars().collect();
        let common = other
            .as_str()
            .chars()
            .filter(|c| remaining.iter().position(|r| r == c).map(|i| remaining.remove(i)).is_some());
        common.count()
    };
    let best =
        regions.iter().map(|r| &r.region).max_by_key(|r| (shared_letters(r), std::cmp::Reverse(r.as_str().len())));
    best.map_or_else(String::new, |region| format!(" (did you mean `{region}`?)"))
}

impl ScanPlan {
    /// Removes the scopes that the filter does not select.
    pub(crate) fn filter(mut self, filter: &ScanScopeFilter) -> Result<Self, PlanError> {
        self.scopes.retain(|scope| filter.selects(scope));
        self.gaps.retain(|(scope, _)| filter.selects(scope));
        let selects_nothing = self.scopes.is_empty() && self.gaps.is_empty();
        if selects_nothing && !filter.is_empty() { Err(PlanError::EmptySelection) } else { Ok(self) }
    }

    fn add_account(&mut self, account: &AccountId, regions: &[AccountRegion], targets: &ScanTargets) {
        let is_target =
            |r: &&AccountRegion| targets.regions.contains(&r.region) || (targets.regions.is_empty() && r.enabled);
        for AccountRegion { region, enabled } in regions.iter().filter(is_target) {
            let message = format!("{region} is not enabled for account {account}");
            let gap = Gap { reason: GapReason::NotEnabled, operation: "ec2:DescribeRegions".to_owned(), message };
            self.add(account, std::iter::once(region), targets, (!enabled).then_some(&gap));
        }
    }

    fn add<'r>(
        &mut self,
        account: &AccountId,
        regions: impl Iterator<Item = &'r Region>,
        targets: &ScanTargets,
        gap: Option<&Gap>,
    ) {
        let types = if targets.types.is_empty() { ResourceType::ALL } else { &targets.types };
        for region in regions {
            for resource_type in types {
                let scope = Scope { account: account.clone(), region: region.clone(), resource_type: *resource_type };
                match gap {
                    None => self.scopes.push(scope),
                    Some(gap) => self.gaps.push((scope, gap.clone())),
                }
            }
        }
    }

    /// Adds the recorded accounts as gaps when the organization cannot be listed.
    fn add_unlisted_accounts(&mut self, discovered: &DiscoveredScopes, targets: &ScanTargets, gap: &Gap) {
        let is_target = |scope: &&Scope| targets.types.is_empty() || targets.types.contains(&scope.resource_type);
        let is_unlisted = |scope: &&Scope| discovered.accounts.found.iter().all(|account| account.id != scope.account);
        let scopes = discovered.recorded.iter().filter(is_unlisted).filter(is_target);
        self.gaps.extend(scopes.map(|scope| (scope.clone(), gap.clone())));
    }
}

#[cfg(test)]
mod tests {
    use tagledger_cloud::{AccountRegion, Accounts};
    use tagledger_model::{
        ResourceType,
        account::Account,
        inventory::{Gap, GapReason, Scope},
    };

    use super::*;

    const HOME: &str = "111111111111";

    const MEMBER: &str = "222222222222";

    fn gap(operation: &str) -> Gap {
        Gap { reason: GapReason::Denied, operation: operation.to_owned(), message: "no".to_owned() }
    }

    fn regions(names: &[(&str, bool)]) -> Result<Vec<AccountRegion>, Gap> {
        Ok(names
            .iter()
            .map(|(name, enabled)| AccountRegion { region: name.parse().unwrap(), enabled: *enabled })
            .collect())
    }

    fn discovered(regions: Vec<Result<Vec<AccountRegion>, Gap>>) -> DiscoveredScopes {
        let account = |id: &str| Account { id: id.parse().unwrap(), partition: "aws".parse().unwrap(), name: None };
        let found = [HOME, MEMBER].iter().take(regions.len()).map(|id| account(id)).collect();
        DiscoveredScopes { accounts: Accounts { found, gap: None }, regions, recorded: Vec::new() }
    }

    fn targets(regions: &[&str]) -> ScanTargets {
        ScanTargets {
            regions: regions.iter().map(|r| r.parse().unwrap()).collect(),
            types: vec![ResourceType::S3Bucket],
        }
    }

    fn list_regions(scopes: &[Scope]) -> Vec<String> {
        scopes.iter().map(|s| format!("{} {}", s.account.as_str().get(..1).unwrap(), s.region)).collect()
    }

    /// The plan contains every enabled region of every account, and regions that are not enabled give no gap unless
    /// requested.
    #[test]
    fn plan_covers_enabled_regions_of_all_accounts() {
        let both = regions(&[("eu-west-1", true), ("me-south-1", false)]);
        let plan = plan(&discovered(vec![both.clone(), both]), &targets(&[])).unwrap();
        assert_eq!(list_regions(&plan.scopes), ["1 eu-west-1", "2 eu-west-1"]);
        assert_eq!(plan.gaps, []);
    }

    /// A region that is requested but not enabled in the account gives a gap with the reason `NotEnabled`.
    #[test]
    fn requested_disabled_region_is_gap() {
        let plan = plan(&discovered(vec![regions(&[("me-south-1", false)])]), &targets(&["me-south-1"])).unwrap();
        assert_eq!(plan.scopes, []);
        assert_eq!(plan.gaps[0].1.reason, GapReason::NotEnabled);
    }

    /// A requested region that does not exist is rejected, and the message proposes the nearest name.
    #[test]
    fn unknown_region_error_suggests_nearest() {
        let error =
            plan(&discovered(vec![regions(&[("eu-west-1", true), ("us-east-1", true)])]), &targets(&["us-esat-1"]));
        assert!(error.unwrap_err().to_string().contains("(did you mean `us-east-1`?)"));
    }

    /// An account that cannot be accessed gives a gap for each region of the caller and for each region that is already
    /// recorded for the account.
    #[test]
    fn unreachable_account_gives_gaps_per_region() {
        let mut discovered = discovered(vec![regions(&[("eu-west-1", true)]), Err(gap("sts:AssumeRole"))]);
        discovered.recorded.push(Scope {
            account: MEMBER.parse().unwrap(),
            region: "us-west-2".parse().unwrap(),
            resource_type: ResourceType::S3Bucket,
        });
        let plan = plan(&discovered, &targets(&[])).unwrap();
        assert_eq!(list_regions(&plan.scopes), ["1 eu-west-1"]);
        let gaps: Vec<Scope> = plan.gaps.into_iter().map(|(scope, _)| scope).collect();
        assert_eq!(list_regions(&gaps), ["2 eu-west-1", "2 us-west-2"]);
    }

    /// When the regions cannot be listed, the requested regions are scanned. Without requested regions, the plan fails.
    #[test]
    fn requested_regions_used_if_listing_is_denied() {
        let denied = vec![Err(gap("ec2:DescribeRegions"))];
        assert!(matches!(plan(&discovered(denied.clone()), &targets(&[])), Err(PlanError::NoRegions { .. })));
        assert_eq!(list_regions(&plan(&discovered(denied), &targets(&["eu-west-1"])).unwrap().scopes), ["1 eu-west-1"]);
    }

    /// When the accounts of the organization cannot be listed, recorded scopes of other accounts become gaps instead of
    /// disappearing.
    #[test]
    fn unlisted_accounts_remain_as_gaps() {
        let mut discovered = discovered(vec![regions(&[("eu-west-1", true)])]);
        discovered.accounts.gap = Some(gap("organizations:ListAccounts"));
        discovered.recorded.push(Scope {
            account: MEMBER.parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            resource_type: ResourceType::S3Bucket,
        });
        assert_eq!(plan(&discovered, &targets(&[])).unwrap().gaps.len(), 1);
    }
}
