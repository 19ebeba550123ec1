//! ECS clusters.

use aws_sdk_ecs::types::{Cluster, ClusterField};
use tagledger_model::{
    Arn,
    api::Operation,
    inventory::{Gap, Listing},
    resource_types::ecs,
};

use crate::{
    listing_builder::ListingBuilder,
    paginator::Paginator,
    services::ecs::description::{Described, Description, EcsTags, convert_tags, is_active, reconcile, tag_fetches},
    session::Session,
    tags,
};

const LIST: Operation = ecs::LIST_CLUSTERS;

const DESCRIBE: Operation = ecs::DESCRIBE_CLUSTERS;

/// The maximum page size of `ListClusters`, and the maximum number of clusters in one `DescribeClusters` request.
const MAX_PAGE_SIZE: i32 = 100;

pub(crate) async fn list(session: &Session) -> Listing {
    let mut listing = ListingBuilder::default();
    let end = read(session, &mut listing).await;
    listing.finish(end)
}

pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    let requested: Vec<String> = arns.iter().map(Arn::to_string).collect();
    match describe(session, &requested).await {
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
        let (arns, next) = list_page(session, token).await?;
        match describe(session, &arns).await {
            Ok(described) => described.into_iter().for_each(|cluster| listing.add_described(DESCRIBE, cluster)),
            Err(gap) => {
                tracing::debug!(account = %session.account, region = %session.region, %gap, "reading tags one by one");
                let listed = tag_fetches(LIST, &arns, listing);
                listing.extend(tags::fetch::<EcsTags>(session, listed).await);
            }
        }
        pages.advance(next.as_deref())?;
    }
    Ok(())
}

/// Returns the cluster ARNs of one page, and the token of the next page.
///
/// # Errors
/// The gap of a failed request.
pub(crate) async fn list_page(session: &Session, token: Option<String>) -> Result<(Vec<String>, Option<String>), Gap> {
    let request = session.ecs().list_clusters().max_results(MAX_PAGE_SIZE).set_next_token(token);
    let page = session.send(LIST, request.send()).await?;
    Ok((page.cluster_arns.unwrap_or_default(), page.next_token))
}

async fn describe(session: &Session, arns: &[String]) -> Result<Vec<Described>, Gap> {
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let request = session.ecs().describe_clusters().set_clusters(Some(arns.to_vec())).include(ClusterField::Tags);
    let response = session.send(DESCRIBE, request.send()).await?;
    let described = |cluster| Some((Cluster::cluster_arn(cluster)?, description(cluster)));
    let descriptions = response.clusters().iter().filter_map(described).collect();
    Ok(reconcile(DESCRIBE, arns, descriptions, response.failures()))
}

fn description(cluster: &Cluster) -> Description {
    Description { active: is_active(cluster.status()), created_at: None, tags: convert_tags(cluster.tags()) }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{Failure, Tag};
    use tagledger_model::inventory::Tags;

    use super::*;

    fn arn_of(name: &str) -> String {
        format!("arn:aws:ecs:eu-west-1:123456789012:cluster/{name}")
    }

    /// Clusters that are inactive or reported as missing are dropped. Clusters with another failure or without a
    /// description remain in the listing with unknown tags.
    #[test]
    fn undescribed_clusters_have_unknown_tags() {
        let requested = ["web", "gone", "inactive", "odd", "silent"].map(arn_of);
        let tag = Tag::builder().key("Team").value("web").build();
        let clusters = [("web", "ACTIVE"), ("inactive", "INACTIVE")].map(|(name, status)| {
            Cluster::builder().cluster_arn(arn_of(name)).status(status).tags(tag.clone()).build()
        });
        let failure = |name: &str, reason: &str| Failure::builder().arn(arn_of(name)).reason(reason).build();
        let failures = [failure("gone", "MISSING"), failure("odd", "ACCESS_DENIED")];
        let descriptions = clusters.iter().map(|c| (c.cluster_arn().unwrap(), description(c))).collect();
        let listed = reconcile(DESCRIBE, &requested, descriptions, &failures);
        assert_eq!(listed.iter().map(|c| c.arn.clone()).collect::<Vec<_>>(), ["web", "odd", "silent"].map(arn_of));
        assert_eq!(listed[0].tags, Tags::Known([("Team", "web")].into_iter().collect()));
        assert!(matches!(&listed[1].tags, Tags::Unknown(gap) if gap.message.contains("ACCESS_DENIED")));
        assert!(matches!(&listed[2].tags, Tags::Unknown(_)));
    }
}
