//! RDS database clusters.

use aws_sdk_rds::types::{DbCluster, Filter};
use tagledger_model::{
    Arn,
    api::Operation,
    inventory::{Gap, Listing, RelationshipKind, Relationships, Resource, Tags},
    resource_types::rds,
};

use crate::{
    listing_builder::{ListingBuilder, arn, tag_set, timestamp},
    paginator::Paginator,
    session::Session,
};

const DESCRIBE: Operation = rds::DESCRIBE_DB_CLUSTERS;

/// The maximum page size of `DescribeDBClusters`.
const MAX_PAGE_SIZE: i32 = 100;

pub(crate) async fn list(session: &Session) -> Listing {
    read(session, Vec::new()).await
}

pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    let ids = arns.iter().map(|arn| arn.resource_id().to_owned()).collect();
    let filter = Filter::builder().name("db-cluster-id").set_values(Some(ids)).build();
    read(session, vec![filter]).await
}

async fn read(session: &Session, filters: Vec<Filter>) -> Listing {
    let mut listing = ListingBuilder::default();
    let end = read_pages(session, filters, &mut listing).await;
    listing.finish(end)
}

async fn read_pages(session: &Session, filters: Vec<Filter>, listing: &mut ListingBuilder) -> Result<(), Gap> {
    let filters = (!filters.is_empty()).then_some(filters);
    let request = session.rds().describe_db_clusters().set_filters(filters).max_records(MAX_PAGE_SIZE);
    let mut pages = Paginator::new(DESCRIBE);
    while let Some(marker) = pages.next_page() {
        let page = session.send(DESCRIBE, request.clone().set_marker(marker).send()).await?;
        for cluster in page.db_clusters() {
            listing.add(resource(cluster));
        }
        pages.advance(page.marker())?;
    }
    Ok(())
}

/// Converts a DB cluster. RDS also returns the clusters of Neptune and DocumentDB, with ARNs of RDS. They are not listed
/// elsewhere.
fn resource(cluster: &DbCluster) -> Result<Resource, Gap> {
    Ok(Resource {
        arn: arn(DESCRIBE, cluster.db_cluster_arn())?,
        created_at: cluster.cluster_create_time().and_then(timestamp),
        tags: Tags::Known(tag_set(cluster.tag_list().iter().map(|tag| (tag.key(), tag.value())))),
        usage: None,
        links: links(cluster),
    })
}

fn links(cluster: &DbCluster) -> Relationships {
    let groups = cluster.vpc_security_groups().iter();
    Relationships::to(None, groups.map(|group| (RelationshipKind::SecurityGroup, group.vpc_security_group_id())))
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::{primitives::DateTime, types::Tag};
    use tagledger_model::inventory::Tags;

    use super::*;

    /// A DocumentDB cluster is listed with the creation time and the tags of its description.
    #[test]
    fn docdb_cluster_uses_described_tags() {
        let name = "arn:aws:rds:eu-west-1:123456789012:cluster:ledger";
        let cluster = DbCluster::builder()
            .db_cluster_arn(name)
            .engine("docdb")
            .cluster_create_time(DateTime::from_secs(60))
            .tag_list(Tag::builder().key("Owner").value("a@b").build());
        let resource = resource(&cluster.build()).unwrap();
        assert_eq!(resource.arn.as_str(), name);
        assert_eq!(resource.created_at.unwrap().as_second(), 60);
        assert_eq!(resource.tags, Tags::Known([("Owner", "a@b")].into_iter().collect()));
    }
}
