//! Costs of individual resources, read from the built binary after scans of a fake cloud with known prices. The
//! expected shares of the bill are computed here from the estate.

#![cfg(test)]

#[path = "costs/company.rs"]
mod company;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use company::{company, last_month, required, today, ways};
use fake_aws::{Effect, Faults, Rule, daily_nano, service_of};
use jiff::ToSpan;
use serde_json::{Value, json};
use support::{
    fake_estate::{FakeEstate, MEMBER},
    mcp_stdio::ask,
};

const FINDING: &str = "find_untagged_resources";
const GAP: &str = "get_cost_attribution_gap";

/// Groups on a page of Cost Explorer: single resources take several.
const PAGE: usize = 500;

/// One instance in so many is stopped.
const STOPPED_EVERY: usize = 5;

fn world(names_resources: bool) -> FakeEstate {
    let mut estate = company(PAGE).fake.estate().clone();
    estate.traps.stopped_every = STOPPED_EVERY;
    // DocumentDB and Neptune have services of their own on a real bill.
    estate.traps.db_engines = vec!["postgres".to_owned()];
    estate.billing.resources_from = names_resources.then(|| today().saturating_sub(14.days()));
    let world = FakeEstate::holding(estate);
    world.scan_with(&["--accounts", MEMBER], &[("TAGLEDGER_COST_REQUEST_BUDGET", "60")]).exits(0);
    world
}

/// One resource as it is.
struct Truth {
    resource_type: &'static str,
    region: String,
    /// Thousand-millionths of a dollar in the last month.
    nano: i64,
    /// The keys that a bill does not find on it.
    wrong: bool,
    /// Required keys that are not on the resource itself, in whatever letter case.
    missing: Vec<&'static str>,
    /// Listed as lacking tags.
    lacks: bool,
}

/// Every resource by its ARN.
fn truth(world: &FakeEstate) -> BTreeMap<String, Truth> {
    let (.., days) = last_month();
    let (mut truth, mut seen) = (BTreeMap::new(), BTreeMap::new());
    for resource in world.fake.estate().resources() {
        let place = (resource.account.clone(), resource.region.clone(), resource.resource_type);
        let index = seen.entry(place).or_insert(0);
        let stopped = resource.resource_type == "ec2:instance" && *index % STOPPED_EVERY == STOPPED_EVERY - 1;
        let nano = if stopped { 0 } else { daily_nano(resource.resource_type, *index) * days };
        *index += 1;
        let keys: Vec<&'static str> = match resource.resource_type {
            "rds:cluster" | "ecs:cluster" => Vec::new(),
            other => required(service_of(other)).to_vec(),
        };
        let (tags, invalid) = &ways()[resource.recipe];
        let has = |key: &str| tags.iter().any(|(tag, _)| tag.eq_ignore_ascii_case(key));
        let missing: Vec<&str> = keys.iter().copied().filter(|key| !has(key)).collect();
        let truth_of = Truth {
            resource_type: resource.resource_type,
            region: resource.region,
            nano,
            wrong: keys.iter().any(|key| invalid.contains(key)),
            lacks: tags.is_empty() || !missing.is_empty(),
            missing,
        };
        truth.insert(resource.arn, truth_of);
    }
    truth
}

/// All pages of a list.
fn pages(world: &FakeEstate, mut arguments: Value) -> (Value, Vec<Value>) {
    let (mut first, mut rows) = (Value::Null, Vec::new());
    arguments["limit"] = json!(40);
    for _ in 0..50 {
        let answer = ask(&world.store(), FINDING, &arguments).unwrap();
        rows.extend(answer["untagged_resources"].as_array().unwrap().iter().cloned());
        if first.is_null() {
            first = answer.clone();
        }
        match answer["next_cursor"].as_str() {
            Some(cursor) => arguments["cursor"] = json!(cursor),
            None => return (first, rows),
        }
    }
    panic!("the pages have no end");
}

/// To the cent, and one more for what is rounded down.
#[track_caller]
fn same(what: &str, answer: &Value, nano: i64) {
    let (answer, expected) = (answer.as_f64().unwrap_or_else(|| panic!("{what}: {answer}")), nano as f64 / 1e9);
    assert!((answer - expected).abs() < 0.011, "{what}: {answer} was told, {expected} is right");
}

/// Checks every row that lacks tags against the truth; which types have costs, each by which source.
fn check_rows(world: &FakeEstate, sources: &BTreeMap<&str, &str>) {
    let truth = truth(world);
    let (answer, rows) = pages(world, json!({}));
    assert_eq!(answer["sorted_by"], "cost");
    let lacking: BTreeSet<&String> = truth.iter().filter(|(_, truth)| truth.lacks).map(|(arn, _)| arn).collect();
    let result: BTreeSet<String> = rows.iter().map(|row| row["resource_arn"].as_str().unwrap().to_owned()).collect();
    assert_eq!((result.len(), result.iter().collect::<BTreeSet<_>>()), (rows.len(), lacking));
    let (mut sum, mut known) = (0, 0);
    for row in &rows {
        let arn = row["resource_arn"].as_str().unwrap();
        let truth = &truth[arn];
        match sources.get(truth.resource_type) {
            Some(source) => {
                same(arn, &row["monthly_cost"], truth.nano);
                let stopped = truth.nano == 0;
                assert!(row["cost_source"] == *source || stopped, "{row}");
                (sum, known) = (sum + truth.nano, known + 1);
            }
            None => assert!(row["monthly_cost"].is_null() && row.get("cost_source").is_none(), "{row}"),
        }
    }
    same("total_cost_impact", &answer["total_cost_impact"], sum);
    assert_eq!(answer["totals"]["with_known_cost"], known);
    let cost = |row: &Value| row["monthly_cost"].as_f64().unwrap_or(-1.0);
    assert!(rows.is_sorted_by(|a, b| cost(a) >= cost(b)), "those that cost most come first");
}

/// If the bill has no resource IDs, a resource costs its share of the billed hours or gigabytes of its type. Other
/// types have no cost, and a note says so.
#[test]
fn unnamed_resources_get_share_of_billed_cost() {
    let world = world(false);
    let hours = "share_of_instance_hours";
    let sources = [("ec2:instance", hours), ("rds:db", hours), ("ec2:volume", "share_of_volume_size")];
    check_rows(&world, &sources.into());
    let notes = ask(&world.store(), FINDING, &json!({})).unwrap()["notes"].to_string();
    assert!(notes.contains("has no charges of individual resources") && notes.contains("not enabled"), "{notes}");
    assert!(notes.contains("Null for ecs:cluster, ecs:service, lambda:function, rds:cluster, s3:bucket"), "{notes}");
}

/// If the bill has resource IDs, a resource costs the amount that the bill names.
#[test]
fn named_resources_get_their_billed_cost() {
    let world = world(true);
    let named = ["ec2:instance", "ec2:volume", "lambda:function", "rds:db", "s3:bucket"];
    check_rows(&world, &named.map(|name| (name, "resource_charges")).into());
}

/// `min_cost_threshold` returns exactly the resources with missing tags that are known to cost at least that much, with
/// their total. It cannot be combined with another order than cost.
#[test]
fn cost_threshold_selects_costly_resources() {
    let world = world(true);
    let truth = truth(&world);
    for least in [0.5, 31.0, 45.0, 100_000.0] {
        let (answer, rows) = pages(&world, json!({"min_cost_threshold": least}));
        let costly = truth.values().filter(|truth| truth.lacks && truth.nano as f64 / 1e9 >= least);
        let expected =
            costly.filter(|truth| !truth.resource_type.starts_with("ecs") && truth.resource_type != "rds:cluster");
        let expected: Vec<i64> = expected.map(|truth| truth.nano).collect();
        let totals = &answer["totals"];
        assert_eq!(
            totals["no_tags"].as_u64().unwrap() + totals["missing_required_tags"].as_u64().unwrap(),
            expected.len() as u64
        );
        assert_eq!(rows.len(), expected.len(), "{least}");
        match expected.as_slice() {
            [] => assert!(answer["total_cost_impact"].is_null()),
            some => same("total", &answer["total_cost_impact"], some.iter().sum()),
        }
    }
    let refused =
        ask(&world.store(), FINDING, &json!({"min_cost_threshold": 1, "sort_by": "missing_tags"})).unwrap_err();
    assert!(refused.contains("sort_by"), "{refused}");
    let by_tags = ask(&world.store(), FINDING, &json!({"sort_by": "missing_tags"})).unwrap();
    assert_eq!(
        (&by_tags["sorted_by"], &by_tags["untagged_resources"][0]["kind"]),
        (&json!("missing_tags"), &json!("no_tags"))
    );
}

/// A resource has the same cost in `find_untagged_resources` and in `check_tag_compliance`, however many violations it
/// has.
#[test]
fn resource_cost_agrees_across_tools() {
    let world = world(true);
    let (_, rows) = pages(&world, json!({}));
    let costs: BTreeMap<&str, &Value> =
        rows.iter().map(|row| (row["resource_arn"].as_str().unwrap(), &row["monthly_cost"])).collect();
    let check = ask(&world.store(), "check_tag_compliance", &json!({"limit": 100})).unwrap();
    let mut both = 0;
    for violation in check["violations"].as_array().unwrap() {
        if let Some(cost) = costs.get(violation["resource_arn"].as_str().unwrap()) {
            assert_eq!(violation["cost_impact_monthly"], **cost, "{violation}");
            both += 1;
        }
    }
    assert!(both > 20, "{both}");
}

/// The gap by current tags equals the figures of the estate, in total and by region, and its parts add up to the
/// taggable spend. It is absent for earlier months.
#[test]
fn current_tags_gap_adds_up_to_taggable_spend() {
    for names_resources in [false, true] {
        let world = world(names_resources);
        let known: &[&str] = if names_resources {
            &["ec2:instance", "lambda:function", "rds:db", "s3:bucket"]
        } else {
            &["ec2:instance", "rds:db"]
        };
        let truth = truth(&world);
        let of = |invalid: bool| {
            let known = truth.values().filter(|truth| known.contains(&truth.resource_type) && truth.wrong == invalid);
            known.map(|truth| truth.nano).sum::<i64>()
        };
        let answer = ask(&world.store(), GAP, &json!({"grouping": "by_region"})).unwrap();
        let live = &answer["live_gap"];
        same("attributable", &live["attributable_spend"], of(false));
        same("gap", &live["attribution_gap"], of(true));
        let parts = ["attributable_spend", "attribution_gap", "not_judged_spend"];
        let sum: f64 = parts.iter().map(|part| live[part].as_f64().unwrap()).sum();
        assert!((sum - answer["taggable_spend"].as_f64().unwrap()).abs() < 0.001, "{answer}");
        assert!(live["not_judged_spend"].as_f64().unwrap() >= 0.0, "{answer}");
        assert!(live["fixed_shows_in_next_bill"].is_null(), "the ledger is younger than the month: {answer}");
        for row in answer["breakdown"].as_array().unwrap() {
            let here = truth.values().filter(|truth| row["category"] == truth.region && truth.wrong);
            let here = here.filter(|truth| known.contains(&truth.resource_type)).map(|truth| truth.nano).sum();
            same("of a region", &row["live_unattributable_cost"], here);
        }
        let other = last_month().0.saturating_sub(1.month());
        let period = json!({"start": other.to_string(), "end": other.last_of_month().to_string()});
        let earlier = ask(&world.store(), GAP, &json!({"time_period": period}));
        assert!(earlier.map_or(true, |answer| answer.get("live_gap").is_none()), "of other months it is not known");
    }
}

/// The costs of the resources of a type add up to at most the billed amount of its service.
#[test]
fn resource_costs_never_exceed_service_bill() {
    for names_resources in [false, true] {
        let world = world(names_resources);
        let answer = ask(&world.store(), GAP, &json!({})).unwrap();
        let mut all = BTreeMap::<String, f64>::new();
        for row in pages(&world, json!({})).1 {
            let kind = row["resource_type"].as_str().unwrap().to_owned();
            *all.entry(kind).or_default() += row["monthly_cost"].as_f64().unwrap_or_default();
        }
        for row in answer["breakdown"].as_array().unwrap() {
            let of_resources = all.get(row["category"].as_str().unwrap()).copied().unwrap_or_default();
            assert!(of_resources <= row["taggable_cost"].as_f64().unwrap() + 0.01, "{row}: {of_resources}");
        }
    }
}

/// The costs of single resources take the expected number of pages. A second scan on the same day and the server
/// request none.
#[test]
fn resource_costs_are_read_once_a_day() {
    let world = world(true);
    let count = |operation: &str| world.fake.request_log().count("ce", operation);
    // Each resource and no more, in every month that the fourteen days are of.
    let months = if today().day() > 14 || today().day() == 1 { 1 } else { 2 };
    let kinds = truth(&world).len();
    let pages = count("GetCostAndUsageWithResources");
    assert!(pages >= 2 && pages <= (kinds * months).div_ceil(PAGE) + 1, "{pages} pages of {kinds} resources");
    world.fake.clear_request_log();
    world.scan_with(&["--accounts", MEMBER], &[("TAGLEDGER_COST_REQUEST_BUDGET", "400")]).exits(0);
    assert_eq!(count("GetCostAndUsageWithResources"), 0);
    for tool in [FINDING, GAP, "check_tag_compliance"] {
        ask(&world.store(), tool, &json!({})).unwrap();
    }
    assert_eq!(count("GetCostAndUsageWithResources"), 0, "the server asks nothing");
}

/// If costs of single resources are denied, the shares of the billed amount are used, and a note names the missing
/// permission.
#[test]
fn denied_resource_costs_fall_back_to_shares() {
    let estate = company(5_000).fake.estate().clone();
    let denied = Rule::new(Effect::Deny).service("ce").operation("GetCostAndUsageWithResources").every(1);
    let world = FakeEstate::holding(estate).failing(Faults::none().with(denied));
    world.scan_with(&["--accounts", MEMBER], &[("TAGLEDGER_COST_REQUEST_BUDGET", "60")]).exits(0);
    let answer = ask(&world.store(), FINDING, &json!({"resource_types": ["ec2:instance"]})).unwrap();
    assert_eq!(answer["untagged_resources"][0]["cost_source"], "share_of_instance_hours");
    assert!(answer["notes"].to_string().contains("ce:GetCostAndUsageWithResources"), "{answer}");
}

/// The report contains the score, the counts, the costs and the accounts that the other tools return. Its violation
/// counts and costs equal those of the estate.
#[test]
fn report_agrees_with_other_tools() {
    let world = world(true);
    let store = world.store();
    let report = ask(&store, "generate_compliance_report", &json!({})).unwrap();
    let check = ask(&store, "check_tag_compliance", &json!({})).unwrap();
    let gap = ask(&store, GAP, &json!({})).unwrap();
    assert_eq!(report["overall_compliance"], check["compliance_score"]);
    assert_eq!(report["summary"]["compliant"], check["compliant_resources"]);
    assert_eq!(report["summary"]["total_resources"], check["total_resources"]);
    assert_eq!(report["summary"]["cost_attribution_gap"], gap["attribution_gap"]);
    for field in ["total_cloud_spend", "attributable_spend", "attribution_gap", "time_period", "currency"] {
        assert_eq!(report["money"][field], gap[field], "{field}");
    }
    let parts = ["attributable_spend", "attribution_gap", "other_spend"];
    let sum: f64 = parts.iter().map(|part| report["money"][part].as_f64().unwrap()).sum();
    assert!((sum - report["money"]["total_cloud_spend"].as_f64().unwrap()).abs() < 0.001, "{report}");
    // By hand: what lacks a cost centre on the resource itself, whatever else it lacks.
    let truth = truth(&world);
    let bare = truth.values().filter(|one| one.missing.contains(&"CostCenter"));
    let (count, nano) = bare.fold((0, 0), |(count, nano), one| (count + 1, nano + one.nano));
    let row =
        report["top_violations"].as_array().unwrap().iter().find(|row| row["violation"] == "missing_costcenter_tag");
    let row = row.unwrap();
    assert_eq!(row["count"], count);
    same("cost of it", &row["cost_impact"], nano);
    let answer = check["by_rule"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["code"] == "MISSING" && rule["tag"] == "CostCenter");
    assert_eq!(answer.unwrap()["resources"], count);
    let accounts = report["worst_accounts"].as_array().unwrap();
    let by_account = ask(&store, GAP, &json!({"grouping": "by_account"})).unwrap();
    for row in by_account["breakdown"].as_array().unwrap() {
        let same = accounts.iter().find(|account| account["name"] == row["category"]).unwrap();
        assert_eq!(same["attribution_gap"], row["unattributable_cost"]);
        assert_eq!(same["non_compliant"], row["resource_count"]);
    }
    let first = &report["recommendation_details"][0];
    assert_eq!(first["group_key"], "Application", "all of one application have one cost centre: {first}");
}
