//! Costs of individual resources, on estates and bills whose shares were computed by hand.

use jiff::{Timestamp, civil::Date};
use proptest::prelude::*;
use tagledger_analysis::remediation::plan::RemediationTier;
use tagledger_cost::{Amount, Days, Metric, ResourceCharges, ResourceCosts, UsagePool};
use tagledger_model::inventory::{Resource, Usage};
use tagledger_policy::Policy;

use crate::{
    index::missing_tags_by_cost::AgeAndCostFilter,
    model::{
        bill::{BillCollection, BillLine, BillPart, MonthBill},
        page::PageStart,
        resource_cost::{CurrentTagSpend, ScopeSpend},
    },
    query::{missing_tags, policy_simulation, remediation, spend},
    read::{filter::Filter, session::ReadSession},
    tests::{
        COMPLIANT, INVALID_VALUE, MISSPELLED_KEY, POLICY, TestLedger, UNTAGGED, account, bucket, complete, instance,
        instances, scope, tagged,
    },
};

pub(crate) const EC2: &str = "Amazon Elastic Compute Cloud - Compute";

const S3: &str = "Amazon Simple Storage Service";

const NOVEMBER: Days = Days { first: Date::constant(2025, 11, 1), end: Date::constant(2025, 12, 1) };

pub(crate) fn usd(text: &str) -> Amount {
    text.parse().unwrap()
}

pub(crate) fn pool(resource_type: &str, driver: &str, amount: &str, units: i64) -> UsagePool {
    UsagePool {
        resource_type: resource_type.parse().unwrap(),
        account: account().id.to_string(),
        region: "eu-west-1".to_owned(),
        driver: driver.to_owned(),
        amount: usd(amount),
        units: units * 1_000_000,
    }
}

/// A bill that lists two instances and a bucket by ID, and has a pool of volumes.
pub(crate) fn costs(days: Days) -> ResourceCosts {
    let charge = |service: &str, id: &str, amount| (service.to_owned(), id.to_owned(), usd(amount));
    ResourceCosts {
        days,
        payer: account().id.to_string(),
        currency: "USD".to_owned(),
        pools: vec![pool("ec2:volume", "gp3", "8", 100)],
        charges: Some(ResourceCharges {
            window: Days { first: Date::constant(2025, 12, 20), end: Date::constant(2026, 1, 3) },
            services: vec![(EC2.to_owned(), usd("50")), ("AWS Lambda".to_owned(), usd("1"))],
            resources: vec![
                charge(EC2, "i-1", "30"),
                charge(EC2, "i-gone", "10"),
                charge("AWS Lambda", "arn:aws:s3:::b", "1"),
            ],
        }),
        problem: String::new(),
    }
}

pub(crate) fn shared(pools: Vec<UsagePool>) -> ResourceCosts {
    ResourceCosts { pools, charges: None, problem: "not opted in".to_owned(), ..costs(NOVEMBER) }
}

pub(crate) fn machine(id: &str, tags: &[(&str, &str)], quantity: u32) -> Resource {
    Resource { usage: Some(Usage { driver: "m5.large".to_owned(), quantity }), ..instance(id, tags) }
}

/// A bill in which each of four machines costs a hundred dollars.
pub(crate) fn costly() -> BillCollection {
    bill_collection(shared(vec![pool("ec2:instance", "m5.large", "400", 720)]), &[(EC2, "400")])
}

pub(crate) fn bill_collection(costs: ResourceCosts, charges: &[(&str, &str)]) -> BillCollection {
    let line = |(service, amount): &(&str, &str)| BillLine {
        day: Date::constant(2025, 11, 9),
        part: BillPart::Charges,
        key_a: (*service).to_owned(),
        key_b: "Usage".to_owned(),
        currency: "USD".to_owned(),
        amount: usd(amount),
    };
    let month = MonthBill {
        asked_at: Timestamp::UNIX_EPOCH,
        days: NOVEMBER,
        open_from: None,
        metric: Metric::NetAmortized,
        payer: account().id.to_string(),
        scope_fingerprint: "t".to_owned(),
        requests: 1,
        lines: charges.iter().map(line).collect(),
    };
    BillCollection { months: vec![month], resource_costs: Some(costs), ..BillCollection::default() }
}

/// Every resource with missing tags and its cost, in the order of costs.
fn list_costs(ledger: &TestLedger) -> Vec<(String, Option<String>)> {
    let page = ledger.reader().read(|view| {
        let newest = view.newest()?.unwrap();
        missing_tags::list_by_cost(view, &newest, &Filter::default(), AgeAndCostFilter::default(), PageStart::FIRST, 50)
    });
    let rows = page.unwrap().unwrap().rows.into_iter();
    rows.map(|row| (row.arn.resource().to_owned(), row.cost.map(|cost| cost.monthly.to_string()))).collect()
}

fn cost(resource: &str, amount: &str) -> (String, Option<String>) {
    (resource.to_owned(), Some(amount.to_owned()))
}

/// The cost of a pool is divided by the units that were billed, so the share of terminated instances is assigned to no
/// resource. A stopped instance costs 0.
#[test]
fn pool_cost_is_divided_by_billed_units() {
    let mut ledger = TestLedger::new();
    // 2,000 hours were billed in a month of 720 hours, so that some machines no longer exist.
    let pools = vec![pool("ec2:instance", "m5.large", "200", 2_000)];
    let found = complete(vec![machine("1", UNTAGGED, 1), machine("2", UNTAGGED, 0), machine("3", COMPLIANT, 1)]);
    ledger.record_with(&[(instances(), found)], |snapshot| {
        snapshot.record_bill(&bill_collection(shared(pools), &[(EC2, "200")]))
    });
    assert_eq!(list_costs(&ledger), [cost("instance/i-1", "72.00"), cost("instance/i-2", "0.00")]);
}

/// When the current resources of a pool need more units than were billed, the pool is divided among all of them. Their
/// costs sum to the billed amount, also after a later snapshot without a new bill adds a resource.
#[test]
fn pool_cost_of_grown_fleet_stays_within_billed_amount() {
    let mut ledger = TestLedger::new();
    let pools = vec![pool("ec2:instance", "m5.large", "200", 720)];
    let found = (0..4).map(|n| machine(&n.to_string(), UNTAGGED, 1)).collect();
    ledger.record_with(&[(instances(), complete(found))], |snapshot| {
        snapshot.record_bill(&bill_collection(shared(pools), &[(EC2, "200")]))
    });
    assert!(list_costs(&ledger).iter().all(|(_, cost)| cost.as_deref() == Some("50.00")), "{:?}", list_costs(&ledger));
    // The next snapshot has one machine more and no new bill.
    let found = (0..5).map(|n| machine(&n.to_string(), UNTAGGED, 1)).collect();
    ledger.record_snapshot(&[(instances(), complete(found))]);
    assert!(list_costs(&ledger).iter().all(|(_, cost)| cost.as_deref() == Some("40.00")), "{:?}", list_costs(&ledger));
}

/// A read session that is open while a new snapshot commits computes the remediation backlog and a policy simulation,
/// costs included, from the state at its start.
#[test]
fn open_read_session_ignores_new_snapshot() {
    let mut ledger = TestLedger::new();
    let estate = |tags: &'static [(&str, &str)]| complete((0..40).map(|n| machine(&n.to_string(), tags, 1)).collect());
    let pools = vec![pool("ec2:instance", "m5.large", "400", 720)];
    ledger.record_with(&[(instances(), estate(UNTAGGED))], |recorded| {
        recorded.record_bill(&bill_collection(shared(pools), &[(EC2, "400")]))
    });
    let reader = ledger.reader();
    let requested = |view: &ReadSession<'_>| {
        let recorded = view.snapshot(1)?.unwrap();
        let policy = view.policy(&recorded)?;
        let to_fix = remediation::find_backlog(view, &recorded, &Filter::default(), usize::MAX)?;
        let draft = policy_simulation::simulate(view, &recorded, &Filter::default(), &policy, 100)?;
        Ok((to_fix, draft.scopes, draft.reasons))
    };
    // With another reader, so that the first one has nothing in its cache.
    let before = ledger.reader().read(requested).unwrap();
    let during = reader
        .read(|view| {
            // The session does not see the new snapshot. Superseded states have no costs in the new snapshot.
            assert_eq!(view.newest()?.unwrap().id, 1);
            ledger.record_snapshot(&[(instances(), estate(COMPLIANT))]);
            requested(view)
        })
        .unwrap();
    assert_eq!(before, during);
    let totals = during.0.totals;
    assert_eq!((totals.non_compliant, totals.non_compliant_cost), (40, usd("400")));
    assert_eq!(during.0.tiers, [RemediationTier { changes: 2, cost: Some(usd("10")), resources: 40 }]);
}

/// Volumes of one usage type share its pool in proportion to their size. A usage type that the bill does not contain
/// has an unknown cost instead of zero.
#[test]
fn volumes_share_pool_by_size_and_unbilled_type_has_no_cost() {
    let mut ledger = TestLedger::new();
    let volume = |id: &str, driver: &str, quantity| Resource {
        arn: format!("arn:aws:ec2:eu-west-1:111122223333:volume/vol-{id}").parse().unwrap(),
        usage: Some(Usage { driver: driver.to_owned(), quantity }),
        ..instance(id, UNTAGGED)
    };
    let found = complete(vec![volume("1", "gp3", 30), volume("2", "gp3", 10), volume("3", "io2", 10)]);
    ledger.policy = Policy::parse(&POLICY.replace("\"s3:bucket\"]", "\"ec2:volume\"]")).unwrap();
    let pools = vec![pool("ec2:volume", "gp3", "10", 50)];
    let bill = bill_collection(shared(pools), &[("EC2 - Other", "12")]);
    ledger.record_with(&[(scope("eu-west-1", "ec2:volume"), found)], |snapshot| snapshot.record_bill(&bill));
    let unknown = ("volume/vol-3".to_owned(), None);
    assert_eq!(list_costs(&ledger), [cost("volume/vol-1", "6.00"), cost("volume/vol-2", "2.00"), unknown]);
}

/// A resource in the resource-level bill is assigned its share of the recent charges of its service, applied to the
/// amount of the month; the minimum-cost filter is inclusive. A stopped instance costs 0, and a running instance that
/// the bill does not list has an unknown cost.
#[test]
fn billed_resource_gets_its_share_of_service_charge() {
    let mut ledger = TestLedger::new();
    let buckets = scope("eu-west-1", "s3:bucket");
    let mut resource_costs = costs(NOVEMBER);
    let charges = resource_costs.charges.as_mut().unwrap();
    charges.services.push((S3.to_owned(), usd("4")));
    charges.resources.push((S3.to_owned(), "photos".to_owned(), usd("1")));
    resource_costs.pools.push(pool("ec2:instance", "m5.large", "999", 10));
    let found = [
        (instances(), complete(vec![machine("1", UNTAGGED, 1), machine("2", UNTAGGED, 0), machine("3", UNTAGGED, 1)])),
        (buckets, complete(vec![bucket("photos", tagged(UNTAGGED))])),
    ];
    ledger.record_with(&found, |snapshot| {
        snapshot.record_bill(&bill_collection(resource_costs, &[(EC2, "100"), (S3, "10")]))
    });
    // The first instance has 30 of 50. The share of the instance that no longer exists belongs to no resource. The bill does not list the
    // third one, so its cost is not known, and the second one is stopped.
    let expected = [
        cost("instance/i-1", "60.00"),
        cost("photos", "2.50"),
        cost("instance/i-2", "0.00"),
        ("instance/i-3".to_owned(), None),
    ];
    assert_eq!(list_costs(&ledger), expected);
    let sums = |least: &str| {
        let what = AgeAndCostFilter { min_cost: Some(usd(least)), created_until: None };
        ledger
            .reader()
            .read(|view| missing_tags::sum_totals(view, &view.newest()?.unwrap(), &Filter::default(), what))
            .unwrap()
    };
    assert_eq!((sums("2.5").untagged, sums("2.5").cost), (2, usd("62.50")));
    assert_eq!(sums("2.51").untagged, 1);
}

/// Spend of the current resources is classified by their current tags; a key that the bill does not know exactly does
/// not attribute. Fixed and regressed spend is measured against the tags at the billed month.
#[test]
fn current_tags_spend_and_remediation() {
    let mut ledger = TestLedger::new();
    ledger.snapshots = -40; // in November
    let misspelled = &[("owner", "a@b.example"), ("Environment", "production")];
    let pools = vec![pool("ec2:instance", "m5.large", "500", 3_600)];
    let (tags_before, tags_now) =
        ([UNTAGGED, UNTAGGED, COMPLIANT, COMPLIANT, COMPLIANT], [COMPLIANT, UNTAGGED, COMPLIANT, misspelled, UNTAGGED]);
    let estate = |tags: [&[(&str, &str)]; 5]| complete((0..5).map(|n| machine(&n.to_string(), tags[n], 1)).collect());
    ledger.policy = Policy::parse(
        &POLICY.replace("\"required_tags\"", "\"tag_naming_rules\": {\"case_sensitivity\": false}, \"required_tags\""),
    )
    .unwrap();
    ledger.record_snapshot(&[(instances(), estate(tags_before))]);
    ledger.snapshots = 4; // in January
    ledger.record_with(&[(instances(), estate(tags_now))], |snapshot| {
        snapshot.record_bill(&bill_collection(shared(pools), &[(EC2, "500")]))
    });
    let (current, remediated) =
        ledger.reader().read(|view| spend::sum_current_spend(view, &view.newest()?.unwrap())).unwrap();
    let spend = CurrentTagSpend { attributable: usd("200"), unattributable: usd("300"), not_evaluated: usd("0") };
    assert_eq!(
        current,
        [ScopeSpend { scope: instances(), spend }],
        "another case of a required key does not attribute spend"
    );
    let remediated = remediated.unwrap();
    assert_eq!(
        (remediated.fixed, remediated.regressed),
        (vec![(instances(), usd("100"))], vec![(instances(), usd("200"))])
    );
}

/// A resource whose charges are negative costs 0. The costs of the other resources of the service are scaled so that
/// they do not exceed the amount of the month.
#[test]
fn credits_never_raise_cost_above_bill() {
    let mut ledger = TestLedger::new();
    let mut resource_costs = costs(NOVEMBER);
    let charge = |id: &str, amount| (EC2.to_owned(), id.to_owned(), usd(amount));
    let charges = resource_costs.charges.as_mut().unwrap();
    charges.services = vec![(EC2.to_owned(), usd("20"))];
    charges.resources = vec![charge("i-1", "30"), charge("i-2", "30"), charge("i-3", "-40")];
    let found = ["1", "2", "3"].map(|id| machine(id, UNTAGGED, 1)).to_vec();
    ledger.record_with(&[(instances(), complete(found))], |snapshot| {
        snapshot.record_bill(&bill_collection(resource_costs, &[(EC2, "100")]))
    });
    let expected = [cost("instance/i-2", "50.00"), cost("instance/i-1", "50.00"), cost("instance/i-3", "0.00")];
    let mut listed = list_costs(&ledger);
    listed.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.clone()));
    assert_eq!(
        listed.iter().map(|(_, cost)| cost).collect::<Vec<_>>(),
        expected.iter().map(|(_, cost)| cost).collect::<Vec<_>>()
    );
}

/// When the resource-level bill lists no resource of a service, the costs of its resources come from the usage-type
/// pool.
#[test]
fn service_without_billed_resources_uses_its_pool() {
    let mut ledger = TestLedger::new();
    let mut resource_costs = costs(NOVEMBER);
    let charges = resource_costs.charges.as_mut().unwrap();
    charges.services = vec![(EC2.to_owned(), usd("50")), (S3.to_owned(), usd("1"))];
    charges.resources = vec![(S3.to_owned(), "photos".to_owned(), usd("1"))];
    resource_costs.pools = vec![pool("ec2:instance", "m5.large", "72", 720)];
    let bill = bill_collection(resource_costs, &[(EC2, "100"), (S3, "10")]);
    ledger.record_with(&[(instances(), complete(vec![machine("1", UNTAGGED, 1)]))], |snapshot| {
        snapshot.record_bill(&bill)
    });
    assert_eq!(list_costs(&ledger), [cost("instance/i-1", "72.00")]);
}

/// A machine: the number of its driver, its quantity and the number of its tags.
fn any_resource() -> impl Strategy<Value = (usize, u32, usize)> {
    (0_usize..3, 0_u32..60, 0_usize..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// For any resources, pools and credits, current spend does not exceed the billed amount. Each resource with
    /// missing tags is listed exactly once, and the listed costs sum to the reported total.
    #[test]
    fn resource_costs_never_exceed_billed_amount(
        resources in prop::collection::vec(any_resource(), 1..40),
        pools in prop::array::uniform3((1_i64..5_000_000_000, 0_i64..40_000)),
        named in any::<bool>(),
    ) {
        let mut ledger = TestLedger::new();
        let driver = |n: usize| format!("m{n}.large");
        let found = resources.iter().enumerate().map(|(n, (of, quantity, tags))| Resource {
            usage: Some(Usage { driver: driver(*of), quantity: *quantity }),
            ..instance(&format!("{n:x}"), [COMPLIANT, INVALID_VALUE, UNTAGGED, MISSPELLED_KEY][*tags])
        });
        let pools: Vec<UsagePool> = pools.iter().enumerate().map(|(of, (micros, units))| UsagePool {
            amount: Amount::from_micros(*micros),
            ..pool("ec2:instance", &driver(of), "1", *units)
        }).collect();
        let billed: Amount = pools.iter().map(|pool| pool.amount).sum();
        let charges = named.then(|| ResourceCharges {
            // Less than the sum of the resources, as with a refund.
            services: vec![(EC2.to_owned(), usd("3"))],
            resources: (0..5).map(|n| (EC2.to_owned(), format!("i-{n:x}"), usd("1.4"))).collect(),
            ..costs(NOVEMBER).charges.unwrap()
        });
        let total = format!("{}.{:06}", billed.micros() / 1_000_000, billed.micros() % 1_000_000);
        let bill = bill_collection(ResourceCosts { charges, ..shared(pools) }, &[(EC2, &total)]);
        ledger.record_with(&[(instances(), complete(found.collect()))], |snapshot| snapshot.record_bill(&bill));
        let (current, sums, rows) = ledger.reader().read(|view| {
            let newest = view.newest()?.unwrap();
            let sums = missing_tags::sum_totals(view, &newest, &Filter::default(), AgeAndCostFilter::default())?;
            let rows = missing_tags::list_by_cost(view, &newest, &Filter::default(), AgeAndCostFilter::default(), PageStart::FIRST, 99)?;
            Ok((spend::sum_current_spend(view, &newest)?.0, sums, rows.unwrap().rows))
        }).unwrap();
        let parts = |spend: &CurrentTagSpend| spend.attributable + spend.unattributable + spend.not_evaluated;
        let all: Amount = current.iter().map(|scope| parts(&scope.spend)).sum();
        prop_assert!(all <= billed, "{all:?} of {billed:?}");
        let missing = resources.iter().filter(|(_, _, tags)| *tags >= 2).count();
        prop_assert_eq!(rows.len(), missing);
        prop_assert_eq!(rows.iter().filter_map(|row| row.cost).map(|cost| cost.monthly).sum::<Amount>(), sums.cost);
        prop_assert!(sums.cost <= billed);
    }
}
