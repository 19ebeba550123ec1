//! The estate that the fake serves. Every resource is computed from its index by counts and rules.

use crate::{costs::Billing, expected_resources::ExpectedResource};

/// The accounts and resources of the fake. No resource is stored, so a million instances need no memory.
///
/// All counts are numbers of resources that a correct scanner reports. [`Traps`] adds terminated instances and inactive ECS
/// clusters and services.
#[derive(Debug, Clone)]
pub struct Estate {
    /// The ID of the caller's account, which is also the management account of the organization.
    pub home: String,
    /// The partition of all accounts: `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// All accounts of the organization, including `home`.
    pub accounts: Vec<AccountEstate>,
    /// The recipes for tags. Resource `n` of a type and region has the tags of recipe `n % recipes.len()`.
    pub recipes: Vec<Recipe>,
    /// The special cases that incorrect scanners handle wrongly.
    pub traps: Traps,
    /// The conditions of `AssumeRole`.
    pub trust: Trust,
    /// The costs and the settings of Cost Explorer.
    pub billing: Billing,
    /// Whether the home account manages an organization. If not, `ListAccounts` is rejected.
    pub organization: bool,
    /// The ARNs of the principals that created the resources of each recipe, in turn. If it is empty, CloudTrail has no events.
    pub creators: Vec<String>,
    /// The creation time of the first resource of each type, in seconds since the Unix epoch.
    pub created_from: i64,
    /// The seconds between the creation of two consecutive resources of a type and region.
    pub created_step: i64,
}

/// One account.
#[derive(Debug, Clone)]
pub struct AccountEstate {
    /// The account ID with twelve digits.
    pub id: String,
    /// Its name in the organization.
    pub name: String,
    /// Whether the account is suspended. The organization lists it, but no role can be assumed in it.
    pub suspended: bool,
    /// The regions in the order of their names, because S3 lists buckets in this order.
    pub regions: Vec<RegionEstate>,
}

/// One region of an account.
#[derive(Debug, Clone)]
pub struct RegionEstate {
    /// The name, such as `eu-west-1`.
    pub name: String,
    /// Whether the account has enabled it.
    pub opt_in: OptIn,
    /// The number of its resources.
    pub counts: Counts,
}

/// The opt-in status of a region in `DescribeRegions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptIn {
    /// Enabled in all accounts.
    NotRequired,
    /// Enabled by the account.
    OptedIn,
    /// Not enabled. Regional calls are rejected.
    NotOptedIn,
}

impl OptIn {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotRequired => "opt-in-not-required",
            Self::OptedIn => "opted-in",
            Self::NotOptedIn => "not-opted-in",
        }
    }
}

/// The number of resources of each type in a region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// EC2 instances that are not terminated.
    pub instances: usize,
    /// EBS volumes.
    pub volumes: usize,
    /// ECS clusters that are active.
    pub clusters: usize,
    /// ECS services that are active. They are distributed evenly to the active clusters. Without a cluster there are none.
    pub services: usize,
    /// Lambda functions.
    pub functions: usize,
    /// RDS, Neptune and DocumentDB clusters.
    pub db_clusters: usize,
    /// RDS, Neptune and DocumentDB instances.
    pub db_instances: usize,
    /// S3 buckets.
    pub buckets: usize,
}

impl Counts {
    /// Returns the same count for each type.
    pub fn each(n: usize) -> Self {
        Self {
            instances: n,
            volumes: n,
            clusters: n,
            services: n,
            functions: n,
            db_clusters: n,
            db_instances: n,
            buckets: n,
        }
    }
}

/// The tags of some of the resources.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// Keys and values. `{n}` in a value is replaced by the index of the resource.
    pub tags: Vec<(String, String)>,
    /// Whether a resource without tags had tags before. `GetResources` returns such a resource with an empty list.
    pub once_tagged: bool,
}

impl Recipe {
    /// Creates a recipe with these tags.
    pub fn of(tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { tags, once_tagged: false }
    }

    /// Creates a recipe of resources that had tags before, but have none now.
    pub fn once_tagged() -> Self {
        Self { tags: Vec::new(), once_tagged: true }
    }
}

/// Special cases that incorrect scanners handle wrongly. A period of 0 means none.
#[derive(Debug, Clone)]
pub struct Traps {
    /// The number of instances after which a terminated instance follows.
    pub terminated_every: usize,
    /// One of this many instances is stopped.
    pub stopped_every: usize,
    /// The number of active ECS clusters, and of active services of a cluster, after which an inactive one follows.
    pub inactive_every: usize,
    /// One of this many ECS services has the old short ARN, so it cannot be tagged.
    pub short_arn_every: usize,
    /// The number of instances in a reservation, at least 1.
    pub reservation_size: usize,
    /// Engines of DB instances, in turn.
    pub db_engines: Vec<String>,
    /// Engines of DB clusters, in turn.
    pub cluster_engines: Vec<String>,
}

impl Default for Traps {
    fn default() -> Self {
        let engines = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            terminated_every: 0,
            stopped_every: 0,
            inactive_every: 0,
            short_arn_every: 0,
            reservation_size: 3,
            db_engines: engines(&["postgres", "mysql", "neptune", "docdb", "mariadb"]),
            cluster_engines: engines(&["aurora-postgresql", "neptune", "docdb", "aurora-mysql"]),
        }
    }
}

/// The conditions of `AssumeRole`. A field with `None` is not checked.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The only role that can be assumed.
    pub role_name: Option<String>,
    /// The required external ID.
    pub external_id: Option<String>,
}

impl Estate {
    /// Creates an estate without accounts and recipes.
    pub fn new(home: &str) -> Self {
        Self {
            home: home.to_owned(),
            partition: "aws".to_owned(),
            accounts: Vec::new(),
            recipes: Vec::new(),
            traps: Traps::default(),
            trust: Trust::default(),
            billing: Billing::default(),
            organization: true,
            creators: Vec::new(),
            created_from: 1_735_689_600,
            created_step: 3_607,
        }
    }

    /// Adds an account.
    #[must_use]
    pub fn with_account(mut self, account: AccountEstate) -> Self {
        self.accounts.push(account);
        self
    }

    /// Adds a recipe.
    #[must_use]
    pub fn with_recipe(mut self, recipe: Recipe) -> Self {
        self.recipes.push(recipe);
        self
    }

    /// Sets the partition, such as `aws-cn`. The regions of the accounts must belong to it.
    #[must_use]
    pub fn with_partition(mut self, partition: &str) -> Self {
        self.partition = partition.to_owned();
        self
    }

    /// Sets the traps.
    #[must_use]
    pub fn with_traps(mut self, traps: Traps) -> Self {
        self.traps = traps;
        self
    }

    /// Returns exactly the resources that a scanner must report: those in the enabled regions of accounts that are not suspended,
    /// in the order of accounts, regions, types and indexes.
    pub fn resources(&self) -> impl Iterator<Item = ExpectedResource> + '_ {
        crate::expected_resources::resources(self)
    }

    /// Returns the number of resources of [`Estate::resources`], computed from the counts.
    pub fn total(&self) -> usize {
        crate::expected_resources::total(self)
    }

    /// Returns the JSON document that `tests/aws/seed_moto.py` reads.
    pub fn to_seed_json(&self) -> serde_json::Value {
        crate::expected_resources::seed_json(self)
    }
}

impl AccountEstate {
    /// Creates an active account without regions.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), name: format!("account-{id}"), suspended: false, regions: Vec::new() }
    }

    /// Adds a region that is enabled in all accounts.
    #[must_use]
    pub fn with_region(self, name: &str, counts: Counts) -> Self {
        self.with_region_status(name, OptIn::NotRequired, counts)
    }

    /// Adds a region with this opt-in status.
    #[must_use]
    pub fn with_region_status(mut self, name: &str, opt_in: OptIn, counts: Counts) -> Self {
        self.regions.push(RegionEstate { name: name.to_owned(), opt_in, counts });
        self.regions.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// Marks the account as suspended.
    #[must_use]
    pub fn suspended(mut self) -> Self {
        self.suspended = true;
        self
    }
}
