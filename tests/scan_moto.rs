//! A scan of moto server by the built binary. The ledger has the resources that moto lists.

#![cfg(test)]

mod support;

use fake_aws::{AccountEstate, Counts, Estate, FakeAws, Faults};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use support::{
    binary::{run, sample_policy, scan_command, temp_folder},
    compare::assert_same,
    fake_estate::MEMBER,
    ledger::{Gaps, Ledger},
    mcp_stdio::ask,
    moto::{MOTO_HOME, Moto, expected, script},
    recipes::{tagged, ways_of_moto},
};

const REGIONS: [&str; 3] = ["ap-southeast-2", "eu-west-1", "us-east-1"];

/// Two accounts in three regions, with nothing that moto cannot hold.
fn estate(counts: Counts) -> Estate {
    let account =
        |id| REGIONS.iter().fold(AccountEstate::new(id), |account, region| account.with_region(region, counts));
    let mut estate = Estate::new(MOTO_HOME).with_account(account(MOTO_HOME)).with_account(account(MEMBER));
    estate.traps = Estate::contract().traps;
    tagged(estate, &ways_of_moto())
}

/// Every resource that moto lists is recorded with its tags and its verdict, and there are no gaps.
#[test]
fn moto_resources_are_recorded_and_evaluated() {
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
    let (estate, moto, folder) = (estate(counts), Moto::start(), temp_folder());
    let listing = moto.seed(&estate);
    assert_eq!(listing.len(), estate.total(), "moto holds the estate");
    let store = folder.path().join("ledger.sqlite");
    let mut command = scan_command(folder.path(), &moto.endpoint, &store, &sample_policy());
    run(command.args(["--accounts", MEMBER, "--regions", &REGIONS.join(",")])).exits(0);
    let ledger = Ledger::at(&store);
    ledger.holds(&expected(&estate, &ways_of_moto(), &listing, &ledger.records()));
    assert_same("gaps", &ledger.gaps(), &Gaps::new());
}

/// The fake AWS gives the same answers as moto to the calls of the contract script.
#[test]
fn fake_aws_answers_like_moto() {
    let estate = estate(Counts { clusters: 2, ..Counts::each(15) });
    let moto = Moto::start();
    moto.seed(&estate);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fake = runtime.block_on(FakeAws::start(estate.clone(), Faults::none())).unwrap();
    script("contract.py", &[&fake.endpoint(), &moto.endpoint], &estate).exits(0);
}

/// One day's result of Cost Explorer: groups with their keys and amounts.
fn day(date: &str, groups: &[(&[&str], &str)]) -> Value {
    let group = |(keys, amount): &(&[&str], &str)| {
        json!({"Keys": keys, "Metrics": {"NetAmortizedCost": {"Amount": amount, "Unit": "USD"},
            "AmortizedCost": {"Amount": "999", "Unit": "USD"}}})
    };
    let groups: Vec<Value> = groups.iter().map(group).collect();
    let end: Date = date.parse().unwrap();
    let end = end.saturating_add(1.day()).to_string();
    json!({"TimePeriod": {"Start": date, "End": end}, "Total": {}, "Groups": groups, "Estimated": false})
}

/// The figures of `get_cost_attribution_gap` equal those computed by hand from the Cost Explorer answers of moto, over
/// two pages and several queries.
#[test]
fn cost_explorer_answers_of_moto_are_reported() {
    const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
    const S3: &str = "Amazon Simple Storage Service";
    #[expect(clippy::disallowed_methods, reason = "the built binary asks for the month of this day")]
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
    let billed = today.saturating_sub(1.day());
    let (first, second) = (billed.first_of_month().to_string(), billed.to_string());
    let answer =
        |days: &[Value]| json!({"ResultsByTime": days, "GroupDefinitions": [], "DimensionValueAttributes": []});
    let mut charges =
        answer(&[day(&first, &[(&[EC2, "Usage"], "100.10"), (&[S3, "Usage"], "9.905"), (&["Tax", "Tax"], "20")])]);
    charges["NextPageToken"] = json!("more");
    // In the order in which they are asked for, with two pages of the first.
    let results = [
        charges,
        answer(&[day(&second, &[(&[EC2, "Usage"], "0.90"), (&[EC2, "Credit"], "-50")])]),
        // By the services that must carry them: Environment, then CostCenter with Owner, then Application.
        answer(&[day(&first, &[(&["Environment$prod"], "101")])]),
        answer(&[day(
            &first,
            &[(&["CostCenter$", "Owner$a@example.com"], "100.10"), (&["CostCenter$", "Owner$"], "10.805")],
        )]),
        answer(&[day(&first, &[(&["Application$shop"], "110.905")])]),
        answer(&[day(&first, &[(&["us-east-1", MOTO_HOME], "110.905")])]),
        answer(&[day(&first, &[(&[EC2, MOTO_HOME], "61.10"), (&[S3, MOTO_HOME], "9.905")])]),
        answer(&[day(&first, &[(&["us-east-1", MOTO_HOME], "71.005")])]),
    ];
    let (moto, folder) = (Moto::start(), temp_folder());
    moto.post("/moto-api/static/ce/cost-and-usage-results", &json!({"account_id": MOTO_HOME, "results": results}));
    let store = folder.path().join("ledger.sqlite");
    let mut command = scan_command(folder.path(), &moto.endpoint, &store, &sample_policy());
    // The budget is one month's; moto does not serve the list of cost allocation tags.
    command.args(["--regions", "us-east-1", "--types", "s3:bucket"]);
    run(command.env("TAGLEDGER_COST_REQUEST_BUDGET", "9").env("AWS_MAX_ATTEMPTS", "1")).exits(0);
    let period = json!({"start": first, "end": second});
    let result = ask(&store, "get_cost_attribution_gap", &json!({"time_period": period})).unwrap();
    let figures = ["total_cloud_spend", "taggable_spend", "attributable_spend", "attribution_gap"]
        .map(|name| result[name].as_f64().unwrap());
    // 100.10 + 9.905 + 20 + 0.90 - 50; 100.10 + 9.905 + 0.90; what of it is no gap; 61.10 + 9.905.
    assert_eq!(figures, [80.91, 110.91, 39.9, 71.01]);
    let categories: Vec<_> =
        result["breakdown"].as_array().unwrap().iter().map(|row| row["category"].as_str().unwrap()).collect();
    assert_eq!(categories, ["ec2:instance", "s3:bucket"]);
    let by_tag = result["by_tag"].to_string();
    assert!(by_tag.contains(r#""missing_spend":110.9"#), "{by_tag}");
}
