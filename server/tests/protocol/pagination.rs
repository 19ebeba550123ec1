//! All pages of an answer are of one snapshot, also when further snapshots are committed between them.

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::date};
use serde_json::{Value, json};
use tagledger_cost::{Amount, Days, Metric, ResourceCharges, ResourceCosts};
use tagledger_ledger::{BillCollection, BillLine, BillPart, MonthBill};

use crate::test_server::{ACCOUNT, TestLedger, TestServer, instances};

const TOOLS: [(&str, &str); 2] =
    [("check_tag_compliance", "violations"), ("find_untagged_resources", "untagged_resources")];

fn ids(numbers: impl Iterator<Item = u32>) -> BTreeSet<String> {
    numbers.map(|n| format!("i-{n:017x}")).collect()
}

fn shown(pages: &[Value], rows: &str) -> Vec<String> {
    let rows = pages.iter().flat_map(|page| page[rows].as_array().unwrap());
    rows.map(|row| row["resource_id"].as_str().unwrap().to_owned()).collect()
}

/// Night 1: 0 to 29 without tags. Later: the first five are gone, the next five are tagged well, and others come.
fn append_snapshot(ledger: &TestLedger, number: u32) {
    let well = vec![("CostCenter", "Sales"), ("Owner", "ada@example.com")];
    let tagged = ids(5..10).into_iter().map(|id| (id, if number == 1 { Vec::new() } else { well.clone() }));
    let newer = if number == 1 { 0 } else { 10 * number };
    let bare = ids((10..30).chain(100..100 + newer)).into_iter().map(|id| (id, Vec::new()));
    let gone = ids(0..if number == 1 { 5 } else { 0 }).into_iter().map(|id| (id, Vec::new()));
    ledger.append(number.try_into().unwrap(), vec![instances(gone.chain(tagged).chain(bare))]);
}

/// All pages of a list come from the snapshot of the first page and contain every resource exactly once, although a new
/// snapshot is committed between any two pages.
#[tokio::test(flavor = "multi_thread")]
async fn pages_stay_on_first_snapshot() {
    for (tool, rows) in TOOLS {
        let ledger = TestLedger::new();
        append_snapshot(&ledger, 1);
        let server = TestServer::of(&ledger).await;
        let mut number = 1;
        let pages = server
            .pages(tool, rows, 7, || {
                number += 1;
                append_snapshot(&ledger, number);
            })
            .await;
        assert_eq!(number, 5, "{tool}: a snapshot came behind each page but the last");
        let found = shown(&pages, rows);
        assert_eq!(found.len(), 30, "{tool}: {found:?}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), ids(0..30), "{tool}");
        for page in &pages {
            assert_eq!(page["as_of"]["snapshot_id"], 1, "{tool}");
        }
        assert!(rows != "violations" || pages.iter().all(|page| page["states"]["non_compliant"] == 30));
    }
}

/// A call without a page token is answered from the newest snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn call_without_cursor_uses_newest_snapshot() {
    let ledger = TestLedger::new();
    append_snapshot(&ledger, 1);
    let server = TestServer::of(&ledger).await;
    for (number, lacking) in [(1, ids(0..30)), (2, ids((10..30).chain(100..120))), (3, ids((10..30).chain(100..130)))] {
        if number > 1 {
            append_snapshot(&ledger, number);
        }
        for (tool, rows) in TOOLS {
            let (answer, _) = server.ask(tool, json!({"limit": 100})).await;
            assert_eq!(answer["as_of"]["snapshot_id"], number, "{tool}");
            let found = shown(std::slice::from_ref(&answer), rows);
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), lacking, "{tool} of night {number}");
        }
    }
}

/// A page of an older snapshot shows the tags that the resources had in that snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn older_page_shows_tags_of_its_snapshot() {
    let ledger = TestLedger::new();
    let tagged = |value| instances(ids(0..4).into_iter().map(move |id| (id, vec![("Owner", value)])));
    ledger.append(1, vec![tagged("before")]);
    let server = TestServer::of(&ledger).await;
    let mut number = 1;
    let pages = server
        .pages("find_untagged_resources", "untagged_resources", 1, || {
            number += 1;
            ledger.append(number, vec![tagged(if number % 2 == 0 { "after" } else { "again" })]);
        })
        .await;
    assert_eq!(pages.len(), 4);
    for page in pages {
        assert_eq!(page["untagged_resources"][0]["tags"], json!({"Owner": "before"}));
    }
}

/// As many as AWS allows, as long as AWS allows, on every resource.
fn longest_tags(ledger: &TestLedger) {
    let keys: Vec<String> = (10..60).map(|n| format!("{n}{}", "k".repeat(126))).collect();
    let value = "v".repeat(256);
    let tags = || keys.iter().map(|key| (key.as_str(), value.as_str())).collect::<Vec<_>>();
    ledger.append(1, vec![instances((0..40).map(|n| (format!("i-{n:017x}"), tags())))]);
}

/// A page of the default size stays below 16,000 bytes with the longest possible tags, and all pages together contain
/// every resource.
#[tokio::test]
async fn default_page_fits_model_context() {
    let ledger = TestLedger::new();
    longest_tags(&ledger);
    let requested = TestServer::of(&ledger).await;
    for (tool, rows) in TOOLS {
        let (answer, _) = requested.ask(tool, json!({})).await;
        let bytes = answer.to_string().len();
        assert!(bytes < 16_000, "{tool}: {bytes}");
        let first = answer[rows].as_array().unwrap().len() as u64;
        assert_eq!(first + answer["remaining"].as_u64().unwrap(), 40, "{tool}");
        let all = requested.pages(tool, rows, 100, || {}).await;
        assert_eq!(shown(&all, rows).into_iter().collect::<BTreeSet<_>>(), ids(0..40), "{tool}");
    }
}

/// A bill that names instances: those with the higher numbers cost more.
fn named_bill(number: u32) -> BillCollection {
    const EC2: &str = "Amazon Elastic Compute Cloud - Compute";
    let (october, dollars) = (Days::of_month(date(2026, 10, 1)), |n: i64| Amount::from_micros(n * 1_000_000));
    let all = BillLine {
        day: date(2026, 10, 9),
        part: BillPart::Charges,
        key_a: EC2.to_owned(),
        key_b: "Usage".to_owned(),
        currency: "USD".to_owned(),
        amount: dollars(1_000),
    };
    let month = MonthBill {
        days: october,
        asked_at: Timestamp::UNIX_EPOCH,
        open_from: None,
        metric: Metric::NetAmortized,
        payer: ACCOUNT.to_owned(),
        scope_fingerprint: "terms".to_owned(),
        requests: 5,
        lines: vec![all],
    };
    let cost = |n: u32| (EC2.to_owned(), format!("i-{n:017x}"), dollars(i64::from(n + number)));
    let window = Days { first: date(2026, 10, 18), end: date(2026, 11, 1) };
    let charges = ResourceCharges {
        window,
        services: vec![(EC2.to_owned(), dollars(1_000))],
        resources: (0..30).map(cost).collect(),
    };
    let resource_costs = ResourceCosts {
        days: october,
        payer: ACCOUNT.to_owned(),
        currency: "USD".to_owned(),
        pools: Vec::new(),
        charges: Some(charges),
        problem: String::new(),
    };
    BillCollection { months: vec![month], resource_costs: Some(resource_costs), ..BillCollection::default() }
}

/// The next page of a list that is ordered by cost is refused after a scan changed the costs. A list of an earlier
/// snapshot has no costs, and its pages contain every resource.
#[tokio::test(flavor = "multi_thread")]
async fn cost_order_is_refused_after_new_bill() {
    for (tool, rows) in [("find_untagged_resources", "untagged_resources"), ("suggest_tags_bulk", "resources")] {
        let ledger = TestLedger::new();
        // Each has one value of its own in another spelling, so that there is something to suggest.
        let spelt = |n: u32| (format!("i-{n:017x}"), vec![("cost-center", "sales")]);
        let estate = || vec![instances((0..30).map(spelt))];
        ledger.append_billed(1, estate(), &named_bill(1));
        let server = TestServer::at(&ledger, "2028-01-01T12:00:00Z").await;
        let mut requested = json!({"limit": 4, "as_of": "2026-11-01"});
        let (first, _) = server.ask(tool, requested.clone()).await;
        let costly: Vec<String> = (26..30).rev().map(|n| format!("i-{n:017x}")).collect();
        assert_eq!(shown(std::slice::from_ref(&first), rows), costly, "{tool}: by cost");
        ledger.append_billed(2, estate(), &named_bill(2));
        requested["cursor"] = first["next_cursor"].clone();
        let refused = server.refused(tool, requested.clone()).await;
        assert!(refused.contains("a newer scan has changed the costs"), "{tool}: {refused}");

        // As of a night that is an earlier one from the first page on, the order needs no costs.
        let mut seen = BTreeSet::new();
        requested["cursor"] = Value::Null;
        loop {
            if requested["cursor"].is_null() {
                requested.as_object_mut().unwrap().remove("cursor");
            }
            let (page, _) = server.ask(tool, requested.clone()).await;
            assert_eq!((&page["as_of"]["snapshot_id"], &page[rows][0]["monthly_cost"]), (&json!(1), &Value::Null));
            seen.extend(shown(std::slice::from_ref(&page), rows));
            requested["cursor"] = page["next_cursor"].clone();
            if requested["cursor"].is_null() {
                break;
            }
        }
        assert_eq!(seen, ids(0..30), "{tool}");
    }
}
