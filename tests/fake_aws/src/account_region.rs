//! The resources of one account and region, computed from their indexes.

use jiff::Timestamp;

use crate::estate::{AccountEstate, Counts, Estate, OptIn, RegionEstate};

/// The resource types, in the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Instance,
    Volume,
    Cluster,
    Service,
    Function,
    DbCluster,
    DbInstance,
    Bucket,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Instance,
        Self::Volume,
        Self::Cluster,
        Self::Service,
        Self::Function,
        Self::DbCluster,
        Self::DbInstance,
        Self::Bucket,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Instance => "ec2:instance",
            Self::Volume => "ec2:volume",
            Self::Cluster => "ecs:cluster",
            Self::Service => "ecs:service",
            Self::Function => "lambda:function",
            Self::DbCluster => "rds:cluster",
            Self::DbInstance => "rds:db",
            Self::Bucket => "s3:bucket",
        }
    }

    pub(crate) fn count(self, counts: &Counts) -> usize {
        match self {
            Self::Instance => counts.instances,
            Self::Volume => counts.volumes,
            Self::Cluster => counts.clusters,
            Self::Service if counts.clusters == 0 => 0,
            Self::Service => counts.services,
            Self::Function => counts.functions,
            Self::DbCluster => counts.db_clusters,
            Self::DbInstance => counts.db_instances,
            Self::Bucket => counts.buckets,
        }
    }
}

/// A region of an account.
#[derive(Clone, Copy)]
pub(crate) struct AccountRegion<'a> {
    pub(crate) estate: &'a Estate,
    pub(crate) account: &'a AccountEstate,
    pub(crate) region: &'a str,
    pub(crate) counts: Counts,
    account_no: usize,
    region_no: usize,
    pub(crate) enabled: bool,
}

impl<'a> AccountRegion<'a> {
    /// Finds a region of an account of the estate. A region that the account does not list is disabled, except `us-east-1`.
    pub(crate) fn find(estate: &'a Estate, account_id: &str, region: &'a str) -> Option<Self> {
        let (account_no, account) = estate.accounts.iter().enumerate().find(|(_, a)| a.id == account_id)?;
        let listed = account.regions.iter().enumerate().find(|(_, r)| r.name == region);
        let (region_no, counts, opt_in) = match listed {
            Some((no, found)) => (no, found.counts, found.opt_in),
            None if region == "us-east-1" => (255, Counts::default(), OptIn::NotRequired),
            None => (255, Counts::default(), OptIn::NotOptedIn),
        };
        let enabled = opt_in != OptIn::NotOptedIn;
        Some(Self { estate, account, region, counts, account_no, region_no, enabled })
    }

    /// All regions of an account, including disabled ones.
    pub(crate) fn all(estate: &'a Estate, account_no: usize, account: &'a AccountEstate) -> impl Iterator<Item = Self> {
        account.regions.iter().enumerate().map(move |(region_no, region)| {
            let RegionEstate { name, opt_in, counts } = region;
            let enabled = *opt_in != OptIn::NotOptedIn;
            Self { estate, account, region: name, counts: *counts, account_no, region_no, enabled }
        })
    }

    /// All regions of this account.
    pub(crate) fn regions_of_account(&self) -> impl Iterator<Item = Self> + use<'a> {
        Self::all(self.estate, self.account_no, self.account)
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        kind.count(&self.counts)
    }

    /// Returns the ID or name of a resource. An index past the count belongs to a deleted resource.
    pub(crate) fn id(&self, kind: Kind, index: usize) -> String {
        let hex = || format!("0{:04x}{:02x}{index:010x}", self.account_no, self.region_no);
        match kind {
            Kind::Instance => format!("i-{}", hex()),
            Kind::Volume => format!("vol-{}", hex()),
            Kind::Cluster => format!("cluster-{index:07}"),
            Kind::Service => format!("service-{index:07}"),
            Kind::Function => format!("function-{index:07}"),
            Kind::DbCluster => format!("dbcluster-{index:07}"),
            Kind::DbInstance => format!("db-{index:07}"),
            Kind::Bucket => format!("{}-{}-{index:07}", self.region, self.account.id),
        }
    }

    /// Returns the ARN of a resource in the format of AWS.
    pub(crate) fn arn(&self, kind: Kind, index: usize) -> String {
        let id = self.id(kind, index);
        let partition = &self.estate.partition;
        let regional = |service: &str| format!("arn:{partition}:{service}:{}:{}", self.region, self.account.id);
        match kind {
            Kind::Instance => format!("{}:instance/{id}", regional("ec2")),
            Kind::Volume => format!("{}:volume/{id}", regional("ec2")),
            Kind::Cluster => format!("{}:cluster/{id}", regional("ecs")),
            Kind::Service if self.has_short_arn(index) => format!("{}:service/{id}", regional("ecs")),
            Kind::Service => {
                format!("{}:service/{}/{id}", regional("ecs"), self.id(Kind::Cluster, self.cluster_of(index)))
            }
            Kind::Function => format!("{}:function:{id}", regional("lambda")),
            Kind::DbCluster => format!("{}:cluster:{id}", regional("rds")),
            Kind::DbInstance => format!("{}:db:{id}", regional("rds")),
            Kind::Bucket => format!("arn:{partition}:s3:::{id}"),
        }
    }

    /// Returns the type and index of the resource with an ARN. The index of a deleted resource is past the count.
    pub(crate) fn find_arn(&self, arn: &str) -> Option<(Kind, usize)> {
        Kind::ALL.into_iter().find_map(|kind| {
            let index = self.parse_index(kind, arn)?;
            (self.arn(kind, index) == arn).then_some((kind, index))
        })
    }

    /// Returns the index of the resource with an ID, whether it exists or not.
    pub(crate) fn find_id(&self, kind: Kind, id: &str) -> Option<usize> {
        let index = self.parse_index(kind, id)?;
        (self.id(kind, index) == id).then_some(index)
    }

    fn parse_index(&self, kind: Kind, name: &str) -> Option<usize> {
        if matches!(kind, Kind::Instance | Kind::Volume) {
            let digits = name.get(name.len().checked_sub(10)?..)?;
            return usize::from_str_radix(digits, 16).ok();
        }
        name.rsplit('-').next()?.parse().ok()
    }

    /// Returns the index of a resource's recipe in `estate.recipes`, or 0 if there are no recipes.
    pub(crate) fn recipe(&self, index: usize) -> usize {
        index.checked_rem(self.estate.recipes.len()).unwrap_or(0)
    }

    /// Returns the tags of a resource.
    pub(crate) fn tags(&self, kind: Kind, index: usize) -> Vec<(String, String)> {
        let Some(recipe) = self.estate.recipes.get(self.recipe(index)) else { return Vec::new() };
        if !self.is_taggable(kind, index) {
            return Vec::new();
        }
        recipe.tags.iter().map(|(key, value)| (key.clone(), value.replace("{n}", &index.to_string()))).collect()
    }

    /// Whether GetResources returns the resource, because it has or had tags.
    pub(crate) fn was_ever_tagged(&self, kind: Kind, index: usize) -> bool {
        let recipe = self.estate.recipes.get(self.recipe(index));
        self.is_taggable(kind, index) && recipe.is_some_and(|recipe| recipe.once_tagged || !recipe.tags.is_empty())
    }

    pub(crate) fn is_taggable(&self, kind: Kind, index: usize) -> bool {
        kind != Kind::Service || !self.has_short_arn(index)
    }

    fn has_short_arn(&self, service: usize) -> bool {
        is_every(self.estate.traps.short_arn_every, service)
    }

    /// Returns the index of the cluster that an active service runs in.
    pub(crate) fn cluster_of(&self, service: usize) -> usize {
        service.checked_rem(self.counts.clusters).unwrap_or(0)
    }

    /// Returns the creation time in seconds since the Unix epoch.
    pub(crate) fn created_second(&self, index: usize) -> i64 {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.estate.created_from.saturating_add(self.estate.created_step.saturating_mul(index))
    }

    /// Returns the creation time in RFC 3339, in UTC and without fractions of a second.
    pub(crate) fn created(&self, index: usize) -> String {
        Timestamp::from_second(self.created_second(index)).unwrap_or(Timestamp::MAX).to_string()
    }

    pub(crate) fn is_stopped(&self, instance: usize) -> bool {
        is_every(self.estate.traps.stopped_every, instance)
    }

    /// Returns the engine of a DB instance or cluster.
    pub(crate) fn engine(&self, kind: Kind, index: usize) -> &'a str {
        let traps = &self.estate.traps;
        let engines = if kind == Kind::DbCluster { &traps.cluster_engines } else { &traps.db_engines };
        index.checked_rem(engines.len()).and_then(|at| engines.get(at)).map_or("postgres", String::as_str)
    }
}

/// Whether an index is the last one of a period. A period of 0 has no end.
fn is_every(period: usize, index: usize) -> bool {
    index.checked_rem(period).is_some_and(|rest| rest + 1 == period)
}

/// A list in which one deleted resource follows after every `every` active ones. With `0` there are no deleted ones.
#[derive(Clone, Copy)]
pub(crate) struct InterleavedList {
    pub(crate) active: usize,
    pub(crate) every: usize,
}

/// The entry at one position of an [`InterleavedList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListEntry {
    /// The active resource with this index.
    Active(usize),
    /// The deleted resource with this number.
    Deleted(usize),
}

impl InterleavedList {
    pub(crate) fn len(self) -> usize {
        self.active + self.active.checked_div(self.every).unwrap_or(0)
    }

    pub(crate) fn at(self, position: usize) -> ListEntry {
        let period = self.every + 1;
        match (self.every, position % period == self.every) {
            (0, _) => ListEntry::Active(position),
            (_, true) => ListEntry::Deleted(position / period),
            (_, false) => ListEntry::Active(position - position / period),
        }
    }
}
