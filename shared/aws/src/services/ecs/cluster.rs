//! ECS clusters, and what the list of services shares with theirs.

use std::collections::HashMap;

use aws_sdk_ecs::{
    error::ProvideErrorMetadata,
    types::{Cluster, ClusterField, Failure, Tag},
};
use jiff::Timestamp;
use tagledger_model::{
    Arn,
    api::Operation,
    inventory::{Gap, Listing, Relationships, TagSet, Tags},
    resource_types::ecs,
};

use crate::{
    listing_builder::{ListingBuilder, arn, malformed_response, tag_set},
    paginator::Paginator,
    session::Session,
    tags::{self, InlineTags, TagFetch},
};

const LIST: Operation = ecs::LIST_CLUSTERS;

const DESCRIBE: Operation = ecs::DESCRIBE_CLUSTERS;

const LIST_TAGS: Operation = ecs::LIST_TAGS;

/// The most that AWS lists on a page, and describes in a request.
const PER_PAGE: i32 = 100;

pub(crate) async fn list(session: &Session) -> Listing {
    let mut listing = ListingBuilder::default();
    let end = read(session, &mut listing).await;
    listing.finish(end)
}

pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    let names: Vec<String> = arns.iter().map(Arn::to_string).collect();
    match describe(session, &names).await {
        Ok(described) => {
            let mut listing = ListingBuilder::default();
            described.into_iter().for_each(|cluster| listing.add_described(DESCRIBE, cluster));
            listing.finish(Ok(()))
        }
        Err(gap) if gap.reason.is_refusal() => tags::look_up::<EcsTags>(session, arns).await,
        Err(gap) => Listing { resources: Vec::new(), gap: Some(gap) },
    }
}

async fn read(session: &Session, listing: &mut ListingBuilder) -> Result<(), Gap> {
    let mut pages = Paginator::new(LIST);
    while let Some(token) = pages.next_page() {
        let (arns, next) = page(session, token).await?;
        match describe(session, &arns).await {
            Ok(described) => described.into_iter().for_each(|cluster| listing.add_described(DESCRIBE, cluster)),
            Err(gap) => {
                tracing::debug!(account = %session.account, region = %session.region, %gap, "reading tags by name");
                let listed = named(LIST, &arns, listing);
                listing.extend(tags::fetch::<EcsTags>(session, listed).await);
            }
        }
        pages.advance(next.as_deref())?;
    }
    Ok(())
}

/// A page of the ARNs of clusters, and the token of the next.
pub(crate) async fn page(session: &Session, token: Option<String>) -> Result<(Vec<String>, Option<String>), Gap> {
    let request = session.ecs().list_clusters().max_results(PER_PAGE).set_next_token(token);
    let page = session.send(LIST, request.send()).await?;
    Ok((page.cluster_arns.unwrap_or_default(), page.next_token))
}

async fn describe(session: &Session, arns: &[String]) -> Result<Vec<Described>, Gap> {
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let request = session.ecs().describe_clusters().set_clusters(Some(arns.to_vec())).include(ClusterField::Tags);
    let answer = session.send(DESCRIBE, request.send()).await?;
    let clusters = answer.clusters().iter().filter_map(|cluster| Some((cluster.cluster_arn()?, description(cluster))));
    Ok(reconcile(DESCRIBE, arns, clusters.collect(), answer.failures()))
}

fn description(cluster: &Cluster) -> Description {
    Description { active: is_active(cluster.status()), created_at: None, tags: tags_of(cluster.tags()) }
}

/// An inactive cluster or service was deleted, and is still described for a while.
pub(crate) fn is_active(status: Option<&str>) -> bool {
    status != Some("INACTIVE")
}

pub(crate) fn tags_of(tags: &[Tag]) -> TagSet {
    tag_set(tags.iter().map(|tag| (tag.key(), tag.value())))
}

/// What ECS says about one of its resources.
pub(crate) struct Description {
    pub(crate) active: bool,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) tags: TagSet,
}

/// A resource by the name that the list gave it, with its tags or the reason why they are not known.
pub(crate) struct Described {
    pub(crate) arn: String,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) tags: Tags,
}

/// Brings together what was asked for and what was answered. Deleted resources are left out; one that was neither
/// described nor reported missing has unknown tags.
pub(crate) fn reconcile(
    operation: Operation,
    asked: &[String],
    mut described: HashMap<&str, Description>,
    failures: &[Failure],
) -> Vec<Described> {
    let one = |arn: &String| {
        let (created_at, tags) = match described.remove(arn.as_str()) {
            Some(description) if !description.active => return None,
            Some(description) => (description.created_at, Tags::Known(description.tags)),
            None => (None, Tags::Unknown(missed(operation, failures.iter().find(|f| f.arn() == Some(arn)))?)),
        };
        Some(Described { arn: arn.clone(), created_at, tags })
    };
    asked.iter().filter_map(one).collect()
}

/// Why a resource was not described; none when it has gone.
fn missed(operation: Operation, failure: Option<&Failure>) -> Option<Gap> {
    match failure.map(|failure| failure.reason().unwrap_or("no reason given")) {
        Some("MISSING") => None,
        Some(reason) => Some(malformed_response(operation, &format!("ECS did not describe it: {reason}"))),
        None => Some(malformed_response(operation, "the answer left it out")),
    }
}

/// Resources of which only the names are known.
pub(crate) fn named(operation: Operation, arns: &[String], listing: &mut ListingBuilder) -> Vec<TagFetch> {
    let mut named = Vec::with_capacity(arns.len());
    for text in arns {
        match arn(operation, Some(text)) {
            Ok(arn) => named.push(TagFetch { links: links(&arn), arn, created_at: None }),
            Err(gap) => listing.record_gap(gap),
        }
    }
    named
}

impl ListingBuilder {
    /// Keeps what ECS described.
    pub(crate) fn add_described(&mut self, operation: Operation, described: Described) {
        let Described { arn: name, created_at, tags } = described;
        self.add(
            arn(operation, Some(&name)).map(|arn| TagFetch { links: links(&arn), arn, created_at }.with_tags(tags)),
        );
    }
}

/// A service is a part of its cluster, which its name tells.
fn links(arn: &Arn) -> Relationships {
    let service = arn.as_str().split_once(":service/");
    let cluster = service.and_then(|(home, rest)| Some((home, rest.split_once('/')?.0)));
    Relationships::to(cluster.and_then(|(home, cluster)| format!("{home}:cluster/{cluster}").parse().ok()), [])
}

/// Tags through `ecs:ListTagsForResource`.
pub(crate) struct EcsTags;

impl InlineTags for EcsTags {
    async fn fetch(session: &Session, arn: &Arn) -> Result<Option<TagSet>, Gap> {
        let request = session.ecs().list_tags_for_resource().resource_arn(arn.as_str());
        match session.send_raw(LIST_TAGS, request.send()).await {
            Ok(answer) => Ok(Some(tags_of(answer.tags()))),
            Err(error) => match error.code() {
                Some("ResourceNotFoundException" | "ClusterNotFoundException" | "ServiceNotFoundException") => Ok(None),
                _ => Err(session.gap_from_error(LIST_TAGS, &error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use tagledger_model::inventory::Tags;

    use super::*;

    fn arn_of(name: &str) -> String {
        format!("arn:aws:ecs:eu-west-1:123456789012:cluster/{name}")
    }

    /// Clusters that are inactive or reported as missing are dropped. Clusters with another failure or without a
    /// description remain in the listing with unknown tags.
    #[test]
    fn undescribed_clusters_have_unknown_tags() {
        let asked = ["web", "gone", "inactive", "odd", "silent"].map(arn_of);
        let tag = Tag::builder().key("Team").value("web").build();
        let clusters = [("web", "ACTIVE"), ("inactive", "INACTIVE")].map(|(name, status)| {
            Cluster::builder().cluster_arn(arn_of(name)).status(status).tags(tag.clone()).build()
        });
        let failure = |name: &str, reason: &str| Failure::builder().arn(arn_of(name)).reason(reason).build();
        let failures = [failure("gone", "MISSING"), failure("odd", "ACCESS_DENIED")];
        let described = clusters.iter().map(|c| (c.cluster_arn().unwrap(), description(c))).collect();
        let kept = reconcile(DESCRIBE, &asked, described, &failures);
        assert_eq!(kept.iter().map(|c| c.arn.clone()).collect::<Vec<_>>(), ["web", "odd", "silent"].map(arn_of));
        assert_eq!(kept[0].tags, Tags::Known([("Team", "web")].into_iter().collect()));
        assert!(matches!(&kept[1].tags, Tags::Unknown(gap) if gap.message.contains("ACCESS_DENIED")));
        assert!(matches!(&kept[2].tags, Tags::Unknown(_)));
    }
}
