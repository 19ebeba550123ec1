//! The truth about an estate: what a correct scanner reports, and the same as a document to seed moto with.

use serde_json::{Value, json};

use crate::{
    cell::{Cell, Kind},
    estate::Estate,
};

/// One resource as a correct scanner reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruthResource {
    /// The account that owns it.
    pub account: String,
    /// Its region; for a bucket too.
    pub region: String,
    /// Such as `ec2:instance`.
    pub resource_type: &'static str,
    /// Its ARN as AWS gives it.
    pub arn: String,
    /// Its tags, in the order of its recipe.
    pub tags: Vec<(String, String)>,
    /// When AWS says it was created, RFC 3339 with whole seconds; `None` for types of which AWS does not say.
    pub created_at: Option<String>,
    /// The place of its recipe in [`Estate::recipes`].
    pub recipe: usize,
    /// False for ECS services with the old short ARN.
    pub taggable: bool,
}

pub(crate) fn resources(estate: &Estate) -> impl Iterator<Item = TruthResource> + '_ {
    live_cells(estate).flat_map(|cell| {
        Kind::ALL.into_iter().flat_map(move |kind| (0..cell.count(kind)).map(move |index| resource(&cell, kind, index)))
    })
}

pub(crate) fn total(estate: &Estate) -> usize {
    live_cells(estate).flat_map(|cell| Kind::ALL.into_iter().map(move |kind| cell.count(kind))).sum()
}

fn live_cells(estate: &Estate) -> impl Iterator<Item = Cell<'_>> {
    let active = estate.accounts.iter().enumerate().filter(|(_, account)| !account.suspended);
    active.flat_map(move |(no, account)| Cell::all(estate, no, account)).filter(|cell| cell.enabled)
}

fn resource(cell: &Cell<'_>, kind: Kind, index: usize) -> TruthResource {
    let dated = !matches!(kind, Kind::Cluster | Kind::Function);
    TruthResource {
        account: cell.account.id.clone(),
        region: cell.region.to_owned(),
        resource_type: kind.name(),
        arn: cell.arn(kind, index),
        tags: cell.tags(kind, index),
        created_at: dated.then(|| cell.created(index)),
        recipe: cell.recipe(index),
        taggable: cell.taggable(kind, index),
    }
}

pub(crate) fn seed_json(estate: &Estate) -> Value {
    let accounts: Vec<Value> = estate
        .accounts
        .iter()
        .map(|account| json!({"id": account.id, "name": account.name, "suspended": account.suspended}))
        .collect();
    let resources: Vec<Value> = live_cells(estate)
        .flat_map(|cell| {
            Kind::ALL.into_iter().flat_map(move |kind| (0..cell.count(kind)).map(move |index| seed(&cell, kind, index)))
        })
        .collect();
    json!({"home": estate.home, "accounts": accounts, "resources": resources})
}

fn seed(cell: &Cell<'_>, kind: Kind, index: usize) -> Value {
    let mut seed = json!({
        "account": cell.account.id,
        "region": cell.region,
        "type": kind.name(),
        "name": cell.id(kind, index),
        "tags": cell.tags(kind, index),
    });
    let detail = match kind {
        Kind::Instance if cell.stopped(index) => Some(("state", "stopped".to_owned())),
        Kind::Instance => Some(("state", "running".to_owned())),
        Kind::DbCluster | Kind::DbInstance => Some(("engine", cell.engine(kind, index).to_owned())),
        Kind::Service => Some(("cluster", cell.id(Kind::Cluster, cell.cluster_of(index)))),
        _ => None,
    };
    if let (Some((key, value)), Some(seed)) = (detail, seed.as_object_mut()) {
        seed.insert(key.to_owned(), Value::String(value));
    }
    seed
}
