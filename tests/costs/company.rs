//! A company with a known bill.

use fake_aws::{AccountEstate, Billing, Counts, Estate, ExtraLine, Recipe};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use crate::support::fake_estate::{FakeEstate, HOME, MEMBER};

pub(crate) const KEYS: [&str; 4] = ["CostCenter", "Owner", "Environment", "Application"];
const COST: (&str, &str) = ("CostCenter", "Engineering");
const OWNER: (&str, &str) = ("Owner", "payments@example.com");
const ENVIRONMENT: (&str, &str) = ("Environment", "production");
const APPLICATION: (&str, &str) = ("Application", "shop");

pub(crate) type Tags = Vec<(&'static str, &'static str)>;

/// Ways to tag, each with the keys that a bill does not find on it, or finds with a value that the sample policy forbids.
pub(crate) fn ways() -> Vec<(Tags, Vec<&'static str>)> {
    vec![
        (vec![COST, OWNER, ENVIRONMENT, APPLICATION], vec![]),
        (vec![], KEYS.to_vec()),
        (vec![OWNER, ENVIRONMENT, APPLICATION], vec!["CostCenter"]),
        // Compliant on the resource, for the policy forgives letter case; another key on the bill.
        (vec![("costcenter", "Engineering"), OWNER, ENVIRONMENT, APPLICATION], vec!["CostCenter"]),
        (vec![COST, OWNER, ("Environment", "prod"), APPLICATION], vec!["Environment"]),
        (vec![COST, ("Owner", "tbd"), ENVIRONMENT, APPLICATION], vec!["Owner"]),
        (vec![COST, ("Owner", ""), ENVIRONMENT, APPLICATION], vec!["Owner"]),
    ]
}

/// The keys that the use of a service must carry by the sample policy, written by hand.
pub(crate) fn required(service: &str) -> &'static [&'static str] {
    match service {
        "Amazon Elastic Compute Cloud - Compute" | "Amazon Relational Database Service" => &KEYS,
        "Amazon Simple Storage Service" => &["CostCenter", "Owner", "Application"],
        "AWS Lambda" => &["CostCenter", "Environment", "Application"],
        "Amazon Elastic Container Service" => &["Environment"],
        _ => &[],
    }
}

fn extra(service: &str, record_type: &str, account: &str, currency: &str, nano: i64) -> ExtraLine {
    let owned = str::to_owned;
    let (service, record_type) = (owned(service), owned(record_type));
    ExtraLine {
        service,
        record_type,
        account: owned(account),
        region: owned("NoRegion"),
        currency: owned(currency),
        nano,
    }
}

pub(crate) fn today() -> Date {
    #[expect(clippy::disallowed_methods, reason = "the built binary asks for months up to this day")]
    let now = Timestamp::now();
    TimeZone::UTC.to_datetime(now).date()
}

pub(crate) fn last_month() -> (Date, Date, i64) {
    let end = today().first_of_month();
    let first = end.saturating_sub(1.month());
    (first, end.saturating_sub(1.day()), i64::from((end - first).get_days()))
}

pub(crate) fn company(page: usize) -> FakeEstate {
    let account = |id: &str, n: usize| {
        AccountEstate::new(id).with_region("eu-west-1", Counts::each(n)).with_region("us-east-1", Counts::each(n + 9))
    };
    let mut estate = Estate::new(HOME).with_account(account(HOME, 14)).with_account(account(MEMBER, 23));
    for (tags, _) in ways() {
        estate = estate.with_recipe(Recipe::of(&tags));
    }
    estate.billing = Billing {
        activated: KEYS.map(str::to_owned).to_vec(),
        inactive: vec!["costcenter".to_owned()],
        extra: vec![
            extra("Tax", "Tax", HOME, "USD", 12_345_678_901),
            extra("AWS Support (Business)", "Usage", HOME, "USD", 3_000_000_007),
            extra("Datadog Pro", "Usage", MEMBER, "USD", 41_000_000_000),
            extra("AWS Data Transfer", "Usage", MEMBER, "USD", 777_777_777),
            extra("Amazon DynamoDB", "Usage", MEMBER, "USD", 5_555_555_555),
            extra("Amazon Elastic Compute Cloud - Compute", "SavingsPlanRecurringFee", HOME, "USD", 310_000_001),
            // More than all that is untagged.
            extra("Amazon Elastic Compute Cloud - Compute", "Credit", HOME, "USD", -400_000_000_003),
            extra("Amazon Relational Database Service", "Refund", MEMBER, "USD", -35_000_000),
            extra("Amazon Elastic Compute Cloud - Compute", "Usage", MEMBER, "CNY", 9_000_000_000),
        ],
        page,
        open_from: Some(today().first_of_month()),
        net: true,
        resources_from: None,
    };
    FakeEstate::holding(estate)
}
