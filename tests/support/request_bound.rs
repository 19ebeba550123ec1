//! The smallest number of requests that an inventory needs.

use std::{collections::BTreeMap, fmt::Write as _};

use fake_aws::{Counts, Estate, OptIn};

/// A scan may send a twentieth more than the fewest.
const ALLOWED: f64 = 1.05;

/// The fewest requests for an estate, by operation.
///
/// Every page has to be read; a scope without resources takes one request to know it; tags that do not come with the
/// list come a hundred resources at a time; ECS describes ten services at a time.
#[derive(Default)]
pub(crate) struct RequestBound(BTreeMap<&'static str, usize>);

impl RequestBound {
    fn add(&mut self, operation: &'static str, requests: usize) {
        *self.0.entry(operation).or_default() += requests;
    }

    fn pages(&mut self, operation: &'static str, items: usize, per_page: usize) {
        self.add(operation, items.div_ceil(per_page).max(1));
    }

    fn region(&mut self, counts: &Counts) {
        self.pages("ec2:DescribeInstances", counts.instances, 1_000);
        self.pages("ec2:DescribeVolumes", counts.volumes, 1_000);
        self.pages("rds:DescribeDBInstances", counts.db_instances, 100);
        self.pages("rds:DescribeDBClusters", counts.db_clusters, 100);
        self.pages("s3:ListBuckets", counts.buckets, 10_000);
        self.add("tagging:GetResources", counts.buckets.div_ceil(100));
        self.pages("lambda:ListFunctions", counts.functions, 50);
        self.add("tagging:GetResources", counts.functions.div_ceil(100));
        self.pages("ecs:ListClusters", counts.clusters, 100);
        self.add("ecs:DescribeClusters", counts.clusters.div_ceil(100));
        // The scope of services begins with the clusters again: each scope is listed by itself.
        self.pages("ecs:ListClusters", counts.clusters, 100);
        for cluster in 0..counts.clusters {
            let services = counts.services / counts.clusters + usize::from(cluster < counts.services % counts.clusters);
            self.pages("ecs:ListServices", services, 100);
            self.add("ecs:DescribeServices", services.div_ceil(10));
        }
    }

    /// Of a scan of the whole organization, every account, region and type.
    pub(crate) fn of(estate: &Estate) -> Self {
        let mut bound = Self::default();
        bound.add("sts:GetCallerIdentity", 1);
        bound.pages("organizations:ListAccounts", estate.accounts.len(), 20);
        for account in &estate.accounts {
            bound.add("sts:AssumeRole", usize::from(account.id != estate.home));
            bound.add("ec2:DescribeRegions", 1);
            let enabled = account.regions.iter().filter(|region| region.opt_in != OptIn::NotOptedIn);
            enabled.for_each(|region| bound.region(&region.counts));
        }
        bound
    }

    /// The sum.
    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Asserts that requests by operation are at most a twentieth more.
    #[track_caller]
    pub(crate) fn admits(&self, counts: &BTreeMap<String, usize>) {
        let (sent, fewest) = (counts.values().sum::<usize>(), self.total());
        let mut table = format!("{sent} requests, the fewest are {fewest}\n");
        let extra =
            counts.keys().filter(|operation| !self.0.contains_key(operation.as_str())).map(|o| (o.as_str(), &0));
        for (operation, fewest) in self.0.iter().map(|(operation, n)| (*operation, n)).chain(extra) {
            let sent = counts.get(operation).copied().unwrap_or_default();
            let mark = if sent > *fewest { "  <-" } else { "" };
            writeln!(table, "{sent:>6} {fewest:>6}  {operation}{mark}").unwrap();
        }
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let ratio = sent as f64 / fewest as f64;
        assert!(ratio <= ALLOWED, "{ratio:.3} of the fewest: {table}");
    }
}
