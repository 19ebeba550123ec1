//! Descriptions of ECS resources, which the listers of clusters and services share.

use std::collections::HashMap;

use aws_sdk_ecs::{
    error::ProvideErrorMetadata,
    types::{Failure, Tag},
};
use jiff::Timestamp;
use tagledger_model::{
    Arn,
    api::Operation,
    inventory::{Gap, Relationships, TagSet, Tags},
    resource_types::ecs,
};

use crate::{
    listing_builder::{ListingBuilder, arn, malformed_response, tag_set},
    session::Session,
    tags::{InlineTags, TagFetch},
};

const LIST_TAGS: Operation = ecs::LIST_TAGS;

/// The fields of a cluster or service in the response of a describe operation.
pub(crate) struct Description {
    pub(crate) active: bool,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) tags: TagSet,
}

/// A listed resource after a describe operation. The tags are unknown if ECS did not describe the resource.
pub(crate) struct Described {
    pub(crate) arn: String,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) tags: Tags,
}

/// Whether a cluster or service exists. ECS still describes deleted ones for some time, with the status `INACTIVE`.
pub(crate) fn is_active(status: Option<&str>) -> bool {
    status != Some("INACTIVE")
}

/// Converts tags of ECS.
pub(crate) fn convert_tags(tags: &[Tag]) -> TagSet {
    tag_set(tags.iter().map(|tag| (tag.key(), tag.value())))
}

/// Combines the requested ARNs with the response of a describe operation. Deleted resources are left out. The tags of a
/// resource are unknown if it is neither described nor reported as missing.
pub(crate) fn reconcile(
    operation: Operation,
    requested: &[String],
    mut descriptions: HashMap<&str, Description>,
    failures: &[Failure],
) -> Vec<Described> {
    let reconcile_one = |arn: &String| {
        let (created_at, tags) = match descriptions.remove(arn.as_str()) {
            Some(description) if !description.active => return None,
            Some(description) => (description.created_at, Tags::Known(description.tags)),
            None => {
                let failure = failures.iter().find(|failure| failure.arn() == Some(arn));
                (None, Tags::Unknown(gap_from_failure(operation, failure)?))
            }
        };
        Some(Described { arn: arn.clone(), created_at, tags })
    };
    requested.iter().filter_map(reconcile_one).collect()
}

/// Converts the failure of a resource to a gap. `None` if the resource does not exist.
fn gap_from_failure(operation: Operation, failure: Option<&Failure>) -> Option<Gap> {
    match failure.map(|failure| failure.reason().unwrap_or("no reason given")) {
        Some("MISSING") => None,
        Some(reason) => Some(malformed_response(operation, &format!("ECS did not describe the resource: {reason}"))),
        None => Some(malformed_response(operation, "the response does not contain the resource")),
    }
}

/// Converts listed ARNs to resources whose tags are still to be fetched. Invalid ARNs are recorded as a gap.
pub(crate) fn tag_fetches(operation: Operation, arns: &[String], listing: &mut ListingBuilder) -> Vec<TagFetch> {
    let convert = |text: &String| {
        let arn = arn(operation, Some(text))?;
        Ok(TagFetch { links: links(&arn), arn, created_at: None })
    };
    listing.collect_ok(arns.iter().map(convert))
}

impl ListingBuilder {
    /// Adds a resource after a describe operation.
    pub(crate) fn add_described(&mut self, operation: Operation, described: Described) {
        let Described { arn: text, created_at, tags } = described;
        self.add(
            arn(operation, Some(&text)).map(|arn| TagFetch { links: links(&arn), arn, created_at }.with_tags(tags)),
        );
    }
}

/// Returns the relationships of a cluster or service. The parent of a service is its cluster, which its ARN contains.
fn links(arn: &Arn) -> Relationships {
    let service = arn.as_str().split_once(":service/");
    let cluster = service.and_then(|(prefix, rest)| Some((prefix, rest.split_once('/')?.0)));
    Relationships::to(cluster.and_then(|(prefix, cluster)| format!("{prefix}:cluster/{cluster}").parse().ok()), [])
}

/// Fetches tags through `ecs:ListTagsForResource`.
pub(crate) struct EcsTags;

impl InlineTags for EcsTags {
    async fn fetch(session: &Session, arn: &Arn) -> Result<Option<TagSet>, Gap> {
        let request = session.ecs().list_tags_for_resource().resource_arn(arn.as_str());
        match session.send_raw(LIST_TAGS, request.send()).await {
            Ok(response) => Ok(Some(convert_tags(response.tags()))),
            Err(error) => match error.code() {
                Some("ResourceNotFoundException" | "ClusterNotFoundException" | "ServiceNotFoundException") => Ok(None),
                _ => Err(session.gap_from_error(LIST_TAGS, &error)),
            },
        }
    }
}
