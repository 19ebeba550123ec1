//! The bill, read by the built binary from a fake Cost Explorer, and the answers on costs. The expected figures are
//! computed here from the estate.

#![cfg(test)]

#[path = "costs/attributed.rs"]
mod attributed;
#[path = "costs/company.rs"]
mod company;
mod support;

use std::collections::BTreeMap;

use attributed::truth;
use company::{KEYS, company, last_month, required, today, ways};
use fake_aws::{AccountEstate, Billing, Counts, Effect, Estate, Faults, Recipe, Rule, daily_nano, service_of};
use jiff::ToSpan;
use serde_json::{Value, json};
use support::{
    fake_estate::{FakeEstate, HOME, MEMBER},
    mcp_stdio::ask,
    redis::Redis,
};

const TOOL: &str = "get_cost_attribution_gap";

/// Requests that are enough for the running month and the one before, however many pages they have here.
const FEW_MONTHS: &str = "60";

fn scan(world: &FakeEstate, budget: &str) -> support::binary::Outcome {
    world.scan_with(&["--accounts", MEMBER], &[("TAGLEDGER_COST_REQUEST_BUDGET", budget)])
}

#[track_caller]
fn same(what: &str, answer: &Value, nano: i64) {
    let (answer, expected) = (answer.as_f64().unwrap_or_else(|| panic!("{what}: {answer}")), nano as f64 / 1e9);
    assert!((answer - expected).abs() < 0.011, "{what}: {answer} was told, {expected} is right");
}

/// A sum of amounts as they are told, in cents.
fn cents<'v>(amounts: impl Iterator<Item = &'v Value>) -> i64 {
    let cents = |amount: &Value| format!("{:.2}", amount.as_f64().expect("an amount")).replace('.', "").parse::<i64>();
    amounts.map(|amount| cents(amount).expect("cents")).sum()
}

/// The total, the taggable spend, the gap and each row of the breakdown equal the figures computed from the estate, and
/// the parts add up to the cent.
#[test]
fn gap_matches_estate_to_the_cent() {
    let world = company(150);
    scan(&world, FEW_MONTHS).exits(0);
    let (first, last, days) = last_month();
    for (by, grouping) in ["by_resource_type", "by_region", "by_account"].into_iter().enumerate() {
        let truth = truth(&world, by);
        let period = json!({"start": first.to_string(), "end": last.to_string()});
        let answer = ask(&world.store(), TOOL, &json!({"time_period": period, "grouping": grouping})).unwrap();
        same("total", &answer["total_cloud_spend"], truth.all * days);
        same("taggable", &answer["taggable_spend"], truth.required.values().sum::<i64>() * days);
        same("gap", &answer["attribution_gap"], truth.gap.values().sum::<i64>() * days);
        let breakdown = answer["breakdown"].as_array().unwrap();
        assert_eq!(breakdown.len(), truth.required.len(), "{answer}");
        for row in breakdown {
            let name = row["category"].as_str().unwrap();
            let of = |sums: &BTreeMap<String, i64>| sums.get(name).copied().unwrap_or_default() * days;
            same(name, &row["unattributable_cost"], of(&truth.gap));
            same(name, &row["taggable_cost"], of(&truth.required));
        }
        let gap = cents([&answer["attribution_gap"]].into_iter());
        assert_eq!(cents(breakdown.iter().map(|row| &row["unattributable_cost"])), gap);
        assert!(breakdown.is_sorted_by(|a, b| a["unattributable_cost"].as_f64() >= b["unattributable_cost"].as_f64()));
        let total = cents([&answer["total_cloud_spend"]].into_iter());
        assert_eq!(cents(answer["buckets"].as_array().unwrap().iter().map(|bucket| &bucket["amount"])), total);
        assert_eq!(
            cents([&answer["attributable_spend"], &answer["attribution_gap"]].into_iter()),
            cents([&answer["taggable_spend"]].into_iter())
        );
        assert!(answer["notes"].to_string().contains("CNY"), "{answer}");
        assert!(answer.get("estimated_from").is_none() && answer.get("fix_first").is_none(), "{answer}");
    }
}

/// A history that is filtered by type, region, account, finding or tag contains the spend of that part. A type and a
/// region together give no spend and a note.
#[test]
fn filtered_history_has_filtered_spend() {
    let world = company(5_000);
    scan(&world, FEW_MONTHS).exits(0);
    let (region, of_owner) = ("eu-west-1", |invalid: &[&str]| {
        let (mut nano, mut seen) = (0, BTreeMap::new());
        for resource in world.fake.estate().resources() {
            let place = (resource.account.clone(), resource.region.clone(), resource.resource_type);
            let index = seen.entry(place).or_insert(0);
            let daily = daily_nano(resource.resource_type, *index);
            *index += 1;
            let owner =
                ways()[resource.recipe].0.iter().find(|(key, _)| *key == "Owner").map_or("", |(_, value)| value);
            let must = required(service_of(resource.resource_type)).contains(&"Owner");
            nano += if must && (invalid.is_empty() || invalid.contains(&owner)) { daily } else { 0 };
        }
        nano
    });
    let both = |sums: [&BTreeMap<String, i64>; 2], name: &str| sums.map(|sums| sums[name]);
    let [types, regions, accounts] = [0, 1, 2].map(|by| truth(&world, by));
    let owner = of_owner(&[]);
    let cases = [
        (json!({"resource_types": ["ec2:instance"]}), both([&types.required, &types.gap], "ec2:instance")),
        (json!({"filters": {"region": region}}), both([&regions.required, &regions.gap], region)),
        (json!({"filters": {"account_id": MEMBER}}), both([&accounts.required, &accounts.gap], MEMBER)),
        (json!({"finding": {"tag": "Owner"}}), [owner, of_owner(&["", "tbd"])]),
        (json!({"finding": {"tag": "Owner", "code": "MISSING"}}), [owner, of_owner(&[""])]),
        (json!({"tag": {"key": "Owner", "value": "tbd"}}), [of_owner(&["tbd"]), 0]),
    ];
    for (mut question, [spend, gap]) in cases {
        question["group_by"] = json!("month");
        let answer = ask(&world.store(), "get_violation_history", &question).unwrap();
        let cost = &answer["history"][0]["cost"];
        // On the first of a month nothing of it is billed yet.
        let days = i64::from(today().day()) - 1;
        assert!(
            days == 0 || cost["days"].as_i64().is_some_and(|answer| [days, days + 1].contains(&answer)),
            "{answer}"
        );
        if let Some(days) = cost["days"].as_i64() {
            same(&question.to_string(), &cost["taggable_spend"], spend * days);
            match question.get("tag") {
                Some(_) => assert!(cost.get("attribution_gap").is_none(), "{answer}"),
                None => same(&question.to_string(), &cost["attribution_gap"], gap * days),
            }
        }
    }
    let together = json!({"resource_types": ["ec2:instance"], "filters": {"region": region}});
    let answer = ask(&world.store(), "get_violation_history", &together).unwrap();
    assert!(
        answer["history"][0].get("cost").is_none() && answer["notes"].to_string().contains("Spend is not available"),
        "{answer}"
    );
}

/// Every bucket, and the required, missing and invalid spend of a tag, equal the billed amounts of the estate.
#[test]
fn buckets_and_tags_match_billed_amounts() {
    let world = company(5_000);
    scan(&world, FEW_MONTHS).exits(0);
    let (first, last, days) = last_month();
    let period = json!({"start": first.to_string(), "end": last.to_string()});
    let answer = ask(&world.store(), TOOL, &json!({"time_period": period})).unwrap();
    let bucket = |name: &str| {
        answer["buckets"].as_array().unwrap().iter().find(|b| b["bucket"] == name).unwrap()["amount"].clone()
    };
    let mut volumes = 0;
    for region in world.fake.estate().accounts.iter().flat_map(|account| &account.regions) {
        volumes += (0..region.counts.volumes).map(|index| daily_nano("ec2:volume", index)).sum::<i64>();
    }
    same("no required tag", &bucket("no_required_tag"), (5_555_555_555 + volumes) * days);
    for (name, nano) in [
        ("untaggable_usage", 777_777_777),
        ("marketplace", 41_000_000_000),
        ("commitment_fees", 310_000_001),
        ("support", 3_000_000_007),
        ("tax", 12_345_678_901),
        ("credits_refunds", -400_035_000_003),
        ("other_charges", 0),
    ] {
        same(name, &bucket(name), nano * days);
    }
    let mut owner = (0, 0, 0);
    let mut seen = BTreeMap::new();
    for resource in world.fake.estate().resources() {
        let index =
            seen.entry((resource.account.clone(), resource.region.clone(), resource.resource_type)).or_insert(0);
        let nano = daily_nano(resource.resource_type, *index);
        *index += 1;
        if required(service_of(resource.resource_type)).contains(&"Owner") {
            owner.0 += nano;
            match ways()[resource.recipe].0.iter().find(|(key, _)| *key == "Owner") {
                None | Some((_, "")) => owner.1 += nano,
                Some((_, "tbd")) => owner.2 += nano,
                Some(_) => {}
            }
        }
    }
    let by_tag = answer["by_tag"].as_array().unwrap().iter().find(|tag| tag["tag"] == "Owner").unwrap();
    same("required", &by_tag["required_spend"], owner.0 * days);
    same("missing", &by_tag["missing_spend"], owner.1 * days);
    same("invalid", &by_tag["invalid_spend"], owner.2 * days);
    assert_eq!(by_tag["invalid_values"][0]["value"], "tbd");
    assert!(answer["attribution_gap_percentage_of_taggable"].as_f64().unwrap() < 100.0);
}

fn cost_requests(world: &FakeEstate) -> usize {
    world.fake.request_log().count("ce", "GetCostAndUsage")
}

/// The bill of all months takes three rounds of one request per tag key plus three, and two requests for usage, all in
/// the payer account. A second scan on the same day and the server send none.
#[test]
fn backfill_takes_expected_cost_requests() {
    let world = company(50_000);
    scan(&world, "10000").exits(0);
    // The newest two, seven and five more; and two that say what of hours and gigabytes was used.
    assert_eq!(cost_requests(&world), 3 * (KEYS.len() + 3) + 2);
    assert_eq!(world.fake.request_log().count("ce", "ListCostAllocationTags"), 1);
    assert!(
        world.fake.request_log().requests.iter().filter(|call| call.service == "ce").all(|call| call.account == HOME)
    );
    world.fake.clear_request_log();
    scan(&world, "10000").exits(0);
    assert_eq!(cost_requests(&world), 0);
    ask(&world.store(), TOOL, &json!({})).unwrap();
    assert_eq!(cost_requests(&world), 0, "the server asks nothing");
}

/// A scanner takes the cost answers of another scanner from their Redis and reports the same figures. Foreign values in
/// Redis are ignored, and without Redis the scanner sends the requests itself.
#[test]
fn shared_redis_saves_cost_requests() {
    let (world, mut redis) = (company(5_000), Redis::start());
    let url = format!("redis://127.0.0.1:{}/0", redis.port);
    let scan_into = |name: &str| {
        let store = world.folder.path().join(name);
        let variables = [("TAGLEDGER_COST_REQUEST_BUDGET", FEW_MONTHS), ("REDIS_URL", &url)];
        let result = world.scan_into(&store, &["--accounts", MEMBER], &variables).exits(0);
        let spent = cost_requests(&world);
        world.fake.clear_request_log();
        (spent, ask(&store, TOOL, &json!({"grouping": "by_region"})).unwrap(), result.stderr)
    };
    let same_figures = |one: &Value, other: &Value| {
        for field in ["total_cloud_spend", "taggable_spend", "attribution_gap", "breakdown", "time_period"] {
            assert_eq!(one[field], other[field], "{field}");
        }
    };
    let (spent, first, _) = scan_into("first.sqlite");
    assert!(spent > KEYS.len() + 3 && first["attribution_gap"].as_f64() > Some(0.0), "{spent}");
    let (spent, second, _) = scan_into("second.sqlite");
    // What single resources use is asked for by each.
    assert!(spent < KEYS.len(), "{spent}");
    same_figures(&first, &second);
    assert_eq!(first["cost_source"], second["cost_source"], "when it was asked for is told as it was");
    // What others have written there is not taken for an answer.
    redis.ask(&["EVAL", "for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('SET', key, 'junk') end", "0"]);
    let (spent, third, _) = scan_into("third.sqlite");
    assert!(spent > KEYS.len() + 3, "{spent}");
    same_figures(&first, &third);
    redis.kill();
    let (spent, fourth, warned) = scan_into("fourth.sqlite");
    assert!(spent > KEYS.len() + 3, "{spent}");
    assert_eq!(warned.matches("read without the shared cache").count(), 1, "{warned}");
    same_figures(&first, &fourth);
}

/// A scan sends no more cost requests than the daily budget allows and starts no month that it cannot finish. The
/// problem is reported in `cost_source`.
#[test]
fn daily_request_budget_is_not_exceeded() {
    let world = company(5_000);
    let outcome = scan(&world, "14").exits(0);
    assert!(outcome.stdout.contains("budget"), "{}", outcome.stdout);
    let spent = cost_requests(&world);
    assert!(spent == KEYS.len() + 3 + 2, "{spent}: two months whole with what was used, and no third begun");
    scan(&world, "14").exits(0);
    assert_eq!(cost_requests(&world), spent, "what is left of the day is too little for a month");
    assert!(ask(&world.store(), TOOL, &json!({})).unwrap()["cost_source"]["problem"].to_string().contains("budget"));
}

/// A denied request in the middle of reading the bill leaves the previous figures and their time, and the problem is
/// reported.
#[test]
fn denial_midway_keeps_previous_figures() {
    let world = company(150);
    scan(&world, FEW_MONTHS).exits(0);
    let before = ask(&world.store(), TOOL, &json!({})).unwrap();
    // Other terms: every month is asked for again, and the answers break off.
    let policy = std::fs::read_to_string(support::binary::sample_policy()).unwrap().replace("\"testing\"", "\"lab\"");
    let changed = world.folder.path().join("changed.json");
    std::fs::write(&changed, policy).unwrap();
    world.fake.set_faults(Faults::none().with(Rule::new(Effect::Deny).service("ce").nth(9)));
    let mut command =
        support::binary::scan_command(world.folder.path(), &world.fake.endpoint(), &world.store(), &changed);
    command.args(["--accounts", MEMBER]).env("TAGLEDGER_COST_REQUEST_BUDGET", "200");
    let outcome = support::binary::run(&mut command).exits(0);
    assert!(outcome.stdout.contains("ce:GetCostAndUsage"), "{}", outcome.stdout);
    let after = ask(&world.store(), TOOL, &json!({})).unwrap();
    assert_eq!(after["attribution_gap"], before["attribution_gap"]);
    assert_eq!(after["cost_source"]["asked_at"], before["cost_source"]["asked_at"]);
    assert!(after["cost_source"]["problem"].as_str().unwrap().contains("not authorized"), "{after}");
}

/// Without access to Cost Explorer the snapshot is complete, the scan prints one line, and the cost tool names the
/// missing permission.
#[test]
fn denied_cost_explorer_affects_costs_only() {
    let world = company(150).failing(Faults::none().with(Rule::new(Effect::Deny).service("ce").every(1)));
    let outcome = scan(&world, "50").exits(0);
    let lines: Vec<&str> = outcome.stdout.lines().filter(|line| line.contains("ce:GetCostAndUsage")).collect();
    assert_eq!(lines.len(), 1, "{}", outcome.stdout);
    let refused = ask(&world.store(), TOOL, &json!({})).unwrap_err();
    assert!(refused.contains("grant the scanner ce:GetCostAndUsage"), "{refused}");
    let check = ask(&world.store(), "check_tag_compliance", &json!({})).unwrap();
    assert_eq!(check["coverage"]["status"], "complete");
}

/// `fix_first` lists the required keys that are unknown to billing or not activated as cost allocation tags.
#[test]
fn inactive_cost_tags_are_fixed_first() {
    let world = company(5_000);
    let mut estate = world.fake.estate().clone();
    estate.billing.activated.retain(|key| key != "Owner" && key != "Application");
    estate.billing.inactive.push("Owner".to_owned());
    let world = FakeEstate::holding(estate);
    scan(&world, FEW_MONTHS).exits(0);
    let answer = ask(&world.store(), TOOL, &json!({})).unwrap();
    let first: Vec<_> =
        answer["fix_first"].as_array().unwrap().iter().map(|fix| (&fix["tag"], &fix["problem"])).collect();
    assert_eq!(
        first,
        [(&json!("Application"), &json!("unknown_to_billing")), (&json!("Owner"), &json!("not_activated"))]
    );
}

/// If the account has no net amounts, `AmortizedCost` is used and named as the metric.
#[test]
fn missing_net_amounts_fall_back_to_amortized() {
    let world = company(5_000);
    let mut estate = world.fake.estate().clone();
    estate.billing.net = false;
    let world = FakeEstate::holding(estate);
    scan(&world, FEW_MONTHS).exits(0);
    let (.., days) = last_month();
    let answer = ask(&world.store(), TOOL, &json!({})).unwrap();
    assert_eq!(answer["cost_source"]["metric"], "AmortizedCost");
    same("gap", &answer["attribution_gap"], truth(&world, 0).gap.values().sum::<i64>() * days / 10 * 11);
}

/// A period in the current month is marked as estimated. A reversed, future, too old or malformed period and an unknown
/// grouping are refused with the reason.
#[test]
fn open_month_is_marked_and_bad_period_refused() {
    let world = company(5_000);
    scan(&world, FEW_MONTHS).exits(0);
    let (first, ..) = last_month();
    let today = today();
    if today.day() > 1 {
        let period = json!({"start": first.to_string(), "end": today.to_string()});
        let answer = ask(&world.store(), TOOL, &json!({"time_period": period})).unwrap();
        assert_eq!(answer["estimated_from"], today.first_of_month().to_string());
        assert!(answer["notes"].to_string().contains("The figures include only"), "today is not billed yet: {answer}");
    }
    let later = today.saturating_add(40.days());
    for (start, end, text) in [
        (first.to_string(), first.saturating_sub(1.day()).to_string(), "is before"),
        (later.to_string(), later.to_string(), "in the future"),
        ("2020-01-01".to_owned(), "2020-01-31".to_owned(), "keeps 13 months"),
        ("2026-02-30".to_owned(), "2026-03-01".to_owned(), "`time_period.start`: `2026-02-30` is not a date"),
    ] {
        let refused = ask(&world.store(), TOOL, &json!({"time_period": {"start": start, "end": end}})).unwrap_err();
        assert!(refused.contains(text), "{refused}");
    }
    let refused = ask(&world.store(), TOOL, &json!({"grouping": "by_team"})).unwrap_err();
    assert!(refused.contains("by_resource_type") && refused.contains("by_account"), "{refused}");
}

/// `check_tag_compliance` and `get_cost_attribution_gap` report the same spend for the entire estate and for a region,
/// an account and a type.
#[test]
fn cost_figures_agree_across_tools() {
    let world = company(5_000);
    scan(&world, FEW_MONTHS).exits(0);
    let costs = |grouping: &str| ask(&world.store(), TOOL, &json!({ "grouping": grouping })).unwrap();
    let check = |arguments: Value| {
        ask(&world.store(), "check_tag_compliance", &arguments).unwrap()["compliance_by_cost"].clone()
    };
    let (complete, answer) = (check(json!({})), costs("by_region"));
    for field in ["taggable_spend", "attributable_spend", "currency", "time_period"] {
        assert_eq!(complete[field], answer[field], "{field}");
    }
    for (grouping, filter) in [
        ("by_region", json!({"filters": {"region": "eu-west-1"}})),
        ("by_account", json!({"filters": {"account_id": MEMBER}})),
        ("by_resource_type", json!({"resource_types": ["rds:db"]})),
    ] {
        let part = check(filter.clone());
        let name = ["eu-west-1", MEMBER, "rds:db"].into_iter().find(|name| filter.to_string().contains(name)).unwrap();
        let answer = costs(grouping);
        let row = answer["breakdown"].as_array().unwrap().iter().find(|row| row["category"] == name).unwrap();
        assert_eq!(part["taggable_spend"], row["taggable_cost"], "{name}");
        let gap = cents([&part["taggable_spend"]].into_iter()) - cents([&part["attributable_spend"]].into_iter());
        assert!((gap - cents([&row["unattributable_cost"]].into_iter())).abs() <= 1, "{name}: {part} {row}");
        assert!((0.0..=1.0).contains(&part["score"].as_f64().unwrap()));
    }
    assert_eq!(check(json!({"resource_types": ["rds:db"], "filters": {"region": "eu-west-1"}})), Value::Null);
}

/// The bill of thirty accounts is requested in the payer account only. The breakdown shows twenty accounts, and the sum
/// of the rest completes the gap.
#[test]
fn payer_is_queried_once_for_all_accounts() {
    let account = |n: u64| AccountEstate::new(&format!("{n:012}")).with_region("us-east-1", Counts::each(6));
    let members = (1..30).map(|n| account(700_000_000_000 + n));
    let mut estate = members.fold(
        Estate::new(HOME).with_account(AccountEstate::new(HOME).with_region("us-east-1", Counts::each(6))),
        Estate::with_account,
    );
    for (tags, _) in ways() {
        estate = estate.with_recipe(Recipe::of(&tags));
    }
    estate.billing = Billing { activated: KEYS.map(str::to_owned).to_vec(), page: 400, ..Billing::default() };
    let world = FakeEstate::holding(estate);
    world.scan_with(&["--accounts", "organization"], &[("TAGLEDGER_COST_REQUEST_BUDGET", FEW_MONTHS)]).exits(0);
    assert!(
        world.fake.request_log().requests.iter().filter(|call| call.service == "ce").all(|call| call.account == HOME)
    );
    let (.., days) = last_month();
    let truth = truth(&world, 2);
    assert_eq!(truth.required.len(), 30);
    let answer = ask(&world.store(), TOOL, &json!({"grouping": "by_account"})).unwrap();
    same("taggable", &answer["taggable_spend"], truth.required.values().sum::<i64>() * days);
    same("gap", &answer["attribution_gap"], truth.gap.values().sum::<i64>() * days);
    assert_eq!(
        (answer["breakdown"].as_array().unwrap().len(), &answer["more_categories"]["categories"]),
        (20, &json!(10))
    );
    let shown = cents(answer["breakdown"].as_array().unwrap().iter().map(|row| &row["unattributable_cost"]));
    let more = cents([&answer["more_categories"]["unattributable_cost"]].into_iter());
    assert_eq!(shown + more, cents([&answer["attribution_gap"]].into_iter()));
}
