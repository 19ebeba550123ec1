//! The resources that a correct scan of an estate reports, also as a JSON document that seeds moto.

use serde_json::{Value, json};

use crate::{
    account_region::{AccountRegion, Kind},
    estate::Estate,
};

/// One resource as a correct scanner reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedResource {
    /// The ID of the owner account.
    pub account: String,
    /// The region, also for a bucket.
    pub region: String,
    /// The resource type, such as `ec2:instance`.
    pub resource_type: &'static str,
    /// The ARN that AWS returns.
    pub arn: String,
    /// Its tags, in the order of its recipe.
    pub tags: Vec<(String, String)>,
    /// The creation time in RFC 3339 with whole seconds. `None` for types whose creation time AWS does not return.
    pub created_at: Option<String>,
    /// The index of its recipe in [`Estate::recipes`].
    pub recipe: usize,
    /// False for ECS services with the old short ARN.
    pub taggable: bool,
}

pub(crate) fn resources(estate: &Estate) -> impl Iterator<Item = ExpectedResource> + '_ {
    scanned_regions(estate).flat_map(|account_region| {
        Kind::ALL.into_iter().flat_map(move |kind| {
            (0..account_region.count(kind)).map(move |index| resource(&account_region, kind, index))
        })
    })
}

pub(crate) fn total(estate: &Estate) -> usize {
    scanned_regions(estate)
        .flat_map(|account_region| Kind::ALL.into_iter().map(move |kind| account_region.count(kind)))
        .sum()
}

fn scanned_regions(estate: &Estate) -> impl Iterator<Item = AccountRegion<'_>> {
    let active = estate.accounts.iter().enumerate().filter(|(_, account)| !account.suspended);
    active
        .flat_map(move |(no, account)| AccountRegion::all(estate, no, account))
        .filter(|account_region| account_region.enabled)
}

fn resource(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> ExpectedResource {
    let has_creation_time = !matches!(kind, Kind::Cluster | Kind::Function);
    ExpectedResource {
        account: account_region.account.id.clone(),
        region: account_region.region.to_owned(),
        resource_type: kind.name(),
        arn: account_region.arn(kind, index),
        tags: account_region.tags(kind, index),
        created_at: has_creation_time.then(|| account_region.created(index)),
        recipe: account_region.recipe(index),
        taggable: account_region.is_taggable(kind, index),
    }
}

pub(crate) fn seed_json(estate: &Estate) -> Value {
    let accounts: Vec<Value> = estate
        .accounts
        .iter()
        .map(|account| json!({"id": account.id, "name": account.name, "suspended": account.suspended}))
        .collect();
    let resources: Vec<Value> = scanned_regions(estate)
        .flat_map(|account_region| {
            Kind::ALL.into_iter().flat_map(move |kind| {
                (0..account_region.count(kind)).map(move |index| seed(&account_region, kind, index))
            })
        })
        .collect();
    json!({"home": estate.home, "accounts": accounts, "resources": resources})
}

fn seed(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> Value {
    let mut seed = json!({
        "account": account_region.account.id,
        "region": account_region.region,
        "type": kind.name(),
        "name": account_region.id(kind, index),
        "tags": account_region.tags(kind, index),
    });
    let detail = match kind {
        Kind::Instance if account_region.is_stopped(index) => Some(("state", "stopped".to_owned())),
        Kind::Instance => Some(("state", "running".to_owned())),
        Kind::DbCluster | Kind::DbInstance => Some(("engine", account_region.engine(kind, index).to_owned())),
        Kind::Service => Some(("cluster", account_region.id(Kind::Cluster, account_region.cluster_of(index)))),
        _ => None,
    };
    if let (Some((key, value)), Some(seed)) = (detail, seed.as_object_mut()) {
        seed.insert(key.to_owned(), Value::String(value));
    }
    seed
}
