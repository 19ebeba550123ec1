//! Remediation plans, carried out and verified by another scan.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::test_server::{TestLedger, TestServer, instances};

type Tagged = Vec<(String, Vec<(&'static str, &'static str)>)>;

/// Eight groups of ten; every third member lacks its owner, every seventh its cost center too, and one group has no tags at all.
fn estate() -> Tagged {
    const GROUPS: [&str; 8] = ["g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7"];
    const OWNERS: [&str; 8] = [
        "a@example.com",
        "b@example.com",
        "c@example.com",
        "d@example.com",
        "e@example.com",
        "f@example.com",
        "g@example.com",
        "h@example.com",
    ];
    let member = |n: usize| {
        let group = n % 8;
        let mut tags = vec![("aws:autoscaling:groupName", GROUPS[group])];
        if group != 7 {
            if !n.is_multiple_of(3) {
                tags.push(("Owner", OWNERS[group]));
            }
            if !n.is_multiple_of(7) {
                tags.push(("CostCenter", if group.is_multiple_of(2) { "Sales" } else { "Engineering" }));
            }
        }
        (format!("i-{n}"), tags)
    };
    (0..80).map(member).collect()
}

fn ledger() -> TestLedger {
    let snapshots = TestLedger::new();
    snapshots.append(1, vec![instances(estate())]);
    snapshots.learn();
    snapshots
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap_or_else(|| panic!("{value}"))).unwrap()
}

/// A plan contains the smallest number of tag changes that reaches its target score, and the score after its execution
/// equals the target.
#[tokio::test]
async fn applied_plan_reaches_target_with_fewest_changes() {
    let snapshots = ledger();
    let server = TestServer::of(&snapshots).await;
    let (plan, _) = server.ask("plan_fixes", json!({"target": 0.8, "limit": 200, "min_confidence": 0.6})).await;
    assert_eq!((&plan["status"], &plan["by"]), (&json!("planned"), &json!("count")), "no costs are known here");
    // Of 80 judged, 64 are needed; who lacks one tag is fixed before who lacks two.
    let lacking = |tags: &[(&str, &str)]| 2 - tags.iter().filter(|(key, _)| !key.starts_with("aws:")).count();
    let mut lacks: Vec<usize> = estate().iter().map(|(_, tags)| lacking(tags)).filter(|n| *n > 0).collect();
    lacks.sort_unstable();
    let compliant = 80 - lacks.len();
    let fewest: usize = lacks.iter().take(64 - compliant).sum();
    assert_eq!(number(&plan["plan"]["resources"]), 64 - compliant);
    assert_eq!(number(&plan["plan"]["tag_changes"]), fewest);
    // Carried out, together with what a person finds for the rest.
    let mut written: BTreeMap<String, Vec<(&'static str, &'static str)>> = BTreeMap::new();
    let leaked = |value: &Value| -> &'static str { Box::leak(value.as_str().unwrap().to_owned().into_boxed_str()) };
    for change in plan["changes"].as_array().unwrap() {
        for arn in change["resource_arns"].as_array().unwrap() {
            let id = arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            written.entry(id).or_default().push((leaked(&change["tag_key"]), leaked(&change["value"])));
        }
    }
    for open in plan["needs_a_person"].as_array().unwrap() {
        for arn in open["resource_arns"].as_array().unwrap() {
            let id = arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let value = if open["tag_key"] == "Owner" { "person@example.com" } else { "Sales" };
            written.entry(id).or_default().push((leaked(&open["tag_key"]), value));
        }
    }
    assert_eq!(written.values().map(Vec::len).sum::<usize>(), fewest);
    let fixed: Tagged = estate()
        .into_iter()
        .map(|(id, mut tags)| {
            tags.extend(written.get(&id).into_iter().flatten());
            (id, tags)
        })
        .collect();
    snapshots.append(2, vec![instances(fixed)]);
    let server = TestServer::of(&snapshots).await;
    let (checked, _) = server.ask("check_tag_compliance", json!({})).await;
    assert_eq!(checked["compliance_score"], 0.8);
    let (again, _) = server.ask("plan_fixes", json!({"target": 0.8})).await;
    assert_eq!((&again["status"], number(&again["plan"]["resources"])), (&json!("already_met"), 0));
}

/// Every value of a plan is a value that a member of the same group has. Scripts for the AWS CLI, Terraform and Cloud
/// Custodian are written on request only.
#[tokio::test]
async fn plan_values_come_from_groups() {
    let snapshots = ledger();
    let server = TestServer::of(&snapshots).await;
    let ask = |format: &str| json!({"target": 1.0, "limit": 200, "min_confidence": 0.6, "format": format});
    let (plan, _) = server.ask("plan_fixes", ask("aws_cli")).await;
    let known = estate();
    for change in plan["changes"].as_array().unwrap() {
        for arn in change["resource_arns"].as_array().unwrap() {
            let id = arn.as_str().unwrap().rsplit('/').next().unwrap();
            let group: usize = id.trim_start_matches("i-").parse::<usize>().unwrap() % 8;
            let kin = known.iter().enumerate().filter(|(n, _)| n % 8 == group);
            let key = change["tag_key"].as_str().unwrap();
            let values: Vec<&str> =
                kin.filter_map(|(_, (_, tags))| tags.iter().find(|(k, _)| *k == key)).map(|(_, v)| *v).collect();
            assert!(values.contains(&change["value"].as_str().unwrap()), "{change}");
        }
    }
    // Of the group in which nobody has tags, nothing is known.
    assert!(!plan["needs_a_person"].as_array().unwrap().is_empty());
    let script = plan["script"].as_str().unwrap();
    assert!(script.starts_with("#!/bin/sh") && script.contains("resourcegroupstaggingapi tag-resources"), "{script}");
    assert!(server.ask("plan_fixes", ask("terraform")).await.0["script"].as_str().unwrap().contains("aws_ec2_tag"));
    assert!(
        server.ask("plan_fixes", ask("custodian")).await.0["script"].as_str().unwrap().contains("resource: aws.ec2")
    );
    let (without, _) = server.ask("plan_fixes", json!({"target": 1.0})).await;
    assert_eq!(without["script"], Value::Null);
    assert!(without["notes"].to_string().contains("more resources are in the plan"), "{}", without["notes"]);
}

/// A target outside 0 to 1, an objective without data, a limit out of range and an unscanned resource type are refused
/// with the reason.
#[tokio::test]
async fn invalid_targets_are_refused() {
    let snapshots = ledger();
    let server = TestServer::of(&snapshots).await;
    for target in [json!(0), json!(-1), json!(1.2)] {
        assert!(server.refused("plan_fixes", json!({"target": target})).await.contains("above 0 and at most 1"));
    }
    assert!(server.refused("plan_fixes", json!({"by": "cost"})).await.contains("`by` `count`"));
    assert!(server.refused("plan_fixes", json!({"limit": 0})).await.contains("1 to 200"));
    assert!(server.refused("plan_fixes", json!({"resource_types": ["s3:bucket"]})).await.contains("was not scanned"));
}
