//! The estate that the fake serves: counts and rules, from which every resource is computed by its index.

use crate::{costs::Billing, expected_resources::ExpectedResource};

/// What the fake holds. Nothing is stored per resource, so a million instances cost nothing.
///
/// All counts are of resources that a correct scanner reports. Terminated instances and inactive ECS clusters and
/// services come on top of them, as [`Traps`] says.
#[derive(Debug, Clone)]
pub struct Estate {
    /// The caller's own account, which is also the organization's management account; twelve digits.
    pub home: String,
    /// The partition that all accounts live in: `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// Every account of the organization, `home` among them.
    pub accounts: Vec<AccountEstate>,
    /// The tags in turn: resource `n` of a type in a region is tagged by recipe `n % recipes.len()`.
    pub recipes: Vec<Recipe>,
    /// The things that careless scanners get wrong.
    pub traps: Traps,
    /// What AssumeRole demands.
    pub trust: Trust,
    /// How it is billed.
    pub billing: Billing,
    /// Whether the home account manages an organization; without one ListAccounts is refused.
    pub organization: bool,
    /// The ARN of who created the resources of each recipe, in turn; without any the trail is empty.
    pub creators: Vec<String>,
    /// Creation time of each type's first resource, in seconds since 1970.
    pub created_from: i64,
    /// Seconds between the creation of one resource and the next of its type and region.
    pub created_step: i64,
}

/// One account.
#[derive(Debug, Clone)]
pub struct AccountEstate {
    /// Twelve digits.
    pub id: String,
    /// Its name in the organization.
    pub name: String,
    /// Suspended accounts are listed by the organization but nobody can assume a role in them.
    pub suspended: bool,
    /// Its regions; kept in the order of their names, for S3 lists buckets in that order.
    pub regions: Vec<RegionEstate>,
}

/// One region of an account.
#[derive(Debug, Clone)]
pub struct RegionEstate {
    /// Such as `eu-west-1`.
    pub name: String,
    /// Whether the account may use it.
    pub opt_in: OptIn,
    /// How many resources it holds.
    pub counts: Counts,
}

/// A region's status for an account, as DescribeRegions names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptIn {
    /// Enabled for everybody.
    NotRequired,
    /// Enabled by choice.
    OptedIn,
    /// Not enabled: regional calls are refused.
    NotOptedIn,
}

impl OptIn {
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Self::NotRequired => "opt-in-not-required",
            Self::OptedIn => "opted-in",
            Self::NotOptedIn => "not-opted-in",
        }
    }
}

/// How many resources of each type a region holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// EC2 instances that are not terminated.
    pub instances: usize,
    /// EBS volumes.
    pub volumes: usize,
    /// ECS clusters that are active.
    pub clusters: usize,
    /// ECS services that are active, dealt out to the active clusters in turn; none without a cluster.
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
    /// The same number of every type.
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

/// The tags of every so-manieth resource.
#[derive(Debug, Clone, Default)]
pub struct Recipe {
    /// Keys and values; `{n}` in a value stands for the resource's index.
    pub tags: Vec<(String, String)>,
    /// With no tags: whether the resource had some once, so that GetResources returns it with an empty list.
    pub once_tagged: bool,
}

impl Recipe {
    /// A recipe with these tags.
    pub fn of(tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { tags, once_tagged: false }
    }

    /// No tags now, but some in the past.
    pub fn once_tagged() -> Self {
        Self { tags: Vec::new(), once_tagged: true }
    }
}

/// What is mixed in to catch careless scanners. Zero means never.
#[derive(Debug, Clone)]
pub struct Traps {
    /// After every so many live instances stands a terminated one.
    pub terminated_every: usize,
    /// Every so-manieth live instance is stopped.
    pub stopped_every: usize,
    /// After every so many active ECS clusters, and services of a cluster, stands an INACTIVE one.
    pub inactive_every: usize,
    /// Every so-manieth ECS service still has the old short ARN, and so cannot be tagged.
    pub short_arn_every: usize,
    /// How many instances a reservation holds; at least one.
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

/// What AssumeRole demands; anything goes where a field is `None`.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// The only role that can be assumed.
    pub role_name: Option<String>,
    /// The external id that must be sent.
    pub external_id: Option<String>,
}

impl Estate {
    /// An empty estate with one untagged recipe; add accounts, then recipes.
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

    /// Adds a recipe to those taken in turn.
    #[must_use]
    pub fn with_recipe(mut self, recipe: Recipe) -> Self {
        self.recipes.push(recipe);
        self
    }

    /// Moves the estate to another partition, such as `aws-cn`; its regions are to be that partition's.
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

    /// What a scanner must report, no more and no less: every resource of the enabled regions of the accounts that are
    /// not suspended, in the order of accounts, regions, types and indexes.
    pub fn resources(&self) -> impl Iterator<Item = ExpectedResource> + '_ {
        crate::expected_resources::resources(self)
    }

    /// How many resources [`Estate::resources`] yields, by arithmetic.
    pub fn total(&self) -> usize {
        crate::expected_resources::total(self)
    }

    /// The estate as the JSON document that `tests/aws/seed_moto.py` reads.
    pub fn to_seed_json(&self) -> serde_json::Value {
        crate::expected_resources::seed_json(self)
    }
}

impl AccountEstate {
    /// An active account without regions.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), name: format!("account-{id}"), suspended: false, regions: Vec::new() }
    }

    /// Adds a region that needs no opting in.
    #[must_use]
    pub fn with_region(self, name: &str, counts: Counts) -> Self {
        self.with_region_status(name, OptIn::NotRequired, counts)
    }

    /// Adds a region with its status.
    #[must_use]
    pub fn with_region_status(mut self, name: &str, opt_in: OptIn, counts: Counts) -> Self {
        self.regions.push(RegionEstate { name: name.to_owned(), opt_in, counts });
        self.regions.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// The same account, suspended.
    #[must_use]
    pub fn suspended(mut self) -> Self {
        self.suspended = true;
        self
    }
}
