//! How fast AWS may be asked: token buckets per account, region and family of calls.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::{AccountId, Region};

/// Calls that share one of AWS's token buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    CloudTrail,
    CostExplorer,
    Ec2Instances,
    Ec2Regions,
    Ec2Volumes,
    EcsClusters,
    EcsServices,
    EcsTags,
    Lambda,
    Organizations,
    Rds,
    S3Buckets,
    S3Tags,
    Tagging,
}

impl Family {
    const ALL: [Self; 14] = [
        Self::CloudTrail,
        Self::CostExplorer,
        Self::Ec2Instances,
        Self::Ec2Regions,
        Self::Ec2Volumes,
        Self::EcsClusters,
        Self::EcsServices,
        Self::EcsTags,
        Self::Lambda,
        Self::Organizations,
        Self::Rds,
        Self::S3Buckets,
        Self::S3Tags,
        Self::Tagging,
    ];

    /// AWS's rate in requests a second, and the burst that it forgives.
    const fn rate(self) -> (u32, u32) {
        match self {
            // EC2 meters each call by itself; this is the bucket of paginated or filtered calls.
            Self::Ec2Instances | Self::Ec2Volumes => (20, 100),
            // DescribeRegions is neither, hence the smaller bucket.
            Self::Ec2Regions => (10, 50),
            Self::EcsClusters | Self::EcsTags => (20, 50),
            Self::EcsServices => (20, 100),
            // One bucket for the whole control plane, and AWS does not raise it.
            Self::Lambda => (15, 15),
            Self::Rds => (12, 300),
            // Shared with everybody who looks at the trail.
            Self::CloudTrail => (2, 2),
            Self::Tagging => (15, 15),
            // AWS publishes none of these; modest guesses, far under what S3 was seen to take.
            Self::CostExplorer => (5, 20),
            Self::Organizations => (5, 5),
            Self::S3Buckets => (5, 10),
            Self::S3Tags => (50, 100),
        }
    }

    fn quota(self, percent: u32) -> Option<Quota> {
        let percent = percent.clamp(1, 100);
        let (rate, burst) = self.rate();
        let interval = Duration::from_secs(100) / (rate * percent);
        let burst = NonZeroU32::new(burst * percent / 100).unwrap_or(NonZeroU32::MIN);
        Some(Quota::with_period(interval)?.allow_burst(burst))
    }
}

/// A call that is made to AWS.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    /// As IAM names it, such as `s3:GetBucketTagging`.
    pub(super) name: &'static str,
    /// Whose token bucket it draws on.
    pub(super) family: Family,
}

impl Operation {
    pub(super) const fn new(name: &'static str, family: Family) -> Self {
        Self { name, family }
    }
}

/// All token buckets of all accounts and regions.
#[derive(Debug)]
pub(super) struct Limits {
    families: BTreeMap<Family, DefaultKeyedRateLimiter<(AccountId, Region)>>,
}

impl Limits {
    /// Buckets at this share, in percent, of AWS's rates.
    pub(super) fn new(percent: u32) -> Self {
        let limiter = |family: Family| Some((family, RateLimiter::keyed(family.quota(percent)?)));
        Self { families: Family::ALL.into_iter().filter_map(limiter).collect() }
    }

    /// Waits until the family's bucket of that account and region has a token, and takes it.
    pub(super) async fn admit(&self, family: Family, account: &AccountId, region: &Region) {
        if let Some(limiter) = self.families.get(&family) {
            limiter.until_key_ready(&(account.clone(), region.clone())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed_at_once(family: Family, region: &str, limits: &Limits) -> u32 {
        let key = ("123456789012".parse().unwrap(), region.parse().unwrap());
        (0..1000).map_while(|_| limits.families[&family].check_key(&key).ok()).map(|_| 1).sum()
    }

    #[test]
    fn half_of_the_documented_rates_is_half_the_refill_and_half_the_burst() {
        let quota = Family::Ec2Instances.quota(50).unwrap();
        assert_eq!(quota.replenish_interval(), Duration::from_millis(100));
        assert_eq!(quota.burst_size().get(), 50);
        let lambda = Family::Lambda.quota(100).unwrap();
        assert_eq!(lambda.replenish_interval().as_micros(), 66_666);
        assert_eq!(lambda.burst_size().get(), 15);
    }

    #[test]
    fn a_percentage_out_of_range_is_brought_inside() {
        assert_eq!(Family::Rds.quota(0), Family::Rds.quota(1));
        assert_eq!(Family::Rds.quota(5000), Family::Rds.quota(100));
        assert_eq!(Family::Lambda.quota(1).unwrap().burst_size().get(), 1);
    }

    #[test]
    fn every_family_has_a_bucket() {
        let limits = Limits::new(1);
        assert_eq!(limits.families.len(), Family::ALL.len());
    }

    #[test]
    fn buckets_of_other_regions_and_families_are_not_touched() {
        let limits = Limits::new(50);
        assert_eq!(allowed_at_once(Family::Ec2Instances, "eu-west-1", &limits), 50);
        assert_eq!(allowed_at_once(Family::Ec2Instances, "eu-west-2", &limits), 50);
        assert_eq!(allowed_at_once(Family::Ec2Volumes, "eu-west-1", &limits), 50);
    }
}
