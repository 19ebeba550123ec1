//! Which scopes a scan lists: a pure function of what the accounts and their regions are.

use std::collections::BTreeSet;

use shared::{
    AccountId, Region, ResourceType,
    cloud::{AccountRegion, Accounts},
    inventory::{Gap, GapReason, Scope},
};

/// What the operator asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Regions; empty means every region that an account has enabled.
    pub regions: Vec<Region>,
    /// Resource types; empty means all.
    pub types: Vec<ResourceType>,
}

impl Choice {
    /// Each region and type once, however often it was asked for.
    pub(crate) fn distinct(mut self) -> Self {
        self.regions.sort();
        self.regions.dedup();
        self.types.sort();
        self.types.dedup();
        self
    }
}

/// Which part of a whole scan is wanted now; an empty list means all. What it leaves out keeps what is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrow {
    /// Accounts.
    pub accounts: Vec<AccountId>,
    /// Regions.
    pub regions: Vec<Region>,
    /// Resource types.
    pub types: Vec<ResourceType>,
}

impl Narrow {
    /// Whether nothing is left out.
    pub fn is_whole(&self) -> bool {
        self.accounts.is_empty() && self.regions.is_empty() && self.types.is_empty()
    }

    fn admits(&self, scope: &Scope) -> bool {
        (self.accounts.is_empty() || self.accounts.contains(&scope.account))
            && (self.regions.is_empty() || self.regions.contains(&scope.region))
            && (self.types.is_empty() || self.types.contains(&scope.resource_type))
    }
}

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A configured region is none of the partition's.
    #[error("`{region}` is not a region of this account's partition{nearest}; correct TAGLEDGER_REGIONS or --regions")]
    UnknownRegion {
        /// As given.
        region: Region,
        /// ` (did you mean ...?)`, or nothing.
        nearest: String,
    },
    /// Nobody says which regions there are.
    #[error(
        "the regions of account {account} cannot be listed, so nobody knows where to look; \
        grant ec2:DescribeRegions, or name regions in TAGLEDGER_REGIONS or with --regions"
    )]
    NoRegions {
        /// The caller's own account.
        account: AccountId,
        /// Why.
        #[source]
        gap: Gap,
    },
    /// What was asked for is not part of a whole scan.
    #[error(
        "no scope of this scanner's plan has the accounts, regions and types asked for; \
        see TAGLEDGER_ACCOUNTS, TAGLEDGER_REGIONS and TAGLEDGER_TYPES for what it scans"
    )]
    NothingAsked,
}

/// What is known before anything is listed.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) accounts: Accounts,
    /// For each account found, in the same order.
    pub(crate) regions: Vec<Result<Vec<AccountRegion>, Gap>>,
    /// Where the ledger knows resources to live.
    pub(crate) known: Vec<Scope>,
}

/// Scopes to list, and scopes of which it is known already that they cannot be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) scopes: Vec<Scope>,
    pub(crate) gaps: Vec<(Scope, Gap)>,
}

/// Plans a scan. Every account gets scopes: of one that cannot be reached they are gaps, so that what was known of it
/// stays known, as stale, instead of vanishing.
pub(crate) fn plan(survey: &Survey, choice: &Choice) -> Result<Plan, PlanError> {
    let home = home_regions(survey, choice)?;
    let mut plan = Plan::default();
    for (account, regions) in survey.accounts.found.iter().zip(&survey.regions) {
        match regions {
            Ok(regions) => plan.account(&account.id, regions, choice),
            Err(gap) if listable(gap) && !choice.regions.is_empty() => {
                plan.add(&account.id, choice.regions.iter(), choice, None);
            }
            Err(gap) => {
                let known = survey.known.iter().filter(|s| s.account == account.id).map(|s| &s.region);
                let regions: BTreeSet<&Region> = known.chain(&home).collect();
                plan.add(&account.id, regions.into_iter(), choice, Some(gap));
            }
        }
    }
    if let Some(gap) = &survey.accounts.gap {
        plan.missing_accounts(survey, choice, gap);
    }
    Ok(plan)
}

/// An account whose regions may not be listed may still be scanned where the operator says; one whose role cannot be
/// assumed may not.
fn listable(gap: &Gap) -> bool {
    gap.operation == "ec2:DescribeRegions" && matches!(gap.reason, GapReason::Denied | GapReason::DeniedByScp)
}

/// The regions of the caller's own account: the ones asked for, or all enabled.
fn home_regions(survey: &Survey, choice: &Choice) -> Result<Vec<Region>, PlanError> {
    match survey.regions.first() {
        Some(Ok(regions)) => {
            if let Some(unknown) = choice.regions.iter().find(|asked| regions.iter().all(|r| r.region != **asked)) {
                return Err(PlanError::UnknownRegion { region: unknown.clone(), nearest: nearest(unknown, regions) });
            }
            if choice.regions.is_empty() {
                return Ok(regions.iter().filter(|r| r.enabled).map(|r| r.region.clone()).collect());
            }
        }
        Some(Err(gap)) if choice.regions.is_empty() || !listable(gap) => {
            let account = survey.accounts.found.first().map(|a| a.id.clone());
            return account.map_or(Ok(Vec::new()), |account| Err(PlanError::NoRegions { account, gap: gap.clone() }));
        }
        _ => {}
    }
    Ok(choice.regions.clone())
}

fn nearest(asked: &Region, regions: &[AccountRegion]) -> String {
    let shared_letters = |other: &Region| {
        let mut rest: Vec<char> = asked.as_str().chars().collect();
        let common =
            other.as_str().chars().filter(|c| rest.iter().position(|r| r == c).map(|i| rest.remove(i)).is_some());
        common.count()
    };
    let best =
        regions.iter().map(|r| &r.region).max_by_key(|r| (shared_letters(r), std::cmp::Reverse(r.as_str().len())));
    best.map_or_else(String::new, |region| format!(" (did you mean `{region}`?)"))
}

impl Plan {
    /// The part of the plan that is wanted now.
    pub(crate) fn narrowed(mut self, narrow: &Narrow) -> Result<Self, PlanError> {
        self.scopes.retain(|scope| narrow.admits(scope));
        self.gaps.retain(|(scope, _)| narrow.admits(scope));
        let nothing = self.scopes.is_empty() && self.gaps.is_empty();
        if nothing && !narrow.is_whole() { Err(PlanError::NothingAsked) } else { Ok(self) }
    }

    fn account(&mut self, account: &AccountId, regions: &[AccountRegion], choice: &Choice) {
        let asked = |r: &&AccountRegion| choice.regions.contains(&r.region) || (choice.regions.is_empty() && r.enabled);
        for AccountRegion { region, enabled } in regions.iter().filter(asked) {
            let message = format!("{region} is not enabled for account {account}");
            let gap = Gap { reason: GapReason::NotEnabled, operation: "ec2:DescribeRegions".to_owned(), message };
            self.add(account, std::iter::once(region), choice, (!enabled).then_some(&gap));
        }
    }

    fn add<'r>(
        &mut self,
        account: &AccountId,
        regions: impl Iterator<Item = &'r Region>,
        choice: &Choice,
        gap: Option<&Gap>,
    ) {
        let types = if choice.types.is_empty() { ResourceType::ALL } else { &choice.types };
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

    /// The organization could not be listed: accounts that the ledger knows are not gone for that.
    fn missing_accounts(&mut self, survey: &Survey, choice: &Choice, gap: &Gap) {
        let types = |scope: &&Scope| choice.types.is_empty() || choice.types.contains(&scope.resource_type);
        let missing = |scope: &&Scope| survey.accounts.found.iter().all(|account| account.id != scope.account);
        let scopes = survey.known.iter().filter(missing).filter(types);
        self.gaps.extend(scopes.map(|scope| (scope.clone(), gap.clone())));
    }
}

#[cfg(test)]
mod tests {
    use shared::cloud::Account;

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

    fn survey(regions: Vec<Result<Vec<AccountRegion>, Gap>>) -> Survey {
        let account = |id: &str| Account { id: id.parse().unwrap(), partition: "aws".parse().unwrap(), name: None };
        let found = [HOME, MEMBER].iter().take(regions.len()).map(|id| account(id)).collect();
        Survey { accounts: Accounts { found, gap: None }, regions, known: Vec::new() }
    }

    fn choice(regions: &[&str]) -> Choice {
        Choice { regions: regions.iter().map(|r| r.parse().unwrap()).collect(), types: vec![ResourceType::S3Bucket] }
    }

    fn places(scopes: &[Scope]) -> Vec<String> {
        scopes.iter().map(|s| format!("{} {}", s.account.as_str().get(..1).unwrap(), s.region)).collect()
    }

    #[test]
    fn every_enabled_region_of_every_account_is_planned_for() {
        let both = regions(&[("eu-west-1", true), ("me-south-1", false)]);
        let plan = plan(&survey(vec![both.clone(), both]), &choice(&[])).unwrap();
        assert_eq!(places(&plan.scopes), ["1 eu-west-1", "2 eu-west-1"]);
        assert_eq!(plan.gaps, []);
    }

    #[test]
    fn a_region_that_is_asked_for_but_not_enabled_is_a_gap() {
        let plan = plan(&survey(vec![regions(&[("me-south-1", false)])]), &choice(&["me-south-1"])).unwrap();
        assert_eq!(plan.scopes, []);
        assert_eq!(plan.gaps[0].1.reason, GapReason::NotEnabled);
    }

    #[test]
    fn a_region_that_does_not_exist_is_refused_with_the_nearest() {
        let error = plan(&survey(vec![regions(&[("eu-west-1", true), ("us-east-1", true)])]), &choice(&["us-esat-1"]));
        assert!(error.unwrap_err().to_string().contains("(did you mean `us-east-1`?)"));
    }

    #[test]
    fn an_account_that_cannot_be_reached_is_gaps_where_it_or_the_caller_has_regions() {
        let mut survey = survey(vec![regions(&[("eu-west-1", true)]), Err(gap("sts:AssumeRole"))]);
        survey.known.push(Scope {
            account: MEMBER.parse().unwrap(),
            region: "us-west-2".parse().unwrap(),
            resource_type: ResourceType::S3Bucket,
        });
        let plan = plan(&survey, &choice(&[])).unwrap();
        assert_eq!(places(&plan.scopes), ["1 eu-west-1"]);
        let gaps: Vec<Scope> = plan.gaps.into_iter().map(|(scope, _)| scope).collect();
        assert_eq!(places(&gaps), ["2 eu-west-1", "2 us-west-2"]);
    }

    #[test]
    fn without_the_right_to_list_regions_the_named_ones_are_scanned() {
        let denied = vec![Err(gap("ec2:DescribeRegions"))];
        assert!(matches!(plan(&survey(denied.clone()), &choice(&[])), Err(PlanError::NoRegions { .. })));
        assert_eq!(places(&plan(&survey(denied), &choice(&["eu-west-1"])).unwrap().scopes), ["1 eu-west-1"]);
    }

    #[test]
    fn accounts_of_an_organization_that_cannot_be_listed_stay_known() {
        let mut survey = survey(vec![regions(&[("eu-west-1", true)])]);
        survey.accounts.gap = Some(gap("organizations:ListAccounts"));
        survey.known.push(Scope {
            account: MEMBER.parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            resource_type: ResourceType::S3Bucket,
        });
        assert_eq!(plan(&survey, &choice(&[])).unwrap().gaps.len(), 1);
    }
}
