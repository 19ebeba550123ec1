//! Rate limits of requests to AWS: one token bucket for each account, region and API family.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tagledger_model::{AccountId, Region, ResourceType, api::RateFamily};

/// CloudTrail. AWS counts the requests of all clients of an account and region.
pub(crate) const CLOUD_TRAIL: RateFamily = RateFamily::new("cloudtrail", 2, 2);

/// Cost Explorer. AWS publishes no rate.
pub(crate) const COST_EXPLORER: RateFamily = RateFamily::new("cost explorer", 5, 20);

/// `ec2:DescribeRegions`. EC2 has a smaller bucket for requests without pagination and filters.
pub(crate) const EC2_REGIONS: RateFamily = RateFamily::new("ec2 regions", 10, 50);

/// Organizations. AWS publishes no rate.
pub(crate) const ORGANIZATIONS: RateFamily = RateFamily::new("organizations", 5, 5);

/// Returns all API families: those above, and those of the resource types.
fn families() -> impl Iterator<Item = RateFamily> {
    let of_resource_types =
        ResourceType::ALL.iter().flat_map(|kind| kind.spec().operations()).map(|operation| operation.family);
    [CLOUD_TRAIL, COST_EXPLORER, EC2_REGIONS, ORGANIZATIONS].into_iter().chain(of_resource_types)
}

/// Returns the quota at a percentage of the rate of AWS.
fn quota(family: RateFamily, percent: u32) -> Option<Quota> {
    let percent = percent.clamp(1, 100);
    let interval = Duration::from_secs(100) / (family.per_second * percent);
    let burst = NonZeroU32::new(family.burst * percent / 100).unwrap_or(NonZeroU32::MIN);
    Some(Quota::with_period(interval)?.allow_burst(burst))
}

/// The token buckets of all accounts and regions.
#[derive(Debug)]
pub(crate) struct RateLimits {
    families: BTreeMap<RateFamily, DefaultKeyedRateLimiter<(AccountId, Region)>>,
}

impl RateLimits {
    /// Creates the limits at a percentage of the rates of AWS.
    pub(crate) fn new(percent: u32) -> Self {
        let limiter = |family: RateFamily| Some((family, RateLimiter::keyed(quota(family, percent)?)));
        Self { families: families().filter_map(limiter).collect() }
    }

    /// Waits until the bucket of the family, account and region has a token, and takes it.
    pub(crate) async fn acquire(&self, family: RateFamily, account: &AccountId, region: &Region) {
        if let Some(limiter) = self.families.get(&family) {
            limiter.until_key_ready(&(account.clone(), region.clone())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tagledger_model::resource_types::{
        ec2::{DESCRIBE_INSTANCES, DESCRIBE_VOLUMES},
        lambda::LIST_TAGS,
        rds::DESCRIBE_DB_CLUSTERS,
    };

    use super::*;

    fn allowed_at_once(family: RateFamily, region: &str, limits: &RateLimits) -> u32 {
        let key = ("123456789012".parse().unwrap(), region.parse().unwrap());
        (0..1000).map_while(|_| limits.families[&family].check_key(&key).ok()).map(|_| 1).sum()
    }

    /// A percentage of the AWS rate limit scales the refill rate and the burst size alike.
    #[test]
    fn percentage_scales_refill_and_burst() {
        let ec2 = quota(DESCRIBE_INSTANCES.family, 50).unwrap();
        assert_eq!(ec2.replenish_interval(), Duration::from_millis(100));
        assert_eq!(ec2.burst_size().get(), 50);
        let lambda = quota(LIST_TAGS.family, 100).unwrap();
        assert_eq!(lambda.replenish_interval().as_micros(), 66_666);
        assert_eq!(lambda.burst_size().get(), 15);
    }

    /// A percentage outside 1 to 100 is clamped to this range, and the burst size is at least one request.
    #[test]
    fn percentage_is_clamped_to_valid_range() {
        assert_eq!(quota(DESCRIBE_DB_CLUSTERS.family, 0), quota(DESCRIBE_DB_CLUSTERS.family, 1));
        assert_eq!(quota(DESCRIBE_DB_CLUSTERS.family, 5000), quota(DESCRIBE_DB_CLUSTERS.family, 100));
        assert_eq!(quota(LIST_TAGS.family, 1).unwrap().burst_size().get(), 1);
    }

    /// Every API family has a rate limiter, even at one percent of the AWS limits.
    #[test]
    fn every_api_family_has_rate_limiter() {
        let limits = RateLimits::new(1);
        assert!(families().all(|family| limits.families.contains_key(&family)));
        let names: BTreeSet<&str> = limits.families.keys().map(|family| family.name).collect();
        assert_eq!(names.len(), limits.families.len(), "two families have the same name");
    }

    /// Requests of one region and API family do not reduce the allowance of other regions or families.
    #[test]
    fn rate_limits_are_per_region_and_family() {
        let limits = RateLimits::new(50);
        assert_eq!(allowed_at_once(DESCRIBE_INSTANCES.family, "eu-west-1", &limits), 50);
        assert_eq!(allowed_at_once(DESCRIBE_INSTANCES.family, "eu-west-2", &limits), 50);
        assert_eq!(allowed_at_once(DESCRIBE_VOLUMES.family, "eu-west-1", &limits), 50);
    }
}
