//! ECS clusters, and what the list of services shares with theirs.

use std::collections::HashMap;

use aws_sdk_ecs::{
    error::ProvideErrorMetadata,
    types::{Cluster, ClusterField, Failure, Tag},
};
use jiff::Timestamp;

use super::{
    cloud_trail::{self, Creating},
    found::{Found, arn, senseless, tag_set},
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
    tags::{self, NativeTags, Untagged},
};
use crate::{
    Arn,
    inventory::{Gap, Links, Listing, TagSet, Tags},
};

const LIST: Operation = Operation::new("ecs:ListClusters", Family::EcsClusters);
const DESCRIBE: Operation = Operation::new("ecs:DescribeClusters", Family::EcsClusters);
const LIST_TAGS: Operation = Operation::new("ecs:ListTagsForResource", Family::EcsTags);

/// The most that AWS lists on a page, and describes in a request.
const PER_PAGE: i32 = 100;

pub(super) const CREATED_BY: Creating = Creating {
    event: "CreateCluster",
    source: "ecs.amazonaws.com",
    created: |_, event| cloud_trail::at(event, "/responseElements/cluster/clusterArn"),
};

pub(super) async fn list(session: &Session) -> Listing {
    let mut found = Found::default();
    let end = read(session, &mut found).await;
    found.listing(end)
}

/// As many as a request describes.
pub(super) const LOOK_AT_ONCE: usize = 100;

pub(super) async fn look(session: &Session, arns: &[Arn]) -> Listing {
    let names: Vec<String> = arns.iter().map(Arn::to_string).collect();
    match describe(session, &names).await {
        Ok(described) => {
            let mut found = Found::default();
            described.into_iter().for_each(|cluster| found.add_described(DESCRIBE, cluster));
            found.listing(Ok(()))
        }
        Err(gap) if gap.reason.is_refusal() => tags::look::<EcsTags>(session, arns).await,
        Err(gap) => Listing { resources: Vec::new(), gap: Some(gap) },
    }
}

async fn read(session: &Session, found: &mut Found) -> Result<(), Gap> {
    let mut pages = Pages::of(LIST);
    while let Some(token) = pages.next() {
        let (arns, next) = page(session, token).await?;
        match describe(session, &arns).await {
            Ok(described) => described.into_iter().for_each(|cluster| found.add_described(DESCRIBE, cluster)),
            Err(gap) => {
                tracing::debug!(account = %session.account, region = %session.region, %gap, "reading tags by name");
                let listed = named(LIST, &arns, found);
                found.extend(tags::read::<EcsTags>(session, listed).await);
            }
        }
        pages.turn(next.as_deref())?;
    }
    Ok(())
}

/// A page of the ARNs of clusters, and the token of the next.
pub(super) async fn page(session: &Session, token: Option<String>) -> Result<(Vec<String>, Option<String>), Gap> {
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
pub(super) fn is_active(status: Option<&str>) -> bool {
    status != Some("INACTIVE")
}

pub(super) fn tags_of(tags: &[Tag]) -> TagSet {
    tag_set(tags.iter().map(|tag| (tag.key(), tag.value())))
}

/// What ECS says about one of its resources.
pub(super) struct Description {
    pub(super) active: bool,
    pub(super) created_at: Option<Timestamp>,
    pub(super) tags: TagSet,
}

/// A resource by the name that the list gave it, with its tags or the reason why they are not known.
pub(super) struct Described {
    pub(super) arn: String,
    pub(super) created_at: Option<Timestamp>,
    pub(super) tags: Tags,
}

/// Brings together what was asked for and what was answered. Deleted resources are left out; one that was neither
/// described nor reported missing has unknown tags.
pub(super) fn reconcile(
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
        Some(reason) => Some(senseless(operation, &format!("ECS did not describe it: {reason}"))),
        None => Some(senseless(operation, "the answer left it out")),
    }
}

/// Resources of which only the names are known.
pub(super) fn named(operation: Operation, arns: &[String], found: &mut Found) -> Vec<Untagged> {
    let mut named = Vec::with_capacity(arns.len());
    for text in arns {
        match arn(operation, Some(text)) {
            Ok(arn) => named.push(Untagged { links: links(&arn), arn, created_at: None }),
            Err(gap) => found.miss(gap),
        }
    }
    named
}

impl Found {
    /// Keeps what ECS described.
    pub(super) fn add_described(&mut self, operation: Operation, described: Described) {
        let Described { arn: name, created_at, tags } = described;
        self.add(arn(operation, Some(&name)).map(|arn| Untagged { links: links(&arn), arn, created_at }.with(tags)));
    }
}

/// A service is a part of its cluster, which its name tells.
fn links(arn: &Arn) -> Links {
    let service = arn.as_str().split_once(":service/");
    let cluster = service.and_then(|(home, rest)| Some((home, rest.split_once('/')?.0)));
    Links::to(cluster.and_then(|(home, cluster)| format!("{home}:cluster/{cluster}").parse().ok()), [])
}

/// Tags through `ecs:ListTagsForResource`.
pub(super) struct EcsTags;

impl NativeTags for EcsTags {
    async fn read(session: &Session, arn: &Arn) -> Result<Option<TagSet>, Gap> {
        let request = session.ecs().list_tags_for_resource().resource_arn(arn.as_str());
        match session.ask(LIST_TAGS, request.send()).await {
            Ok(answer) => Ok(Some(tags_of(answer.tags()))),
            Err(error) => match error.code() {
                Some("ResourceNotFoundException" | "ClusterNotFoundException" | "ServiceNotFoundException") => Ok(None),
                _ => Err(session.gap(LIST_TAGS, &error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn_of(name: &str) -> String {
        format!("arn:aws:ecs:eu-west-1:123456789012:cluster/{name}")
    }

    #[test]
    fn deleted_clusters_are_dropped_and_unexplained_ones_have_unknown_tags() {
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
