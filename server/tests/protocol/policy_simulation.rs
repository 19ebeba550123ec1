//! Policy simulations, compared with ledgers that were evaluated by the draft.

use serde_json::{Value, json};

use crate::test_server::{TestLedger, TestServer, instances};

/// Other values, a tag more, one less strict, and an exemption.
const DRAFT: &str = r#"{
    "version": "2.0-draft",
    "last_updated": "2026-11-01T00:00:00Z",
    "required_tags": [
        {"name": "CostCenter", "allowed_values": ["Engineering", "Marketing"]},
        {"name": "Owner"},
        {"name": "Stage", "allowed_values": ["live", "test"]}
    ],
    "exemptions": [{"resource_arn": "arn:aws:ec2:*:*:instance/i-2*", "reason": "lab"}]
}"#;

/// What there is in a night: a hundred instances, of which some come, go and are tagged otherwise from night to night.
fn resources_of(number: usize) -> Vec<(String, Vec<(&'static str, &'static str)>)> {
    let current = (0..100).filter(|n| !(n + number).is_multiple_of(17));
    current
        .map(|n| {
            let turn = n + number / 2 * usize::from(n.is_multiple_of(9));
            let mut tags = Vec::new();
            match turn % 4 {
                0 => tags.push(("CostCenter", "Engineering")),
                1 => tags.push(("CostCenter", "Sales")),
                2 => tags.push(("costcenter", "Marketing")),
                _ => {}
            }
            match turn % 3 {
                0 => tags.push(("Owner", "ann@example.com")),
                1 => tags.push(("Owner", "nobody in particular")),
                _ => {}
            }
            if turn.is_multiple_of(2) {
                tags.push(("Stage", if turn.is_multiple_of(8) { "live" } else { "test" }));
            }
            tags.push(("Ticket", ["a", "b", "c", "d", "e"][n % 5]));
            (format!("i-{n}"), tags)
        })
        .collect()
}

fn ledger(policy: Option<&str>) -> TestLedger {
    let mut snapshots = TestLedger::new();
    if let Some(policy) = policy {
        snapshots.evaluate_by(policy);
    }
    for number in 1..=6 {
        snapshots.append(i32::try_from(number).unwrap(), vec![instances(resources_of(number))]);
    }
    snapshots
}

/// A simulation returns the score and the counts of a ledger that was evaluated with the draft, for the newest and for
/// earlier snapshots.
#[tokio::test]
async fn simulation_equals_ledger_with_that_policy() {
    let draft: Value = serde_json::from_str(DRAFT).unwrap();
    let (in_force, evaluated) = (ledger(None), ledger(Some(DRAFT)));
    let (server, truth) = (TestServer::of(&in_force).await, TestServer::of(&evaluated).await);
    let (simulated, _) = server.ask("simulate_policy", json!({"policy": draft, "nights": 5})).await;
    let before = server.ask("check_tag_compliance", json!({})).await.0;
    let after = truth.ask("check_tag_compliance", json!({})).await.0;
    for (answer, checked) in [(&simulated["now"], &before), (&simulated["with_draft"], &after)] {
        assert_eq!(answer["compliance_score"], checked["compliance_score"]);
        assert_eq!(answer["non_compliant"], checked["states"]["non_compliant"], "{checked}");
        assert_eq!(answer["compliant"], checked["states"]["compliant"]);
    }
    let snapshots = simulated["nights"].as_array().unwrap();
    assert_eq!(snapshots.len(), 6);
    let history = truth.ask("get_violation_history", json!({"days_back": 10, "group_by": "day"})).await.0;
    let in_truth: Vec<(&Value, &Value)> = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| (&point["date"], &point["compliance_score"]))
        .collect();
    for night in snapshots {
        assert!(in_truth.contains(&(&night["date"], &night["with_draft"])), "{night} is not of {in_truth:?}");
    }
}

/// The numbers of newly failing, newly passing and newly exempt resources equal those computed from the estate and
/// explain the difference of the compliant resources.
#[tokio::test]
async fn newly_failing_and_passing_add_up() {
    let draft: Value = serde_json::from_str(DRAFT).unwrap();
    let snapshots = ledger(None);
    let server = TestServer::of(&snapshots).await;
    let (answer, _) = server.ask("simulate_policy", json!({"policy": draft, "limit": 50})).await;
    let number = |value: &Value| value.as_i64().unwrap();
    let totals = &answer["totals"];
    let (now, then) = (number(&answer["now"]["compliant"]), number(&answer["with_draft"]["compliant"]));
    // Worked out from the estate: who is compliant now, and by the draft.
    let (mut failing, mut passing, mut exempt) = (0, 0, 0);
    for (id, tags) in resources_of(6) {
        let value = |key: &str| tags.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, value)| *value);
        let right =
            matches!(value("CostCenter"), Some("Engineering" | "Sales")) && value("Owner") == Some("ann@example.com");
        let by_draft = matches!(value("CostCenter"), Some("Engineering" | "Marketing"))
            && value("Owner").is_some()
            && value("Stage").is_some();
        let left_out = id.starts_with("i-2");
        exempt += i64::from(left_out && right);
        failing += i64::from(right && !by_draft && !left_out);
        passing += i64::from(!right && by_draft && !left_out);
    }
    assert!(failing > 0 && passing > 0 && exempt > 0, "{failing} {passing} {exempt}");
    assert_eq!((number(&totals["newly_failing"]), number(&totals["newly_passing"])), (failing, passing));
    assert_eq!(then, now - failing + passing - exempt);
    let examples = answer["examples"].as_array().unwrap();
    assert_eq!(i64::try_from(examples.len()).unwrap(), failing.min(50));
    let changes = answer["draft"]["changes"].to_string();
    for line in ["required tag CostCenter: allowed_values changed", "required tag Stage: added", "exemptions: changed"]
    {
        assert!(changes.contains(line), "{changes}");
    }
    let by_type = &answer["by_type"][0];
    assert_eq!((by_type["name"].as_str().unwrap(), number(&by_type["newly_failing"])), ("ec2:instance", failing));
}

/// All errors of a draft are reported with their paths, and only a plain file name in the policy folder is read. A
/// changed draft file is read again.
#[tokio::test]
async fn draft_errors_are_complete_and_paths_confined() {
    let snapshots = ledger(None);
    let policy = snapshots.policy_file();
    std::fs::write(policy.with_file_name("draft.json"), DRAFT).unwrap();
    let server = TestServer::following(&snapshots, &policy).await;
    let refused = |arguments: Value| server.refused("simulate_policy", arguments);
    let faulty = json!({"version": "1", "required_tags": [{"name": "A", "validation_regex": "("}, {"nome": "B"}]});
    let answer = refused(json!({"policy": faulty})).await;
    for place in ["last_updated", "required_tags[0].validation_regex", "required_tags[1]"] {
        assert!(answer.contains(place), "{answer}");
    }
    for name in ["../policy.json", "/etc/passwd", "..", ".hidden.json", "draft", "a/b.json"] {
        assert!(refused(json!({"policy_file": name})).await.contains("plain file name"), "{name}");
    }
    assert!(refused(json!({"policy_file": "other.json"})).await.contains("does not exist"));
    assert!(refused(json!({})).await.contains("either `policy` or `policy_file`"));
    assert!(refused(json!({"policy": {}, "nights": 31})).await.contains("0 to 30"));
    let by_name = json!({"policy_file": "draft.json"});
    let (first, _) = server.ask("simulate_policy", by_name.clone()).await;
    std::fs::write(policy.with_file_name("draft.json"), DRAFT.replace("2.0-draft", "2.1-draft")).unwrap();
    let (second, _) = server.ask("simulate_policy", by_name).await;
    assert_eq!((&first["draft"]["version"], &second["draft"]["version"]), (&json!("2.0-draft"), &json!("2.1-draft")));
}

/// A draft of more than 256 KiB or more than 60 patterns is refused.
#[tokio::test]
async fn oversized_draft_is_refused() {
    let snapshots = TestLedger::new();
    snapshots.append(1, vec![instances([("i-1".to_owned(), Vec::new())])]);
    let server = TestServer::of(&snapshots).await;
    let tag = |n: usize| json!({"name": format!("T{n}"), "validation_regex": "\\w{200}"});
    let patterns: Vec<Value> = (0..61).map(tag).collect();
    let values: Vec<String> = (0..60_000).map(|n| format!("v{n}")).collect();
    for tags in [json!(patterns), json!([{"name": "T", "allowed_values": values}])] {
        let draft = json!({"version": "1", "last_updated": "2026-01-01T00:00:00Z", "required_tags": tags});
        let refused = server.refused("simulate_policy", json!({"policy": draft})).await;
        assert!(refused.contains("256 KiB and 60 patterns at most"), "{refused}");
    }
}
