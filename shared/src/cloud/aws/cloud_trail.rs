//! CloudTrail: who created what, in the last ninety days.
//!
//! It is asked by the name of a call, never by a resource: it answers two requests a second.

use aws_sdk_cloudtrail::{
    primitives::DateTime,
    types::{LookupAttribute, LookupAttributeKey},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    found,
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
};
use crate::{
    cloud::{Creation, Creations},
    inventory::Gap,
};

const LOOK_UP: Operation = Operation::new("cloudtrail:LookupEvents", Family::CloudTrail);

/// The most that AWS gives on a page.
const PER_PAGE: i32 = 50;

/// How resources of a type come into being.
pub(super) struct Creating {
    /// The name of the event.
    pub(super) event: &'static str,
    /// The service that says so: several have calls of the same name.
    pub(super) source: &'static str,
    /// The ARNs of what an event created.
    pub(super) created: fn(&Session, &Value) -> Vec<String>,
}

/// Reads the newest first, to the last page or until that many requests were made.
pub(super) async fn creations(
    session: &Session,
    of: &Creating,
    from: Timestamp,
    until: Timestamp,
    most_requests: u64,
) -> Creations {
    let mut creations = Creations::default();
    creations.gap = read(session, of, [from, until], most_requests, &mut creations.found).await.err();
    creations
}

async fn read(
    session: &Session,
    of: &Creating,
    [from, until]: [Timestamp; 2],
    most_requests: u64,
    found: &mut Vec<Creation>,
) -> Result<(), Gap> {
    let name = LookupAttribute::builder().attribute_key(LookupAttributeKey::EventName).attribute_value(of.event);
    let name = name.build().map_err(|error| found::senseless(LOOK_UP, &error.to_string()))?;
    let request = session
        .cloud_trail()
        .lookup_events()
        .lookup_attributes(name)
        .start_time(DateTime::from_secs(from.as_second()))
        .end_time(DateTime::from_secs(until.as_second()))
        .max_results(PER_PAGE);
    let (mut pages, mut requests) = (Pages::of(LOOK_UP), 0);
    while let Some(token) = pages.next() {
        if requests == most_requests {
            return Ok(());
        }
        requests += 1;
        let page = session.send(LOOK_UP, request.clone().set_next_token(token).send()).await?;
        for event in page.events().iter().filter_map(|event| event.cloud_trail_event()) {
            found.extend(created(session, of, event));
        }
        pages.turn(page.next_token())?;
    }
    Ok(())
}

/// What one event created, and by whom; nothing of one that failed, of another service, or that cannot be read.
fn created(session: &Session, of: &Creating, event: &str) -> Vec<Creation> {
    let Ok(event) = serde_json::from_str::<Value>(event) else { return Vec::new() };
    let failed = event.get("errorCode").is_some_and(|code| !code.is_null());
    if failed || event.get("eventSource").and_then(Value::as_str) != Some(of.source) {
        return Vec::new();
    }
    let Some(principal) = principal(&event) else { return Vec::new() };
    let arns = (of.created)(session, &event).into_iter().filter_map(|arn| arn.parse().ok());
    arns.map(|arn| Creation { arn, principal: principal.clone() }).collect()
}

/// Who did it; none where an AWS service did it for itself.
fn principal(event: &Value) -> Option<String> {
    let text = |path: &str| event.pointer(path).and_then(Value::as_str);
    let issuer = text("/userIdentity/sessionContext/sessionIssuer/arn").unwrap_or_default();
    let arn = text("/userIdentity/arn").filter(|_| !issuer.contains(":role/aws-service-role/"))?;
    arn.starts_with("arn:").then(|| arn.to_owned())
}

/// The text at one place of an event, if it is there.
pub(super) fn at(event: &Value, path: &str) -> Vec<String> {
    event.pointer(path).and_then(Value::as_str).map(str::to_owned).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_or_a_role_creates_and_a_service_for_itself_does_not() {
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
