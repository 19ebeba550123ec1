//! The answer cache: when an answer is reused, and when it is computed again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::test_server::{TestLedger, TestServer, instances};

const GOOD: [(&str, &str); 2] = [("CostCenter", "Sales"), ("Owner", "ann@example.com")];

/// Identical calls return the same answer until the next snapshot is committed. A ledger that is deleted and created
/// again is answered with its own data.
#[tokio::test]
async fn answers_are_stable_within_snapshot() {
    let ledger = TestLedger::new();
    ledger.append(1, vec![instances([("i-1".to_owned(), vec![])])]);
    let server = TestServer::of(&ledger).await;
    let first = server.ask("check_tag_compliance", json!({})).await;
    assert_eq!(server.ask("check_tag_compliance", json!({})).await, first);
    assert_eq!(first.0["compliance_score"], json!(0.0));

    ledger.append(2, vec![instances([("i-1".to_owned(), GOOD.to_vec())])]);
    let (next, _) = server.ask("check_tag_compliance", json!({})).await;
    assert_eq!((&next["compliance_score"], &next["as_of"]["snapshot_id"]), (&json!(1.0), &json!(2)));
    let (narrowed, _) = server.ask("check_tag_compliance", json!({"severity": "warnings_only"})).await;
    assert_eq!(narrowed["violating_resources"], json!(0));

    ledger.delete();
    ledger.append(1, vec![instances([("i-2".to_owned(), vec![])])]);
    let (other, _) = server.ask("check_tag_compliance", json!({})).await;
    assert_eq!((&other["compliance_score"], &other["as_of"]["snapshot_id"]), (&json!(0.0), &json!(1)));
}

/// Cached answers that name the policy file change within five seconds after the file changes.
#[tokio::test]
async fn policy_file_change_invalidates_answers() {
    let ledger = TestLedger::new();
    ledger.append(1, vec![instances([("i-1".to_owned(), vec![])])]);
    let file = ledger.policy_file();
    let text = std::fs::read_to_string(&file).unwrap();
    let server = TestServer::following(&ledger, &file).await;
    let version = async || server.ask("get_tagging_policy", json!({})).await.0["version"].clone();
    assert_eq!((version().await, version().await), (json!("1.0"), json!("1.0")));
    std::fs::write(&file, text.replace("\"version\": \"1.0\"", "\"version\": \"2.0\"")).unwrap();
    for _ in 0..100 {
        if version().await == json!("2.0") {
            let (checked, _) = server.ask("check_tag_compliance", json!({})).await;
            let notes: Vec<&str> = checked["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert!(notes.iter().any(|note| note.contains("version 2.0")), "{notes:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the old policy is still told");
}

/// An answer that depends on training is not cached before the first training. After the training the answer is new and
/// is cached.
#[tokio::test]
async fn suggestions_are_cached_only_after_training() {
    let ledger = TestLedger::new();
    let estate = (0..30).map(|n| (format!("i-{n:02}"), if n < 20 { GOOD.to_vec() } else { vec![] }));
    ledger.append(1, vec![instances(estate)]);
    let server = TestServer::of(&ledger).await;
    let at_hand = async || {
        let page = server.send("GET", "/metrics", "", "").await.body;
        page.lines().find_map(|line| line.strip_prefix("tagledger_answers_at_hand_total ")).unwrap().to_owned()
    };
    let unlearnt = |answer: &Value| answer["notes"].to_string().contains("The model has not been trained yet");
    for _ in 0..2 {
        assert!(unlearnt(&server.ask("suggest_tags_bulk", json!({})).await.0));
    }
    assert_eq!(at_hand().await, "0", "it may be learnt at any moment");
    ledger.learn();
    let (first, _) = server.ask("suggest_tags_bulk", json!({})).await;
    assert!(!unlearnt(&first), "{first}");
    assert_eq!(server.ask("suggest_tags_bulk", json!({})).await.0, first);
    assert_eq!(at_hand().await, "1");
}
