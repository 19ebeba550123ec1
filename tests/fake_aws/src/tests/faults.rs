//! Tests of injected faults and of the request log.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Ask, count, ecs, estate, faulty, start, tagging, text};
use crate::{Counts, Effect, Faults, Rule};

/// Each injected fault gives the HTTP status and the error code of the respective service, and is counted once.
#[tokio::test]
async fn faults_use_service_specific_errors() {
    for (effect, service, status, code) in [
        (Effect::Throttle, "ec2", 503, "RequestLimitExceeded"),
        (Effect::Throttle, "rds", 400, "Throttling"),
        (Effect::Throttle, "s3", 503, "SlowDown"),
        (Effect::Throttle, "lambda", 429, "TooManyRequestsException"),
        (Effect::Throttle, "ecs", 400, "ThrottlingException"),
        (Effect::Deny, "ec2", 403, "UnauthorizedOperation"),
        (Effect::Deny, "rds", 403, "AccessDenied"),
        (Effect::Deny, "lambda", 403, "AccessDeniedException"),
        (Effect::DenyByScp, "s3", 403, "with an explicit deny in a service control policy"),
        (Effect::ServerError, "ecs", 500, "ServerException"),
        (Effect::ExpiredToken, "ec2", 400, "RequestExpired"),
        (Effect::NotEnabled, "lambda", 403, "UnrecognizedClientException"),
    ] {
        let fake = faulty(Rule::new(effect).service(service)).await;
        let ask = match service {
            "s3" => Ask::get("s3", "/"),
            "lambda" => Ask::get("lambda", "/2015-03-31/functions"),
            "ecs" => ecs("ListClusters", &json!({})),
            "rds" => Ask::form("rds", "Action=DescribeDBClusters"),
            _ => Ask::form(service, "Action=DescribeInstances"),
        };
        let raw = ask.raw(&fake).await;
        assert!(raw.starts_with(&format!("HTTP/1.1 {status} ")) && raw.contains(code), "{service}: {raw}");
        assert_eq!((fake.fault_hits(), fake.request_log().faulted().count()), (vec![1], 1));
    }
}

/// A fault rule applies only to the operation, region, resource and occurrence that it selects.
#[tokio::test]
async fn fault_rule_matches_only_selected_calls() {
    let fake = faulty(Rule::new(Effect::Throttle).operation("DescribeVolumes").region("eu-west-1").every(2)).await;
    let mut statuses = Vec::new();
    for region in ["us-east-1", "eu-west-1", "us-east-1", "eu-west-1", "eu-west-1", "eu-west-1"] {
        statuses.push(Ask::form("ec2", "Action=DescribeVolumes").region(region).send(&fake).await.0);
    }
    assert_eq!(statuses, [200, 200, 200, 503, 200, 503]);
    fake.set_faults(Faults::none().with(Rule::new(Effect::Deny).resource("cluster:9").nth(1)));
    let body = "Action=DescribeDBClusters&DBClusterIdentifier=cluster%3A9";
    assert_eq!(Ask::form("rds", body).send(&fake).await.0, 403);
    assert_eq!(Ask::form("rds", body).send(&fake).await.0, 404);
}

/// A cut body is shorter than its declared content length, while a truncated document has the declared length but no
/// closing element.
#[tokio::test]
async fn cut_body_differs_from_truncated_document() {
    let fake = faulty(Rule::new(Effect::Cut).nth(1)).await;
    let declared = |raw: &str| -> usize {
        raw.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap()
    };
    let ask = Ask::form("ec2", "Action=DescribeInstances");
    let raw = ask.raw(&fake).await;
    let body = raw.split_once("\r\n\r\n").unwrap().1;
    assert!(!body.is_empty() && body.len() < declared(&raw), "{} of {}", body.len(), declared(&raw));
    fake.set_faults(Faults::none().with(Rule::new(Effect::TruncatedXml)));
    let raw = ask.raw(&fake).await;
    let body = raw.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(body.len(), declared(&raw));
    assert!(!body.contains("</DescribeInstancesResponse>"));
}

/// An empty page with a token leads to the next full page, and the repeated-token fault returns the same page token
/// again.
#[tokio::test]
async fn empty_page_continues_and_repeated_token_loops() {
    let fake = faulty(Rule::new(Effect::EmptyPageWithToken).nth(1)).await;
    let ask = |token: &str| Ask::form("ec2", &format!("Action=DescribeVolumes&MaxResults=20{token}"));
    let (_, empty) = ask("").send(&fake).await;
    let token = text(&empty, "nextToken").unwrap().to_owned();
    let (_, full) = ask(&format!("&NextToken={token}")).send(&fake).await;
    assert_eq!((count(&empty, "<volumeType>"), count(&full, "<volumeType>")), (0, 20));
    fake.set_faults(Faults::none().with(Rule::new(Effect::RepeatedToken)));
    let (_, again) = ask(&format!("&NextToken={token}")).send(&fake).await;
    assert_eq!(text(&again, "nextToken"), Some(token.as_str()));
}

/// Deleted resources appear only in the Tagging API while the ghost fault is active, and disappear when it is removed.
#[tokio::test]
async fn ghosts_appear_only_in_tagging_api() {
    let fake = faulty(Rule::new(Effect::Ghosts)).await;
    let page = tagging(&json!({"ResourceTypeFilters": ["lambda"]})).value(&fake).await;
    let arns: Vec<String> = fake.estate().resources().map(|resource| resource.arn).collect();
    let unknown = page["ResourceTagMappingList"].as_array().unwrap().iter();
    let unknown: Vec<&Value> = unknown.filter(|m| !arns.iter().any(|arn| m["ResourceARN"] == **arn)).collect();
    assert_eq!(unknown.len(), 2, "two of three deleted resources were ever tagged");
    let request = json!({"ResourceARNList": [unknown[0]["ResourceARN"]]});
    assert_eq!(tagging(&request).value(&fake).await["ResourceTagMappingList"].as_array().unwrap().len(), 1);
    fake.set_faults(Faults::none());
    assert_eq!(tagging(&request).value(&fake).await["ResourceTagMappingList"], json!([]));
}

/// The slow fault delays a response by the configured time, and the response is still successful.
#[tokio::test]
async fn slow_fault_delays_correct_response() {
    let fake = faulty(Rule::new(Effect::Slow(Duration::from_millis(80)))).await;
    let started = Instant::now();
    assert_eq!(Ask::form("ec2", "Action=DescribeVolumes").send(&fake).await.0, 200);
    assert!(started.elapsed() >= Duration::from_millis(80));
}

/// Lambda calls of one region share a rate limit with a burst of 15, and calls in another region are not affected.
#[tokio::test]
async fn lambda_rate_limit_is_shared_per_region() {
    let fake = start(estate(Counts::each(1))).await.with_rate_limits();
    let ask = Ask::get("lambda", "/2015-03-31/functions");
    let mut throttled = 0;
    for _ in 0..60 {
        throttled += usize::from(ask.send(&fake).await.0 == 429);
    }
    assert!(throttled > 0, "sixty calls at once passed a bucket of fifteen");
    assert_eq!(Ask::get("lambda", "/2015-03-31/functions").region("eu-west-1").send(&fake).await.0, 200);
    assert!(fake.request_log().faulted().all(|request| request.fault == Some("rate limit")));
}

/// The request log counts each operation and its items, and lists unsupported operations with status 501. It can be
/// cleared.
#[tokio::test]
async fn request_log_records_unsupported_operations() {
    let fake = start(estate(Counts::each(3))).await;
    Ask::form("ec2", "Action=DescribeVolumes").send(&fake).await;
    Ask::form("ec2", "Action=RunInstances").send(&fake).await;
    Ask::get("s3", "/bucket/key").send(&fake).await;
    Ask::json("dynamodb", "DynamoDB_20120810.ListTables", &json!({})).send(&fake).await;
    let log = fake.request_log();
    assert_eq!(log.count("ec2", "DescribeVolumes"), 1);
    assert_eq!(log.requests[0].items, 3);
    let unsupported: Vec<_> = log.unsupported().map(|r| (r.service.as_str(), r.operation.as_str(), r.status)).collect();
    assert_eq!(
        unsupported,
        [("ec2", "RunInstances", 501), ("s3", "GET /bucket/key", 501), ("dynamodb", "ListTables", 501)]
    );
    fake.clear_request_log();
    assert!(fake.request_log().is_empty());
}

/// Dropping the fake server closes its listening socket.
#[tokio::test]
async fn dropped_server_stops_listening() {
    let fake = start(estate(Counts::default())).await;
    let address = fake.endpoint().trim_start_matches("http://").to_owned();
    drop(fake);
    for _ in 0..100 {
        if TcpStream::connect(&address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still listening on {address}");
}
