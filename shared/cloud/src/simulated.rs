//! A simulated company on AWS whose resources change from day to day.
//!
//! The seed, the scope and a number determine everything about a resource, so every run gives the same resources. Some
//! teams tag well and some do not. Over the 90 days, most tagging errors are corrected and some new ones are made.

mod company;
mod estate;
mod population;
mod rng;
mod sizes;
mod spending;
mod tagging_errors;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, civil::Date};
use tagledger_cost::{AllocationTag, BillQuestion, CostQueryError, CostQueryResult, Days, TagStatus};
use tagledger_model::{
    AccountId, Arn, Region, ResourceType,
    account::Account,
    inventory::{Gap, GapReason, Listing, Scope},
};

use crate::{
    account::{AccountRegion, Accounts},
    creation_events::CreationEvents,
    interface::Cloud,
    lookup_result::{LookupResult, resolve_lookups},
    operation_calls::OperationCalls,
    simulated::{
        company::{ACCOUNTS, REGIONS},
        estate::Estate,
        spending::CostLine,
    },
};

pub use crate::simulated::company::DAYS;

/// The operation name of listings and lookups.
const LIST: &str = "simulated:List";

/// The operation name of cost queries.
const QUERY_COSTS: &str = "simulated:Bill";

/// The simulated company on one day.
#[derive(Debug)]
pub struct Simulated {
    estate: Estate,
    list_requests: AtomicU64,
    cost_requests: AtomicU64,
    /// The cost lines of the last queried period, because a scan queries each month several times.
    cost_lines: Mutex<Option<CostLinesOfDays>>,
}

type CostLinesOfDays = (Days, Arc<Vec<CostLine>>);

/// The cost allocation tags of the company.
const ALLOCATION_TAGS: &[&str] = &["Application", "CostCenter", "Environment", "Owner"];

impl Simulated {
    /// Creates a company with about `size` resources on day 90, which is the date `last`.
    pub fn new(seed: u64, size: u32, last: Date) -> Self {
        Self::from_estate(Estate { seed, size, last, day: DAYS })
    }

    /// Returns the same company on another day, 0 to 90.
    pub fn on_day(&self, day: u16) -> Self {
        Self::from_estate(self.estate.on_day(day))
    }

    fn from_estate(estate: Estate) -> Self {
        Self {
            estate,
            list_requests: AtomicU64::new(0),
            cost_requests: AtomicU64::new(0),
            cost_lines: Mutex::default(),
        }
    }

    /// Returns the date of the simulated day.
    pub fn date(&self) -> Date {
        self.estate.date()
    }

    fn cost_lines(&self, days: Days) -> Arc<Vec<CostLine>> {
        let mut cached = self.cost_lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, lines)) = cached.as_ref().filter(|(cached_days, _)| *cached_days == days) {
            return Arc::clone(lines);
        }
        let lines = Arc::new(spending::cost_lines(&self.estate, days));
        *cached = Some((days, Arc::clone(&lines)));
        lines
    }
}

impl Cloud for Simulated {
    async fn list_accounts(&self) -> Result<Accounts, Gap> {
        let account = |(id, name): &(&str, &str)| {
            Some(Account { id: id.parse().ok()?, partition: "aws".parse().ok()?, name: Some((*name).to_owned()) })
        };
        Ok(Accounts { found: ACCOUNTS.iter().filter_map(account).collect(), gap: None })
    }

    async fn list_regions(&self, _: &AccountId) -> Result<Vec<AccountRegion>, Gap> {
        let region = |(name, enabled): &(&str, bool)| {
            Some(AccountRegion { region: name.parse::<Region>().ok()?, enabled: *enabled })
        };
        Ok(REGIONS.iter().filter_map(region).collect())
    }

    async fn list(&self, scope: &Scope) -> Listing {
        let count = self.estate.resource_count(scope);
        // The requests are counted as for pages with 100 resources.
        self.list_requests.fetch_add(1 + u64::from(count / 100), Ordering::Relaxed);
        if !company::has_scope(scope) {
            let message = format!("the simulated company does not use {scope}");
            let gap = Gap { reason: GapReason::NotEnabled, operation: LIST.to_owned(), message };
            return Listing { resources: Vec::new(), gap: Some(gap) };
        }
        let resources = (0..count).filter_map(|number| self.estate.resource(scope, number)).collect();
        Listing { resources, gap: None }
    }

    async fn look_up(&self, scope: &Scope, arns: &[Arn], _: Duration) -> Vec<LookupResult> {
        resolve_lookups(arns, self.list(scope).await)
    }

    async fn locate_buckets(&self, buckets: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
        let (Some(account), resource_type) = (self.payer_account(), ResourceType::S3Bucket) else {
            return Ok(Vec::new());
        };
        let mut located = Vec::new();
        for (region, _) in REGIONS.iter().filter(|(_, enabled)| *enabled) {
            let Ok(region) = region.parse() else { continue };
            let scope = Scope { account: account.clone(), region, resource_type };
            let listed = self.list(&scope).await.resources.into_iter().map(|resource| resource.arn);
            located.extend(listed.filter(|arn| buckets.contains(arn)).map(|arn| (arn, scope.clone())));
        }
        Ok(located)
    }

    /// The simulated company records no creation events.
    async fn list_creation_events(&self, _: &Scope, _: Timestamp, _: Timestamp, _: u64) -> CreationEvents {
        CreationEvents::default()
    }

    async fn query_costs(&self, question: &BillQuestion, max_requests: u64) -> CostQueryResult {
        if max_requests == 0 {
            return CostQueryResult { requests: 0, response: Err(CostQueryError::PageLimit) };
        }
        self.cost_requests.fetch_add(1, Ordering::Relaxed);
        let lines = self.cost_lines(question.days);
        CostQueryResult { requests: 1, response: Ok(spending::query_lines(question, &lines, self.date())) }
    }

    fn payer_account(&self) -> Option<AccountId> {
        ACCOUNTS.first().and_then(|(id, _)| id.parse().ok())
    }

    async fn list_allocation_tags(&self, keys: &[String]) -> Result<Vec<AllocationTag>, Gap> {
        let is_active = |key: &String| ALLOCATION_TAGS.contains(&key.as_str());
        let status = |key| if is_active(key) { TagStatus::Active } else { TagStatus::Unknown };
        Ok(keys.iter().map(|key| AllocationTag { key: key.clone(), status: status(key) }).collect())
    }

    fn request_count(&self) -> u64 {
        self.list_requests.load(Ordering::Relaxed) + self.cost_requests.load(Ordering::Relaxed)
    }

    fn operation_calls(&self) -> Vec<OperationCalls> {
        let counts = [(LIST, &self.list_requests), (QUERY_COSTS, &self.cost_requests)];
        let counts = counts.map(|(operation, count)| (operation, count.load(Ordering::Relaxed)));
        let sent = counts.into_iter().filter(|(_, requests)| *requests > 0);
        sent.map(|(operation, requests)| OperationCalls { operation, requests, throttled: 0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use tagledger_model::{
        ResourceType,
        inventory::{Resource, Scope},
        resource_ref::ResourceRef,
    };

    use super::*;
    use crate::simulated::company::ACCOUNTS;

    fn scope(text: &str) -> Scope {
        Scope {
            account: ACCOUNTS[0].0.parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            resource_type: text.parse().unwrap(),
        }
    }

    async fn list(estate: &Simulated, scope: &Scope) -> Vec<Resource> {
        let listing = estate.list(scope).await;
        assert_eq!(listing.gap, None);
        listing.resources
    }

    /// The same seed gives identical resources, and another seed gives different ones.
    #[tokio::test]
    async fn seed_determines_simulated_resources() {
        let day = Date::constant(2026, 11, 1);
        let instances = scope("ec2:instance");
        let first = list(&Simulated::new(7, 2000, day), &instances).await;
        assert!(first.len() > 20);
        assert_eq!(first, list(&Simulated::new(7, 2000, day), &instances).await);
        assert_ne!(first, list(&Simulated::new(8, 2000, day), &instances).await);
    }

    /// From one day to the next, some but less than five percent of the instances change. Over ninety days, more than
    /// twenty percent change.
    #[tokio::test]
    async fn simulated_changes_accumulate_over_days() {
        let estate = Simulated::new(7, 20_000, Date::constant(2026, 11, 1));
        let instances = scope("ec2:instance");
        let changed = async |a: u16, b: u16| {
            let before = list(&estate.on_day(a), &instances).await;
            let after = list(&estate.on_day(b), &instances).await;
            (after.iter().filter(|r| !before.contains(r)).count(), after.len())
        };
        let (changes, all) = changed(50, 51).await;
        assert!((1..all / 20).contains(&changes), "{changes} of {all}");
        let (changes, all) = changed(0, 90).await;
        assert!(changes > all / 5, "{changes} of {all}");
    }

    /// The company has resources of every type.
    #[tokio::test]
    async fn every_resource_type_has_population() {
        let estate = Simulated::new(7, 5000, Date::constant(2026, 11, 1));
        for kind in ResourceType::ALL {
            let listed = list(&estate, &scope(kind.as_str())).await;
            assert!(!listed.is_empty(), "{kind}");
            let parse =
                |resource: &Resource| ResourceRef::parse(resource.arn.as_str()).map(|named| named.resource_type);
            assert!(listed.iter().all(|resource| parse(resource) == Ok(*kind)), "{kind}: {listed:?}");
        }
    }

    /// No simulated resource has a creation time after the end of the simulated day.
    #[tokio::test]
    async fn resources_are_created_before_end_of_day() {
        let estate = Simulated::new(7, 5000, Date::constant(2026, 11, 1)).on_day(30);
        let end_of_day = TimeZone::UTC.to_timestamp(estate.date().at(23, 59, 59, 0)).unwrap();
        for resource_type in ResourceType::ALL {
            for resource in list(&estate, &scope(resource_type.as_str())).await {
                assert!(resource.created_at.unwrap() <= end_of_day, "{resource:?}");
            }
        }
    }
}
