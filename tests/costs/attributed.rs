//! The attributable part of the company's bill, computed from its estate.

use std::collections::BTreeMap;

use fake_aws::{daily_nano, service_of};

use crate::{
    company::{required, ways},
    support::fake_estate::FakeEstate,
};

/// Thousand-millionths a day, by whatever names a resource or line.
#[derive(Default)]
pub(crate) struct Truth {
    pub(crate) required: BTreeMap<String, i64>,
    pub(crate) gap: BTreeMap<String, i64>,
    pub(crate) all: i64,
}

/// By resource type (`0`), region (`1`) or account (`2`).
pub(crate) fn truth(world: &FakeEstate, by: usize) -> Truth {
    let (mut truth, mut seen) = (Truth::default(), BTreeMap::new());
    for resource in world.fake.estate().resources() {
        let place = (resource.account.clone(), resource.region.clone(), resource.resource_type);
        let index = seen.entry(place).or_insert(0);
        let nano = daily_nano(resource.resource_type, *index);
        *index += 1;
        truth.all += nano;
        let service = service_of(resource.resource_type);
        let keys = required(service);
        if keys.is_empty() {
            continue;
        }
        // A service is billed as a whole: database clusters stand with the databases, ECS clusters with the services.
        let category = match resource.resource_type {
            "rds:cluster" => "rds:db",
            "ecs:cluster" => "ecs:service",
            other => other,
        };
        let name = [category.to_owned(), resource.region, resource.account][by].clone();
        *truth.required.entry(name.clone()).or_default() += nano;
        if ways()[resource.recipe].1.iter().any(|invalid| keys.contains(invalid)) {
            *truth.gap.entry(name).or_default() += nano;
        }
    }
    let extra = &world.fake.estate().billing.extra;
    truth.all += extra.iter().filter(|line| line.currency == "USD").map(|line| line.nano).sum::<i64>();
    truth
}
