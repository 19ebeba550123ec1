//! Sample estates.

use crate::estate::{AccountEstate, Counts, Estate, OptIn, Recipe, Traps};

const HOME: &str = "111122223333";
const MEMBER: &str = "444455556666";
const SUSPENDED: &str = "777788889999";

/// Recipes for common tagging errors: correct tags, a misspelled key, an empty value, a placeholder, no tags, tags that were
/// removed, and special characters.
fn recipes() -> Vec<Recipe> {
    vec![
        Recipe::of(&[("CostCenter", "CC-1042"), ("Environment", "production"), ("Owner", "payments@example.com")]),
        Recipe::of(&[("costcenter", "CC-1042"), ("Environment", "Prod")]),
        Recipe::of(&[("CostCenter", ""), ("Owner", "tbd")]),
        Recipe::default(),
        Recipe::of(&[("Cost Center", "CC-7"), ("Note", "R&D <b>\"fast\"</b> = 100% + Größe")]),
        Recipe::once_tagged(),
        Recipe::of(&[("aws:cloudformation:stack-name", "shop"), ("Environment", "staging")]),
    ]
}

/// Tags as in an enterprise, about eight for each resource. Sometimes a required tag is missing or misspelled.
fn enterprise_recipe(n: usize) -> Recipe {
    let (team, application) = (format!("team-{}", n % 25), format!("application-{}", n % 60));
    let owner = format!("{team}@example.com");
    let environment = ["production", "staging", "development", "test"].get(n % 4).copied().unwrap_or("production");
    let stack = format!("arn:aws:cloudformation:eu-west-1:111122223333:stack/{application}/0a1b2c3d-{n}");
    let cost = if n.is_multiple_of(7) { "Cost Center" } else { "CostCenter" };
    let mut tags = vec![
        ("Name", "resource-{n}"),
        (cost, "Engineering"),
        ("Owner", owner.as_str()),
        ("Environment", environment),
        ("Application", application.as_str()),
        ("Team", team.as_str()),
        ("aws:cloudformation:stack-name", application.as_str()),
        ("aws:cloudformation:stack-id", stack.as_str()),
    ];
    if n.is_multiple_of(5) {
        tags.retain(|(key, _)| *key != "Owner");
    }
    if n.is_multiple_of(50) { Recipe::default() } else { Recipe::of(&tags) }
}

impl Estate {
    /// Two accounts in three regions with 432 resources and all traps. There is also a suspended account, and
    /// a region that is not enabled.
    pub fn small() -> Self {
        let counts = Counts { clusters: 2, ..Counts::each(10) };
        let traps =
            Traps { terminated_every: 3, stopped_every: 4, inactive_every: 2, short_arn_every: 5, ..Traps::default() };
        let estate = Self::three_regions(counts).with_traps(traps);
        let closed = AccountEstate::new(SUSPENDED).with_region("us-east-1", counts).suspended();
        let mut estate = estate.with_account(closed);
        for account in estate.accounts.iter_mut().filter(|account| account.id == HOME) {
            *account = account.clone().with_region_status("me-south-1", OptIn::NotOptedIn, counts);
        }
        estate
    }

    /// Two accounts in three regions with about 2,000 resources that moto can also store. So there is no
    /// DocumentDB, and there are no `aws:` keys, which callers cannot set.
    pub fn contract() -> Self {
        let counts = Counts {
            instances: 110,
            volumes: 60,
            clusters: 4,
            services: 25,
            functions: 55,
            db_clusters: 12,
            db_instances: 25,
            buckets: 45,
        };
        let engines = |names: [&str; 3]| names.map(ToOwned::to_owned).to_vec();
        let traps = Traps {
            stopped_every: 4,
            db_engines: engines(["postgres", "mysql", "neptune"]),
            cluster_engines: engines(["aurora-postgresql", "neptune", "aurora-mysql"]),
            ..Traps::default()
        };
        let mut estate = Self::three_regions(counts).with_traps(traps);
        for recipe in &mut estate.recipes {
            recipe.tags.retain(|(key, _)| !key.starts_with("aws:"));
        }
        estate
    }

    /// One account and region with a million instances, 100 ECS clusters, and 5,000 resources of each other type.
    pub fn large() -> Self {
        let counts = Counts { instances: 1_000_000, clusters: 100, ..Counts::each(5_000) };
        let mut estate = Self::new(HOME).with_account(AccountEstate::new(HOME).with_region("us-east-1", counts));
        estate.recipes = recipes();
        estate
    }

    /// An organization with 50 accounts in four regions each. `resources` is the approximate number of resources, in the
    /// proportions of an enterprise.
    pub fn enterprise(resources: usize) -> Self {
        let share = |per_thousand: usize| (resources * per_thousand / 200_000).max(1);
        let counts = Counts {
            instances: share(300),
            volumes: share(400),
            clusters: share(2),
            services: share(30),
            functions: share(120),
            db_clusters: share(8),
            db_instances: share(40),
            buckets: share(100),
        };
        let account = |id: &str| {
            let regions = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"];
            regions.iter().fold(AccountEstate::new(id), |account, region| account.with_region(region, counts))
        };
        let members = (1..50).map(|n| account(&format!("{:012}", 500_000_000_000_u64 + n)));
        let mut estate = members.fold(Self::new(HOME).with_account(account(HOME)), Self::with_account);
        estate.recipes = (0..200).map(enterprise_recipe).collect();
        estate
    }

    fn three_regions(counts: Counts) -> Self {
        let account = |id: &str| {
            let regions = ["ap-southeast-2", "eu-west-1", "us-east-1"];
            regions.iter().fold(AccountEstate::new(id), |account, region| account.with_region(region, counts))
        };
        let mut estate = Self::new(HOME).with_account(account(HOME)).with_account(account(MEMBER));
        estate.recipes = recipes();
        estate
    }
}
