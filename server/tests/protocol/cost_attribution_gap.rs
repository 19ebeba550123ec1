//! The cost attribution gap as of earlier snapshots.

use std::path::Path;

use jiff::{Timestamp, civil::date};
use serde_json::{Value, json};
use tagledger_cost::{AllocationTag, Amount, Days, Metric, TagStatus};
use tagledger_ledger::{BillCollection, BillGap, BillLine, BillPart, LedgerWriter, MonthBill};
use tagledger_model::inventory::{Listing, Scope};

use crate::test_server::{ACCOUNT, REGION, TestLedger, TestServer, instances};

const TOOL: &str = "get_cost_attribution_gap";
const EC2: &str = "Amazon Elastic Compute Cloud - Compute";

/// October as somebody was told it: dollars in all, without an owner, and of credits.
fn october(asked_at: &str, all: i64, gap: i64, credit: i64) -> BillCollection {
    let day = date(2026, 10, 9);
    let line = |part, a: &str, b: &str, dollars: i64| BillLine {
        day,
        part,
        key_a: a.to_owned(),
        key_b: b.to_owned(),
        currency: "USD".to_owned(),
        amount: Amount::from_micros(dollars * 1_000_000),
    };
    let lines = vec![
        line(BillPart::Charges, EC2, "Usage", all),
        line(BillPart::Charges, EC2, "Credit", credit),
        line(BillPart::ByRegion, REGION, ACCOUNT, all),
        line(BillPart::GapByService, EC2, ACCOUNT, gap),
        line(BillPart::GapByRegion, REGION, ACCOUNT, gap),
        line(BillPart::ByTagValue, "Owner", "", gap),
        line(BillPart::ByTagValue, "Owner", "a@example.com", all - gap),
    ];
    let month = MonthBill {
        days: Days::of_month(day),
        asked_at: at(asked_at),
        open_from: (credit == 0).then(|| date(2026, 10, 31)),
        metric: Metric::NetAmortized,
        payer: ACCOUNT.to_owned(),
        scope_fingerprint: "terms".to_owned(),
        requests: 5,
        lines,
    };
    let tags = vec![AllocationTag { key: "Owner".to_owned(), status: TagStatus::Active }];
    BillCollection {
        asked_at: at(asked_at),
        requests: 5,
        months: vec![month],
        tags: Some(tags),
        ..BillCollection::default()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn estate() -> Vec<(Scope, Listing)> {
    vec![instances([("i-1".to_owned(), vec![("Owner", "a@example.com")])])]
}

/// A first reading, a credit that comes late, a night that asks nothing, and one that is refused.
fn ledger(until: i32) -> TestLedger {
    let snapshots = TestLedger::new();
    let refused = BillGap {
        asked_at: at("2026-11-04T23:00:00Z"),
        reason: "denied".to_owned(),
        operation: "ce:GetCostAndUsage".to_owned(),
        message: "not any more".to_owned(),
        needs: 0,
    };
    let refused =
        BillCollection { asked_at: refused.asked_at, requests: 1, gap: Some(refused), ..BillCollection::default() };
    let bills = [
        None,
        Some(october("2026-11-02T23:00:00Z", 100, 40, 0)),
        Some(october("2026-11-03T23:00:00Z", 110, 30, -7)),
        None,
        Some(refused),
    ];
    for (number, bill) in (1..=until).zip(&bills) {
        match bill {
            Some(bill) => snapshots.append_billed(number, estate(), bill),
            None => snapshots.append(number, estate()),
        }
    }
    snapshots
}

/// Total, gap and problem.
fn gap_figures(answer: &Value) -> (Value, Value, Value) {
    let field = |name: &str| answer[name].clone();
    (field("total_cloud_spend"), field("attribution_gap"), answer["cost_source"]["problem"].clone())
}

/// `get_cost_attribution_gap` with `as_of` returns the figures and the billing error of a ledger that ends with that
/// snapshot, for each grouping. A date before the first bill is refused.
#[tokio::test]
async fn cost_gap_as_of_equals_ledger_ending_there() {
    let (all, none) = (ledger(5), Value::Null);
    let server = TestServer::at(&all, "2028-01-01T12:00:00Z").await;
    for (number, right) in [
        (2, (json!(100.0), json!(40.0), none.clone())),
        (3, (json!(103.0), json!(30.0), none.clone())),
        (4, (json!(103.0), json!(30.0), none)),
        (5, (json!(103.0), json!(30.0), json!("ce:GetCostAndUsage: not any more"))),
    ] {
        let ended = ledger(number);
        let then = TestServer::at(&ended, "2028-01-01T12:00:00Z").await;
        for grouping in ["by_resource_type", "by_region", "by_account"] {
            let day = format!("2026-11-0{number}");
            let (mut now, _) = server.ask(TOOL, json!({"as_of": day, "grouping": grouping})).await;
            let (mut then, _) = then.ask(TOOL, json!({"grouping": grouping})).await;
            assert_eq!(gap_figures(&now), right, "as of {day}");
            for answer in [&mut now, &mut then] {
                answer.as_object_mut().unwrap().remove("notes");
            }
            assert_eq!(now, then, "as of {day}");
        }
    }
    let (open, _) = server.ask(TOOL, json!({"as_of": "2026-11-02"})).await;
    assert_eq!(open["estimated_from"], "2026-10-31");
    assert!(open["notes"].to_string().contains("as it was known at that time"), "{open}");
    let before = server.refused(TOOL, json!({"as_of": "2026-11-01"})).await;
    assert!(before.contains("the ledger has no bill"), "{before}");
}

/// A bill as of a snapshot whose program version did not record past bills is refused with that reason. The newest
/// snapshot is answered.
#[tokio::test]
async fn unrecorded_past_bill_is_refused() {
    let snapshots = TestLedger::new();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/ledger/src/tests/ledgers/version-5.sqlite");
    std::fs::copy(stored, snapshots.store()).unwrap();
    drop(LedgerWriter::open(&snapshots.store()).unwrap());
    let server = TestServer::of(&snapshots).await;
    let refused = server.refused(TOOL, json!({"as_of": "2026-01-02"})).await;
    assert!(refused.contains("was written by an earlier version of TagLedger"), "{refused}");
    let (newest, _) = server.ask(TOOL, json!({"as_of": "2026-01-03"})).await;
    assert_eq!(newest["time_period"]["start"], "2025-12-01", "{newest}");
}
