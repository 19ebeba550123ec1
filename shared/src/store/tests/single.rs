//! What single resources cost, on estates and bills whose shares are worked out by hand.

use jiff::civil::Date;
use proptest::prelude::*;

use super::*;
use crate::{
    fixes::plan::Step,
    money::{Amount, Charges, Days, Metric, Pool, SingleCosts},
};

pub(super) const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
const S3: &str = "Amazon Simple Storage Service";

const NOVEMBER: Days = Days { first: Date::constant(2025, 11, 1), end: Date::constant(2025, 12, 1) };

pub(super) fn usd(text: &str) -> Amount {
    text.parse().unwrap()
}

pub(super) fn pool(resource_type: &str, driver: &str, amount: &str, units: i64) -> Pool {
    Pool {
        resource_type: resource_type.parse().unwrap(),
        account: account().id.to_string(),
        region: "eu-west-1".to_owned(),
        driver: driver.to_owned(),
        amount: usd(amount),
        units: units * 1_000_000,
    }
}

/// A bill that names two instances and a bucket, and has a pool of volumes.
pub(super) fn costs(days: Days) -> SingleCosts {
    let named = |service: &str, id: &str, amount| (service.to_owned(), id.to_owned(), usd(amount));
    SingleCosts {
        days,
        payer: account().id.to_string(),
        currency: "USD".to_owned(),
        pools: vec![pool("ec2:volume", "gp3", "8", 100)],
        charges: Some(Charges {
            window: Days { first: Date::constant(2025, 12, 20), end: Date::constant(2026, 1, 3) },
            services: vec![(EC2.to_owned(), usd("50")), ("AWS Lambda".to_owned(), usd("1"))],
            resources: vec![
                named(EC2, "i-1", "30"),
                named(EC2, "i-gone", "10"),
                named("AWS Lambda", "arn:aws:s3:::b", "1"),
            ],
        }),
        problem: String::new(),
    }
}

pub(super) fn shared(pools: Vec<Pool>) -> SingleCosts {
    SingleCosts { pools, charges: None, problem: "not opted in".to_owned(), ..costs(NOVEMBER) }
}

pub(super) fn machine(id: &str, tags: &[(&str, &str)], quantity: u32) -> Resource {
    Resource { usage: Some(Usage { driver: "m5.large".to_owned(), quantity }), ..instance(id, tags) }
}

/// A bill by which each of four machines costs a hundred dollars.
pub(super) fn costly() -> Harvest {
    harvest(shared(vec![pool("ec2:instance", "m5.large", "400", 720)]), &[(EC2, "400")])
}

pub(super) fn harvest(singles: SingleCosts, charges: &[(&str, &str)]) -> Harvest {
    let line = |(service, amount): &(&str, &str)| BillLine {
        day: Date::constant(2025, 11, 9),
        part: BillPart::Charges,
        a: (*service).to_owned(),
        b: "Usage".to_owned(),
        currency: "USD".to_owned(),
        amount: usd(amount),
    };
    let month = MonthBill {
        asked_at: Timestamp::UNIX_EPOCH,
        days: NOVEMBER,
        open_from: None,
        metric: Metric::NetAmortized,
        payer: account().id.to_string(),
        terms: "t".to_owned(),
        requests: 1,
        lines: charges.iter().map(line).collect(),
    };
    Harvest { months: vec![month], singles: Some(singles), ..Harvest::default() }
}

/// Every lacking resource with its cost, in the order of costs.
fn told(book: &Book) -> Vec<(String, Option<String>)> {
    let page = book.reader().read(|view| {
        let newest = view.newest()?.unwrap();
        view.lacking_by_cost(&newest, &Filter::default(), Narrowing::default(), PageStart::FIRST, 50)
    });
    let rows = page.unwrap().unwrap().rows.into_iter();
    rows.map(|row| (row.arn.resource().to_owned(), row.cost.map(|cost| cost.monthly.to_string()))).collect()
}

fn cost(resource: &str, amount: &str) -> (String, Option<String>) {
    (resource.to_owned(), Some(amount.to_owned()))
}

#[test]
fn a_pool_is_shared_by_what_was_billed_so_that_what_is_gone_is_put_on_nobody() {
    let mut book = Book::new();
    // 2,000 hours were billed in a month of 720: of machines that are gone too.
    let pools = vec![pool("ec2:instance", "m5.large", "200", 2_000)];
    let found = whole(vec![machine("1", BARE, 1), machine("2", BARE, 0), machine("3", GOOD, 1)]);
    book.write(&[(instances(), found)], |night| night.bill(&harvest(shared(pools), &[(EC2, "200")])));
    assert_eq!(told(&book), [cost("instance/i-1", "72.00"), cost("instance/i-2", "0.00")]);
}

#[test]
fn a_pool_that_has_grown_is_shared_by_all_there_are_so_that_no_more_is_told_than_was_billed() {
    let mut book = Book::new();
    let pools = vec![pool("ec2:instance", "m5.large", "200", 720)];
    let found = (0..4).map(|n| machine(&n.to_string(), BARE, 1)).collect();
    book.write(&[(instances(), whole(found))], |night| night.bill(&harvest(shared(pools), &[(EC2, "200")])));
    assert!(told(&book).iter().all(|(_, cost)| cost.as_deref() == Some("50.00")), "{:?}", told(&book));
    // One more comes the next night, without the bill being asked again.
    let found = (0..5).map(|n| machine(&n.to_string(), BARE, 1)).collect();
    book.night(&[(instances(), whole(found))]);
    assert!(told(&book).iter().all(|(_, cost)| cost.as_deref() == Some("40.00")), "{:?}", told(&book));
}

#[test]
fn a_night_that_is_committed_amid_a_question_changes_neither_half_of_its_answer() {
    let mut book = Book::new();
    let estate = |tags: &'static [(&str, &str)]| whole((0..40).map(|n| machine(&n.to_string(), tags, 1)).collect());
    let pools = vec![pool("ec2:instance", "m5.large", "400", 720)];
    book.write(&[(instances(), estate(BARE))], |night| night.bill(&harvest(shared(pools), &[(EC2, "400")])));
    let reader = book.reader();
    let asked = |view: &View<'_>| {
        let night = view.snapshot(1)?.unwrap();
        let policy = view.policy(&night)?;
        let to_fix = view.to_fix(&night, &Filter::default(), usize::MAX)?;
        let draft = view.rejudge(&night, &Filter::default(), &policy, 100)?;
        Ok((to_fix, draft.scopes, draft.reasons))
    };
    // Another reader, for this one is not to remember anything.
    let before = book.reader().read(asked).unwrap();
    let amid = reader
        .read(|view| {
            // This one sees nothing of what comes now; in what comes, ended versions have no costs.
            assert_eq!(view.newest()?.unwrap().id, 1);
            book.night(&[(instances(), estate(GOOD))]);
            asked(view)
        })
        .unwrap();
    assert_eq!(before, amid);
    let standing = amid.0.standing;
    assert_eq!((standing.non_compliant, standing.non_compliant_cost), (40, usd("400")));
    assert_eq!(amid.0.steps, [Step { changes: 2, cost: Some(usd("10")), resources: 40 }]);
}

#[test]
fn volumes_share_by_their_size_and_a_type_of_which_the_bill_says_nothing_costs_nothing_known() {
    let mut book = Book::new();
    let volume = |id: &str, driver: &str, quantity| Resource {
        arn: format!("arn:aws:ec2:eu-west-1:111122223333:volume/vol-{id}").parse().unwrap(),
        usage: Some(Usage { driver: driver.to_owned(), quantity }),
        ..instance(id, BARE)
    };
    let found = whole(vec![volume("1", "gp3", 30), volume("2", "gp3", 10), volume("3", "io2", 10)]);
    book.policy = Policy::parse(&POLICY.replace("\"s3:bucket\"]", "\"ec2:volume\"]")).unwrap();
    let pools = vec![pool("ec2:volume", "gp3", "10", 50)];
    let bill = harvest(shared(pools), &[("EC2 - Other", "12")]);
    book.write(&[(scope("eu-west-1", "ec2:volume"), found)], |night| night.bill(&bill));
    let unknown = ("volume/vol-3".to_owned(), None);
    assert_eq!(told(&book), [cost("volume/vol-1", "6.00"), cost("volume/vol-2", "2.00"), unknown]);
}

#[test]
fn a_resource_that_the_bill_names_has_the_part_of_the_month_that_it_had_of_the_last_days() {
    let mut book = Book::new();
    let buckets = scope("eu-west-1", "s3:bucket");
    let mut singles = costs(NOVEMBER);
    let charges = singles.charges.as_mut().unwrap();
    charges.services.push((S3.to_owned(), usd("4")));
    charges.resources.push((S3.to_owned(), "photos".to_owned(), usd("1")));
    singles.pools.push(pool("ec2:instance", "m5.large", "999", 10));
    let found = [
        (instances(), whole(vec![machine("1", BARE, 1), machine("2", BARE, 0), machine("3", BARE, 1)])),
        (buckets, whole(vec![bucket("photos", tagged(BARE))])),
    ];
    book.write(&found, |night| night.bill(&harvest(singles, &[(EC2, "100"), (S3, "10")])));
    // 30 of 50 were the first one's; what names no resource is nobody's; one is not named, so its cost is not known, and
    // another one is stopped.
    let expected = [
        cost("instance/i-1", "60.00"),
        cost("photos", "2.50"),
        cost("instance/i-2", "0.00"),
        ("instance/i-3".to_owned(), None),
    ];
    assert_eq!(told(&book), expected);
    let sums = |least: &str| {
        let what = Narrowing { least_cost: Some(usd(least)), created_until: None };
        book.reader().read(|view| view.lacking_sums(&view.newest()?.unwrap(), &Filter::default(), what)).unwrap()
    };
    assert_eq!((sums("2.5").untagged, sums("2.5").cost), (2, usd("62.50")));
    assert_eq!(sums("2.51").untagged, 1);
}

#[test]
fn what_living_resources_cost_is_told_by_the_tags_of_now_and_what_was_put_right_since_the_month() {
    let mut book = Book::new();
    book.nights = -40; // in November
    let misspelt = &[("owner", "a@b.example"), ("Environment", "production")];
    let pools = vec![pool("ec2:instance", "m5.large", "500", 3_600)];
    let (then, now) = ([BARE, BARE, GOOD, GOOD, GOOD], [GOOD, BARE, GOOD, misspelt, BARE]);
    let estate = |tags: [&[(&str, &str)]; 5]| whole((0..5).map(|n| machine(&n.to_string(), tags[n], 1)).collect());
    book.policy = Policy::parse(
        &POLICY.replace("\"required_tags\"", "\"tag_naming_rules\": {\"case_sensitivity\": false}, \"required_tags\""),
    )
    .unwrap();
    book.night(&[(instances(), estate(then))]);
    book.nights = 4; // in January
    book.write(&[(instances(), estate(now))], |night| night.bill(&harvest(shared(pools), &[(EC2, "500")])));
    let (live, turned) = book.reader().read(|view| view.live_spend(&view.newest()?.unwrap())).unwrap();
    let spend = LiveSpend { attributable: usd("200"), unattributable: usd("300"), not_judged: usd("0") };
    assert_eq!(live, [ScopeSpend { scope: instances(), spend }], "a key that a bill does not know is none");
    let turned = turned.unwrap();
    assert_eq!((turned.fixed, turned.spoilt), (vec![(instances(), usd("100"))], vec![(instances(), usd("200"))]));
}

#[test]
fn what_is_taken_back_makes_no_resource_dearer_than_the_bill() {
    let mut book = Book::new();
    let mut singles = costs(NOVEMBER);
    let named = |id: &str, amount| (EC2.to_owned(), id.to_owned(), usd(amount));
    let charges = singles.charges.as_mut().unwrap();
    charges.services = vec![(EC2.to_owned(), usd("20"))];
    charges.resources = vec![named("i-1", "30"), named("i-2", "30"), named("i-3", "-40")];
    let found = ["1", "2", "3"].map(|id| machine(id, BARE, 1)).to_vec();
    book.write(&[(instances(), whole(found))], |night| night.bill(&harvest(singles, &[(EC2, "100")])));
    let expected = [cost("instance/i-2", "50.00"), cost("instance/i-1", "50.00"), cost("instance/i-3", "0.00")];
    let mut told = told(&book);
    told.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.clone()));
    assert_eq!(
        told.iter().map(|(_, cost)| cost).collect::<Vec<_>>(),
        expected.iter().map(|(_, cost)| cost).collect::<Vec<_>>()
    );
}

#[test]
fn a_service_of_which_the_bill_names_nothing_is_shared_as_before() {
    let mut book = Book::new();
    let mut singles = costs(NOVEMBER);
    let charges = singles.charges.as_mut().unwrap();
    charges.services = vec![(EC2.to_owned(), usd("50")), (S3.to_owned(), usd("1"))];
    charges.resources = vec![(S3.to_owned(), "photos".to_owned(), usd("1"))];
    singles.pools = vec![pool("ec2:instance", "m5.large", "72", 720)];
    let bill = harvest(singles, &[(EC2, "100"), (S3, "10")]);
    book.write(&[(instances(), whole(vec![machine("1", BARE, 1)]))], |night| night.bill(&bill));
    assert_eq!(told(&book), [cost("instance/i-1", "72.00")]);
}

/// A machine or volume: which driver, how much of it, and how it is tagged.
fn any_resource() -> impl Strategy<Value = (usize, u32, usize)> {
    (0_usize..3, 0_u32..60, 0_usize..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_pool_gives_more_than_was_billed_and_no_resource_is_counted_twice_whatever_its_findings(
        resources in prop::collection::vec(any_resource(), 1..40),
        pools in prop::array::uniform3((1_i64..5_000_000_000, 0_i64..40_000)),
        named in any::<bool>(),
    ) {
        let mut book = Book::new();
        let driver = |n: usize| format!("m{n}.large");
        let found = resources.iter().enumerate().map(|(n, (of, quantity, tags))| Resource {
            usage: Some(Usage { driver: driver(*of), quantity: *quantity }),
            ..instance(&format!("{n:x}"), [GOOD, SHORT, BARE, OWNERLESS][*tags])
        });
        let pools: Vec<Pool> = pools.iter().enumerate().map(|(of, (micros, units))| Pool {
            amount: Amount::from_micros(*micros),
            ..pool("ec2:instance", &driver(of), "1", *units)
        }).collect();
        let billed: Amount = pools.iter().map(|pool| pool.amount).sum();
        let charges = named.then(|| Charges {
            // Less than what is named: something was taken back.
            services: vec![(EC2.to_owned(), usd("3"))],
            resources: (0..5).map(|n| (EC2.to_owned(), format!("i-{n:x}"), usd("1.4"))).collect(),
            ..costs(NOVEMBER).charges.unwrap()
        });
        let total = format!("{}.{:06}", billed.micros() / 1_000_000, billed.micros() % 1_000_000);
        let bill = harvest(SingleCosts { charges, ..shared(pools) }, &[(EC2, &total)]);
        book.write(&[(instances(), whole(found.collect()))], |night| night.bill(&bill));
        let (live, sums, rows) = book.reader().read(|view| {
            let newest = view.newest()?.unwrap();
            let sums = view.lacking_sums(&newest, &Filter::default(), Narrowing::default())?;
            let rows = view.lacking_by_cost(&newest, &Filter::default(), Narrowing::default(), PageStart::FIRST, 99)?;
            Ok((view.live_spend(&newest)?.0, sums, rows.unwrap().rows))
        }).unwrap();
        let parts = |spend: &LiveSpend| spend.attributable + spend.unattributable + spend.not_judged;
        let all: Amount = live.iter().map(|scope| parts(&scope.spend)).sum();
        prop_assert!(all <= billed, "{all:?} of {billed:?}");
        let lacking = resources.iter().filter(|(_, _, tags)| *tags >= 2).count();
        prop_assert_eq!(rows.len(), lacking);
        prop_assert_eq!(rows.iter().filter_map(|row| row.cost).map(|cost| cost.monthly).sum::<Amount>(), sums.cost);
        prop_assert!(sums.cost <= billed);
    }
}
