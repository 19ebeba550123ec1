//! CloudTrail: who created what, in the last ninety days.
//!
//! It is asked by the name of a call, never by a resource: it answers two requests a second.

use aws_sdk_cloudtrail::{
    primitives::DateTime,
    types::{LookupAttribute, LookupAttributeKey},
};
use jiff::Timestamp;
use serde_json::Value;
use tagledger_cloud::CreationEvents;
use tagledger_model::{
    ResourceType, account::Creation, api::Operation, inventory::Gap, resource_types::spec::CreationEvent,
};

use crate::{listing_builder, paginator::Paginator, rate_limits::CLOUD_TRAIL, session::Session};

pub(crate) const LOOK_UP: Operation = Operation::new("cloudtrail:LookupEvents", CLOUD_TRAIL);

/// The most that AWS gives on a page.
const PER_PAGE: i32 = 50;

/// Reads the creators of resources of a type, the newest events first, to the last page or until the request limit.
pub(crate) async fn list_creation_events(
    session: &Session,
    resource_type: ResourceType,
    from: Timestamp,
    until: Timestamp,
    max_requests: u64,
) -> CreationEvents {
    let (mut creations, mut budget) = (CreationEvents::default(), max_requests);
    for event in resource_type.spec().created_by {
        let end = read(session, (resource_type, event), [from, until], &mut budget, &mut creations.found).await;
        if let Err(gap) = end {
            creations.gap = Some(gap);
            break;
        }
    }
    creations
}

async fn read(
    session: &Session,
    (resource_type, creation): (ResourceType, &CreationEvent),
    [from, until]: [Timestamp; 2],
    budget: &mut u64,
    found: &mut Vec<Creation>,
) -> Result<(), Gap> {
    let name = LookupAttribute::builder().attribute_key(LookupAttributeKey::EventName).attribute_value(creation.name);
    let name = name.build().map_err(|error| listing_builder::malformed_response(LOOK_UP, &error.to_string()))?;
    let request = session
        .cloud_trail()
        .lookup_events()
        .lookup_attributes(name)
        .start_time(DateTime::from_secs(from.as_second()))
        .end_time(DateTime::from_secs(until.as_second()))
        .max_results(PER_PAGE);
    let mut pages = Paginator::new(LOOK_UP);
    while let Some(token) = pages.next_page() {
        let Some(rest) = budget.checked_sub(1) else { return Ok(()) };
        *budget = rest;
        let page = session.send(LOOK_UP, request.clone().set_next_token(token).send()).await?;
        for event in page.events().iter().filter_map(|event| event.cloud_trail_event()) {
            found.extend(created(session, resource_type, creation, event));
        }
        pages.advance(page.next_token())?;
    }
    Ok(())
}

/// The resources that one event created, with their creator. None if the event failed, is of another service or is malformed.
fn created(session: &Session, resource_type: ResourceType, creation: &CreationEvent, event: &str) -> Vec<Creation> {
    let Ok(event) = serde_json::from_str::<Value>(event) else { return Vec::new() };
    let failed = event.get("errorCode").is_some_and(|code| !code.is_null());
    if failed || event.get("eventSource").and_then(Value::as_str) != Some(creation.source) {
        return Vec::new();
    }
    let Some(principal) = principal(&event) else { return Vec::new() };
    let arn = |resource: &str| {
        let is_arn = resource.starts_with("arn:");
        if is_arn { resource.parse().ok() } else { session.arn(resource_type, resource).parse().ok() }
    };
    let arns = texts_at(&event, creation.resource).into_iter().filter_map(arn);
    arns.map(|arn| Creation { arn, principal: principal.clone() }).collect()
}

/// Who did it; none where an AWS service did it for itself.
fn principal(event: &Value) -> Option<String> {
    let text = |path: &str| event.pointer(path).and_then(Value::as_str);
    let issuer = text("/userIdentity/sessionContext/sessionIssuer/arn").unwrap_or_default();
    let arn = text("/userIdentity/arn").filter(|_| !issuer.contains(":role/aws-service-role/"))?;
    arn.starts_with("arn:").then(|| arn.to_owned())
}

/// The texts at a JSON pointer. The segment `*` stands for every item of an array.
fn texts_at<'v>(value: &'v Value, pointer: &str) -> Vec<&'v str> {
    match pointer.split_once("/*") {
        Some((array, rest)) => {
            let items = value.pointer(array).and_then(Value::as_array).into_iter().flatten();
            items.flat_map(|item| texts_at(item, rest)).collect()
        }
        None => value.pointer(pointer).and_then(Value::as_str).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An event names the created resource by one text, or by one text in each item of an array.
    #[test]
    fn created_resources_are_read_at_pointer() {
        let event = json!({"responseElements": {"items": [{"id": "i-1"}, {"id": "i-2"}, {}], "arn": "arn:x"}});
        assert_eq!(texts_at(&event, "/responseElements/items/*/id"), ["i-1", "i-2"]);
        assert_eq!(texts_at(&event, "/responseElements/arn"), ["arn:x"]);
        assert!(texts_at(&event, "/responseElements/absent/*/id").is_empty());
    }

    /// The creator of a resource is the ARN of a user or role session. Service-linked roles, events invoked by AWS
    /// services and invalid ARNs give no creator.
    #[test]
    fn creator_is_principal_but_not_service_role() {
        let by = |arn: &str, issuer: &str| {
            principal(&json!({"userIdentity": {"arn": arn, "sessionContext": {"sessionIssuer": {"arn": issuer}}}}))
        };
        let session = "arn:aws:sts::111111111111:assumed-role/Developer/ada@example.com";
        assert_eq!(by(session, "arn:aws:iam::111111111111:role/Developer").as_deref(), Some(session));
        let service =
            "arn:aws:iam::111111111111:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
        assert_eq!(
            by("arn:aws:sts::111111111111:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling", service),
            None
        );
        assert_eq!(principal(&json!({"userIdentity": {"invokedBy": "autoscaling.amazonaws.com"}})), None);
        assert_eq!(principal(&json!({"userIdentity": {"arn": "nobody"}})), None);
    }
}
