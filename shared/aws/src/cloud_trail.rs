//! CloudTrail: the creators of resources that were created in the last 90 days.
//!
//! Events are looked up by event name, not by resource, because CloudTrail accepts only two requests per second.

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

pub(crate) const LOOKUP_EVENTS: Operation = Operation::new("cloudtrail:LookupEvents", CLOUD_TRAIL);

/// The maximum page size of `LookupEvents`.
const MAX_PAGE_SIZE: i32 = 50;

/// Reads the creators of resources of a type, the newest events first, to the last page or until the request limit.
pub(crate) async fn list_creation_events(
    session: &Session,
    resource_type: ResourceType,
    from: Timestamp,
    until: Timestamp,
    max_requests: u64,
) -> CreationEvents {
    let (mut creations, mut remaining) = (CreationEvents::default(), max_requests);
    for event in resource_type.spec().created_by {
        let end =
            read_events(session, (resource_type, event), [from, until], &mut remaining, &mut creations.found).await;
        if let Err(gap) = end {
            creations.gap = Some(gap);
            break;
        }
    }
    creations
}

async fn read_events(
    session: &Session,
    (resource_type, creation): (ResourceType, &CreationEvent),
    [from, until]: [Timestamp; 2],
    remaining: &mut u64,
    found: &mut Vec<Creation>,
) -> Result<(), Gap> {
    let name = LookupAttribute::builder().attribute_key(LookupAttributeKey::EventName).attribute_value(creation.name);
    let name = name.build().map_err(|error| listing_builder::malformed_response(LOOKUP_EVENTS, &error.to_string()))?;
    let request = session
        .cloud_trail()
        .lookup_events()
        .lookup_attributes(name)
        .start_time(DateTime::from_secs(from.as_second()))
        .end_time(DateTime::from_secs(until.as_second()))
        .max_results(MAX_PAGE_SIZE);
    let mut pages = Paginator::new(LOOKUP_EVENTS);
    while let Some(token) = pages.next_page() {
        let Some(rest) = remaining.checked_sub(1) else { return Ok(()) };
        *remaining = rest;
        let page = session.send(LOOKUP_EVENTS, request.clone().set_next_token(token).send()).await?;
        for event in page.events().iter().filter_map(|event| event.cloud_trail_event()) {
            found.extend(creations_in_event(session, resource_type, creation, event));
        }
        pages.advance(page.next_token())?;
    }
    Ok(())
}

/// Returns the resources that one event created, with their creator. Empty if the call failed, or if the event is of another
/// service or malformed.
fn creations_in_event(
    session: &Session,
    resource_type: ResourceType,
    creation: &CreationEvent,
    event: &str,
) -> Vec<Creation> {
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
    let arns = strings_at(&event, creation.resource).into_iter().filter_map(arn);
    arns.map(|arn| Creation { arn, principal: principal.clone() }).collect()
}

/// Returns the ARN of the principal that made the call. `None` if an AWS service made it through a service-linked role.
fn principal(event: &Value) -> Option<String> {
    let text = |path: &str| event.pointer(path).and_then(Value::as_str);
    let issuer = text("/userIdentity/sessionContext/sessionIssuer/arn").unwrap_or_default();
    let arn = text("/userIdentity/arn").filter(|_| !issuer.contains(":role/aws-service-role/"))?;
    arn.starts_with("arn:").then(|| arn.to_owned())
}

/// Returns the strings at a JSON pointer. The segment `*` stands for every item of an array.
fn strings_at<'v>(value: &'v Value, pointer: &str) -> Vec<&'v str> {
    match pointer.split_once("/*") {
        Some((array, rest)) => {
            let items = value.pointer(array).and_then(Value::as_array).into_iter().flatten();
            items.flat_map(|item| strings_at(item, rest)).collect()
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
        assert_eq!(strings_at(&event, "/responseElements/items/*/id"), ["i-1", "i-2"]);
        assert_eq!(strings_at(&event, "/responseElements/arn"), ["arn:x"]);
        assert!(strings_at(&event, "/responseElements/absent/*/id").is_empty());
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
