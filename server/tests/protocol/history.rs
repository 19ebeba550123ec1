//! History, explanation and drift of the scripted year equal the values that are computed from the script without a
//! ledger.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{ToSpan, civil::Date};
use serde_json::{Value, json};
use tagledger_policy::Policy;

use crate::{
    scripted_year::{CHANGED, Company, Day, MAY, day_of, denied, until, way, year},
    test_server::{TestLedger, TestServer},
};

const TOOL: &str = "get_violation_history";

fn first_of(group_by: &str, day: Date) -> Date {
    match group_by {
        "day" => day,
        // 1970-01-01 was a Thursday.
        "week" => day.saturating_sub(((tagledger_model::epoch_day::number_of(day) + 3) % 7).days()),
        _ => day.first_of_month(),
    }
}

fn median(mut of: Vec<i64>) -> Option<f64> {
    of.sort_unstable();
    let middle = of.len() / 2;
    (!of.is_empty())
        .then(|| if of.len() % 2 == 1 { of[middle] as f64 } else { (of[middle - 1] + of[middle]) as f64 / 2.0 })
}

/// Every point of the history, by day, week and month, equals the figures of the scripted year. Opened and closed
/// violations explain every change between two complete points.
#[tokio::test(flavor = "multi_thread")]
async fn points_match_scripted_year() {
    let (nights, script) = year();
    let server = TestServer::of(&nights).await;
    for (group_by, days_back) in [("month", 365), ("week", 365), ("day", 100), ("week", 30)] {
        let (answer, _) = server.ask(TOOL, json!({"group_by": group_by, "days_back": days_back})).await;
        let last = script.last().unwrap();
        let from = first_of(group_by, last.day.saturating_sub((days_back - 1).days()));
        let mut periods: BTreeMap<Date, Vec<&Day>> = BTreeMap::new();
        for night in script.iter().filter(|night| night.day >= from) {
            periods.entry(first_of(group_by, night.day)).or_default().push(night);
        }
        let points = answer["history"].as_array().unwrap();
        assert_eq!(points.len(), periods.len(), "{group_by} {days_back}");
        for (point, (first, nights)) in points.iter().zip(&periods) {
            let stands = nights.iter().rev().find(|night| !night.partial).or(nights.last()).unwrap();
            let sum = |of: fn(&Day) -> u64| nights.iter().map(|night| of(night)).sum::<u64>();
            let score = stands.compliant as f64 / (stands.compliant + stands.wrong) as f64;
            let result = point["compliance_score"].as_f64().unwrap();
            assert!((result - score).abs() < 0.00006, "{point}: {score}");
            let expected = json!({
                "date": first.to_string(), "snapshot_id": stands.number, "violations": stands.violations,
                "total_resources": stands.total, "non_compliant_resources": stands.wrong,
                "opened": sum(|night| night.opened), "reopened": sum(|night| night.reopened),
                "fixed": sum(|night| night.fixed), "ended_otherwise": sum(|night| night.otherwise),
                "coverage": if stands.partial { "partial" } else { "complete" },
                "same_coverage": !stands.partial,
            });
            for (field, value) in expected.as_object().unwrap() {
                assert_eq!(&point[field], value, "{group_by} {first}: {field} of {point}");
            }
            let days = nights.iter().flat_map(|night| night.days_to_fix.iter().copied()).collect();
            assert_eq!(point.get("median_days_to_fix").and_then(Value::as_f64), median(days), "{group_by} {first}");
            let earlier = stands.day < day_of(CHANGED);
            assert_eq!(point.get("other_policy").is_some(), earlier, "{point}");
        }
        // What began and ended explains every change, where nothing was denied.
        for (pair, result) in points.windows(2).zip(periods.values().collect::<Vec<_>>().windows(2)) {
            if result.iter().all(|nights| nights.iter().all(|night| !night.partial)) {
                let number = |point: &Value, field: &str| point[field].as_i64().unwrap();
                let moved =
                    number(&pair[1], "opened") - number(&pair[1], "fixed") - number(&pair[1], "ended_otherwise");
                assert_eq!(number(&pair[1], "violations") - number(&pair[0], "violations"), moved, "{}", pair[1]);
            }
        }
    }
}

/// The median of all slopes, by sorting them.
fn slope_of(points: &[(i64, f64)]) -> f64 {
    let mut slopes = Vec::new();
    for a in 0..points.len() {
        for b in a + 1..points.len() {
            slopes.push((points[b].1 - points[a].1) / (points[b].0 - points[a].0) as f64);
        }
    }
    slopes.sort_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    if slopes.len() % 2 == 1 { slopes[middle] } else { f64::midpoint(slopes[middle - 1], slopes[middle]) }
}

/// The trend is computed from complete points of the current policy and from the scopes that all of them read.
#[tokio::test(flavor = "multi_thread")]
async fn trend_uses_one_policy_and_common_scopes() {
    let (nights, script) = year();
    let server = TestServer::of(&nights).await;
    let (answer, _) = server.ask(TOOL, json!({"group_by": "week", "days_back": 365})).await;
    assert_eq!(answer["trend"], "improving");
    let changed = day_of(CHANGED);
    let mut weeks: BTreeMap<Date, &Day> = BTreeMap::new();
    for night in script.iter().filter(|night| !night.partial) {
        weeks.insert(first_of("week", night.day), night);
    }
    // No week is denied from its first day to its last, so that each has a whole night.
    let points: Vec<(i64, f64)> = weeks
        .values()
        .filter(|night| night.day >= changed)
        .map(|night| {
            (
                tagledger_model::epoch_day::number_of(night.day),
                night.compliant as f64 / (night.compliant + night.wrong) as f64,
            )
        })
        .collect();
    let rate = (slope_of(&points) * 7.0 * 10_000.0).round() / 10_000.0;
    assert_eq!(answer["improvement_rate"].as_f64(), Some(rate));
    assert_eq!((&answer["trend_basis"]["points"], &answer["trend_basis"]["scopes"]), (&json!(points.len()), &json!(2)));
    // Days in which a region was denied: the trend is of the other region alone.
    let last = script.last().unwrap().day;
    let back = tagledger_model::epoch_day::number_of(last) - tagledger_model::epoch_day::number_of(day_of(215));
    let from = json!({"group_by": "day", "days_back": back.min(100)});
    let (answer, _) = server.ask(TOOL, from).await;
    assert_eq!(answer["trend_basis"]["scopes"], 2, "the week is longer ago than that");
}

/// Points with fewer scopes are marked as partial, and the trend uses only the scopes that every point has.
#[tokio::test(flavor = "multi_thread")]
async fn partial_points_are_marked_and_excluded() {
    let nights = TestLedger::new();
    let mut company = Company::default();
    company.day(1);
    for night in [219, 220, 221, 222, 223] {
        nights.append(night, ["eu-west-1", "us-east-1"].map(|region| company.listing(night, region)).to_vec());
    }
    let server = TestServer::of(&nights).await;
    let (answer, _) = server.ask(TOOL, json!({"group_by": "day", "days_back": 5})).await;
    let points = answer["history"].as_array().unwrap();
    let marks: Vec<_> = points.iter().map(|point| point["coverage"].as_str().unwrap()).collect();
    assert_eq!(marks, ["complete", "complete", "partial", "partial", "partial"]);
    assert_eq!((&answer["trend"], &answer["trend_basis"]["scopes"]), (&json!("stable"), &json!(1)), "nothing changed");
    assert!(points[1]["compliance_score"] != points[2]["compliance_score"], "the scores are of what was seen");
    assert!(answer["notes"].to_string().contains("2 of 5 points cover other scopes"), "{answer}");
}

/// The histories of single findings add up to the history of all violations, and a tag filter counts only the resources
/// with that tag.
#[tokio::test(flavor = "multi_thread")]
async fn finding_and_tag_filters_split_history() {
    let (nights, script) = year();
    let server = TestServer::of(&nights).await;
    let ask = async |finding: Value| {
        server.ask(TOOL, json!({"days_back": 365, "group_by": "month", "finding": finding})).await.0
    };
    let of = |answer: &Value, field: &str| {
        answer["history"].as_array().unwrap().iter().map(|point| point[field].as_i64().unwrap()).sum::<i64>()
    };
    let all = server.ask(TOOL, json!({"days_back": 365, "group_by": "month"})).await.0;
    let parts = [
        ask(json!({"code": "MISSING", "tag": "CostCenter"})).await,
        ask(json!({"code": "MISSING", "tag": "Owner"})).await,
        ask(json!({"code": "NOT_ALLOWED"})).await,
    ];
    for field in ["violations", "opened", "fixed", "reopened", "ended_otherwise"] {
        assert_eq!(parts.iter().map(|part| of(part, field)).sum::<i64>(), of(&all, field), "{field}");
    }
    assert_eq!(parts[1]["trend"], Value::Null);
    assert_eq!(parts[1]["history"].as_array().unwrap().last().unwrap()["violations"], 0, "nobody asks for it any more");
    let tagged = server.ask(TOOL, json!({"tag": {"key": "CostCenter", "value": "Marketing"}, "days_back": 7})).await.0;
    let newest = tagged["history"].as_array().unwrap().last().unwrap();
    assert_eq!(newest["total_resources"], newest["violations"], "all that have it are wrong");
    assert!(script.last().unwrap().wrong as i64 >= newest["violations"].as_i64().unwrap());
    assert!(Policy::parse(MAY).is_ok());
}

/// `as_of` answers from the last snapshot at or before that day, and a note names a day without a snapshot. A future
/// date, a date before the first snapshot and a malformed date are refused.
#[tokio::test(flavor = "multi_thread")]
async fn as_of_selects_snapshot_of_that_day() {
    let (nights, script) = year();
    // The server's clock stands at the second of November.
    let server = TestServer::of(&nights).await;
    let day = Date::constant(2026, 11, 1);
    let answer = server.ask("check_tag_compliance", json!({"as_of": day.to_string()})).await.0;
    assert_eq!((&answer["as_of"]["snapshot_id"], &answer["total_resources"]), (&json!(1), &json!(script[0].total)));
    assert_eq!(answer["error_findings"], script[0].violations);
    assert_eq!(answer["compliant_resources"], script[0].compliant);
    let refused = server.refused("check_tag_compliance", json!({"as_of": "2026-11-03"})).await;
    assert!(refused.contains("in the future"), "{refused}");
    let refused = server.refused("find_untagged_resources", json!({"as_of": "2026-10-31"})).await;
    assert!(refused.contains("the oldest is from 2026-11-01"), "{refused}");
    let refused = server.refused("check_tag_compliance", json!({"as_of": "yesterday"})).await;
    assert!(refused.contains("`yesterday` is not a date"), "{refused}");
    let late = TestServer::at(&nights, "2028-01-01T12:00:00Z").await;
    for night in script.iter().step_by(37) {
        let answer = late.ask("check_tag_compliance", json!({"as_of": night.day.to_string()})).await.0;
        let counts =
            ["total_resources", "compliant_resources", "error_findings"].map(|field| answer[field].as_u64().unwrap());
        assert_eq!(counts, [night.total, night.compliant, night.violations], "{}", night.day);
        assert_eq!(answer["states"]["non_compliant"], night.wrong);
        let pages = late.ask("find_untagged_resources", json!({"as_of": night.day.to_string(), "limit": 100})).await.0;
        let lacking: u64 =
            ["no_tags", "missing_required_tags"].map(|kind| pages["totals"][kind].as_u64().unwrap()).iter().sum();
        assert_eq!(pages["untagged_resources"].as_array().unwrap().len() as u64, lacking.min(100), "{pages}");
    }
    // TestLedger 101 to 103 were missed.
    let between = day_of(102);
    let answer = late.ask("check_tag_compliance", json!({"as_of": between.to_string()})).await.0;
    assert_eq!(answer["as_of"]["snapshot_id"], 100);
    assert!(answer["notes"].to_string().contains(&format!("No snapshot was taken on {between}")), "{answer}");
}

/// A draft that asks for one thing more.
const DRAFT: &str = r#"{"version": "2", "last_updated": "2026-01-01T00:00:00Z", "required_tags": [
    {"name": "CostCenter", "allowed_values": ["Engineering"]}, {"name": "Owner"}, {"name": "Team"}]}"#;

/// Every tool with `as_of` returns the answer of a ledger that ends with that snapshot, apart from notes. Scripts of
/// `plan_fixes` are refused with `as_of`.
///
/// What a ledger that ended with a night says is what the whole one says as of it: there the future cannot be known.
#[tokio::test(flavor = "multi_thread")]
async fn as_of_equals_ledger_ending_there() {
    let (all, _) = year();
    let late = TestServer::at(&all, "2028-01-01T12:00:00Z").await;
    for night in [37, CHANGED + 1, 219, 300] {
        let (nights, script) = until(night);
        let then = TestServer::at(&nights, "2028-01-01T12:00:00Z").await;
        let day = script.last().unwrap().day.to_string();
        let draft: Value = serde_json::from_str(DRAFT).unwrap();
        for (tool, arguments) in [
            (TOOL, json!({"days_back": 60})),
            (TOOL, json!({"days_back": 365, "group_by": "month", "finding": {"code": "MISSING"}})),
            ("generate_compliance_report", json!({})),
            ("generate_compliance_report", json!({"format": "markdown"})),
            ("get_tagging_policy", json!({})),
            ("simulate_policy", json!({"policy": draft, "nights": 3, "limit": 50})),
            ("plan_fixes", json!({"target": 0.95, "by": "count", "limit": 100})),
            ("suggest_tags_bulk", json!({"limit": 100})),
        ] {
            let mut result = Vec::new();
            for (server, as_of) in [(&then, Value::Null), (&late, json!(day))] {
                let mut requested = arguments.clone();
                if let Value::String(_) = as_of {
                    requested["as_of"] = as_of;
                }
                let mut answer = server.ask(tool, requested).await.0;
                // What to know of an earlier night, and of the policy file, is another thing now.
                answer.as_object_mut().unwrap().remove("notes");
                answer.as_object_mut().unwrap().remove("judged_newest_snapshot");
                result.push(answer);
            }
            assert_eq!(result[0], result[1], "{tool} {arguments} as of {day}");
        }
    }
    let script = json!({"as_of": day_of(37).to_string(), "format": "aws_cli"});
    assert!(late.refused("plan_fixes", script).await.contains("omit `as_of`"));
}

/// Whether a way is compliant in a night; none when its region could not be read.
fn expected_verdict(night: &Day, region: &str, way_of: u64) -> Option<bool> {
    let invalid = way(way_of).1.into_iter().any(|rule| night.night < CHANGED || rule != "MISSING Owner");
    (!denied(night.night, region)).then_some(!invalid)
}

/// What each cause did between two nights, by the script: resources, compliant, non-compliant.
fn causes(a: &Day, b: &Day) -> BTreeMap<&'static str, (i64, i64, i64)> {
    let mut sums: BTreeMap<&'static str, (i64, i64, i64)> = BTreeMap::new();
    let mut step = |cause, from: Option<bool>, to: Option<bool>| {
        if from != to {
            let sum = sums.entry(cause).or_default();
            let one = |judged: Option<bool>, wanted| i64::from(judged == Some(wanted));
            sum.0 += 1;
            sum.1 += one(to, true) - one(from, true);
            sum.2 += one(to, false) - one(from, false);
        }
    };
    let ids: BTreeSet<&u32> = a.known.keys().chain(b.known.keys()).collect();
    for id in ids {
        match (a.known.get(id), b.known.get(id)) {
            (None, Some((region, way))) => {
                let cause = if denied(a.night, region) { "scope_or_coverage_changed" } else { "new_resources" };
                step(cause, None, expected_verdict(b, region, *way));
            }
            (Some((region, way)), None) => {
                let cause = if denied(b.night, region) { "scope_or_coverage_changed" } else { "removed_resources" };
                step(cause, expected_verdict(a, region, *way), None);
            }
            (Some((region, old)), Some((_, new))) => {
                let (from, to) = (expected_verdict(a, region, *old), expected_verdict(b, region, *new));
                if from.is_none() || to.is_none() {
                    step("scope_or_coverage_changed", from, to);
                } else {
                    let between = expected_verdict(b, region, *old);
                    step("policy_changed", from, between);
                    let stored = way(*old).0.iter().all(|tag| way(*new).0.contains(tag));
                    step(if stored { "tags_added" } else { "tags_removed_or_changed" }, between, to);
                }
            }
            (None, None) => {}
        }
    }
    sums
}

fn windows(script: &[Day]) -> Vec<(&Day, &Day)> {
    let of = |night: i32| script.iter().find(|one| one.night == night).unwrap();
    [(1, 2), (100, 110), (150, 200), (181, 182), (219, 224), (224, 230), (226, 226 + 1), (3, 365)]
        .map(|(a, b)| (of(a), of(b)))
        .to_vec()
}

/// The causes of a score change have the counts of the scripted year, and their contributions add up to the change.
/// Invalid pairs of snapshots are refused.
#[tokio::test(flavor = "multi_thread")]
async fn change_causes_match_script_and_add_up() {
    let (nights, script) = year();
    let server = TestServer::of(&nights).await;
    let mut seen = BTreeSet::new();
    for (a, b) in windows(&script) {
        let between = json!({"from": a.day.to_string(), "to": b.day.to_string()});
        let (answer, _) = server.ask("explain_compliance_change", json!({"between": between})).await;
        let expected = causes(a, b);
        for part in answer["parts"].as_array().unwrap() {
            let (resources, compliant, invalid) =
                expected.get(part["cause"].as_str().unwrap()).copied().unwrap_or_default();
            let counts = json!([part["resources"], part["compliant"], part["non_compliant"]]);
            assert_eq!(counts, json!([resources, compliant, invalid]), "{} to {}: {part}", a.day, b.day);
            if resources > 0 {
                seen.insert(part["cause"].as_str().unwrap().to_owned());
            }
        }
        let score = |night: &Day| night.compliant as f64 / (night.compliant + night.wrong) as f64;
        let change = ((score(b) - score(a)) * 10_000.0).round();
        assert_eq!((answer["change"].as_f64().unwrap() * 10_000.0).round(), change, "{answer}");
        let sum: f64 =
            answer["parts"].as_array().unwrap().iter().map(|part| part["contribution"].as_f64().unwrap()).sum();
        assert_eq!((sum * 10_000.0).round(), change, "{answer}");
    }
    assert_eq!(seen.len(), 6, "every cause occurred: {seen:?}");
    for (between, text) in [
        (json!({"from": "2026-10-01"}), "the ledger has no snapshot up to"),
        (json!({"to": "2030-01-01"}), "later than the latest snapshot"),
        (json!({"from": "2027-02-02", "to": "2027-02-01"}), "later than the other snapshot"),
        (json!({"from": "2027-02-02", "to": "2027-02-02"}), "the same snapshot"),
    ] {
        let refused = server.refused("explain_compliance_change", json!({"between": between})).await;
        assert!(refused.contains(text), "{refused}");
    }
}

/// `detect_tag_drift` lists exactly the tag changes of the script between two snapshots, sorted by required tags first
/// and then by removed, changed and added.
#[tokio::test(flavor = "multi_thread")]
async fn drift_matches_script_in_order() {
    let (nights, script) = year();
    let server = TestServer::of(&nights).await;
    for (a, b) in windows(&script) {
        let mut expected: BTreeMap<(&str, Option<&str>, Option<&str>), u64> = BTreeMap::new();
        for (id, (region, old)) in &a.known {
            let Some((_, new)) = b.known.get(id).filter(|_| !denied(a.night, region) && !denied(b.night, region))
            else {
                continue;
            };
            for key in ["CostCenter", "Owner"] {
                let value = |way_of: u64| way(way_of).0.into_iter().find(|(of, _)| *of == key).map(|(_, value)| value);
                if value(*old) != value(*new) {
                    *expected.entry((key, value(*old), value(*new))).or_default() += 1;
                }
            }
        }
        let between = json!({"from": a.day.to_string(), "to": b.day.to_string()});
        let (answer, _) = server.ask("detect_tag_drift", json!({"between": between, "limit": 100})).await;
        let drifts = answer["drifts"].as_array().unwrap();
        assert_eq!((drifts.len(), &answer["remaining"]), (expected.len(), &json!(0)), "{answer}");
        for drift in drifts {
            let kind = (drift["key"].as_str().unwrap(), drift["from_value"].as_str(), drift["to_value"].as_str());
            assert_eq!(drift["resources"].as_u64(), expected.get(&kind).copied(), "{drift}");
            assert_eq!(drift["required"], kind.0 == "CostCenter" || b.night < CHANGED, "{drift}");
            assert!(!drift["resource_arns"].as_array().unwrap().is_empty());
        }
        let rank = |drift: &Value| {
            let kind = ["removed", "changed", "added"].iter().position(|kind| drift["change"] == *kind).unwrap();
            (drift["required"] == false, kind)
        };
        assert!(drifts.is_sorted_by_key(rank), "{answer}");
    }
}
