//! CloudTrail: creation events by event name. awsJson 1.1.

use serde_json::{Value, json};

use crate::{
    account_region::{AccountRegion, Kind},
    errors::ApiError,
    pagination::Paging,
    protocol::{Call, Outcome, Reply},
};

const MAX_PAGE_SIZE: usize = 50;

/// Returns the type that an event creates, the service of the event, and the field that contains the created resource.
fn creation_event(event: &str) -> Option<(Kind, &'static str, &'static str)> {
    Some(match event {
        "RunInstances" => (Kind::Instance, "ec2", "instancesSet"),
        "CreateVolume" => (Kind::Volume, "ec2", "volumeId"),
        "CreateCluster" => (Kind::Cluster, "ecs", "cluster"),
        "CreateService" => (Kind::Service, "ecs", "service"),
        "CreateFunction20150331" => (Kind::Function, "lambda", "functionArn"),
        "CreateDBCluster" => (Kind::DbCluster, "rds", "dBClusterArn"),
        "CreateDBInstance" => (Kind::DbInstance, "rds", "dBInstanceArn"),
        "CreateBucket" => (Kind::Bucket, "s3", "bucketName"),
        _ => return None,
    })
}

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    if call.operation != "LookupEvents" {
        return Err(ApiError::unsupported(call));
    }
    let invalid = |code: &str| ApiError::new(400, code, "The request is not valid.");
    let attribute =
        call.json.pointer("/LookupAttributes/0").ok_or_else(|| invalid("InvalidLookupAttributesException"))?;
    if call.json.pointer("/LookupAttributes/1").is_some() || attribute["AttributeKey"] != "EventName" {
        return Err(invalid("InvalidLookupAttributesException"));
    }
    let name = attribute["AttributeValue"].as_str().unwrap_or_default();
    let time = |field: &str| call.json.get(field).and_then(Value::as_f64);
    let (from, until) = (time("StartTime").unwrap_or(0.0), time("EndTime").unwrap_or(f64::MAX));
    if from > until {
        return Err(invalid("InvalidTimeRangeException"));
    }
    let indexes: Vec<usize> = creation_event(name).map_or_else(Vec::new, |(kind, ..)| {
        let within = |index: &usize| (from..=until).contains(&(account_region.created_second(*index) as f64));
        // The newest events are first.
        let count = if account_region.estate.creators.is_empty() { 0 } else { account_region.count(kind) };
        (0..count).rev().filter(within).collect()
    });
    let size = call
        .page_size("MaxResults", MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        .ok_or_else(|| invalid("InvalidMaxResultsException"))?;
    let scope = call.scope(name);
    let paging = Paging { scope: &scope, token: call.field("NextToken"), size, effect: call.effect.as_ref() };
    let page = paging.page(indexes.len()).ok_or_else(|| invalid("InvalidNextTokenException"))?;
    let events: Vec<Value> = indexes
        .get(page.range)
        .unwrap_or_default()
        .iter()
        .filter_map(|index| event(account_region, name, *index))
        .collect();
    let items = events.len();
    Ok(Reply { body: json!({"Events": events, "NextToken": page.next}).to_string(), items })
}

fn event(account_region: &AccountRegion<'_>, name: &str, index: usize) -> Option<Value> {
    let (kind, source, field) = creation_event(name)?;
    let source = format!("{source}.amazonaws.com");
    let creators = &account_region.estate.creators;
    let principal = creators.get(account_region.recipe(index) % creators.len())?;
    let (id, arn) = (account_region.id(kind, index), account_region.arn(kind, index));
    let created = match kind {
        Kind::Instance => json!({"items": [{"instanceId": id}]}),
        Kind::Volume => json!(id),
        Kind::Cluster => json!({"clusterArn": arn}),
        Kind::Service => json!({"serviceArn": arn}),
        _ => json!(arn),
    };
    // The name of a bucket is in the request, because the response does not contain it.
    let (request, response) = match kind {
        Kind::Bucket => (json!({field: id}), Value::Null),
        _ => (json!({}), json!({field: created})),
    };
    let detail = json!({
        "eventVersion": "1.11", "eventName": name, "eventSource": source, "eventTime": account_region.created(index),
        "awsRegion": account_region.region, "recipientAccountId": account_region.account.id,
        "userIdentity": {"type": "AssumedRole", "arn": principal},
        "requestParameters": request, "responseElements": response,
    });
    Some(json!({
        "EventId": format!("{name}-{index}"), "EventName": name, "EventSource": source,
        "EventTime": account_region.created_second(index), "CloudTrailEvent": detail.to_string(),
    }))
}
