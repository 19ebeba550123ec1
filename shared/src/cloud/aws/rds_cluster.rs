//! RDS database clusters.

use aws_sdk_rds::types::{DbCluster, Filter};

use super::{
    cloud_trail::{self, Creating},
    found::{Found, arn, tag_set, timestamp},
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
};
use crate::{
    Arn,
    inventory::{Gap, Links, Listing, NeighbourKind, Resource, Tags},
};

const DESCRIBE: Operation = Operation::new("rds:DescribeDBClusters", Family::Rds);

/// The most that AWS gives on a page.
const PER_PAGE: i32 = 100;

/// By a filter, which passes over names that are not there.
pub(super) const LOOK_AT_ONCE: usize = 100;

pub(super) const CREATED_BY: Creating = Creating {
    event: "CreateDBCluster",
    source: "rds.amazonaws.com",
    created: |_, event| cloud_trail::at(event, "/responseElements/dBClusterArn"),
};

pub(super) async fn list(session: &Session) -> Listing {
    read(session, Vec::new()).await
}

pub(super) async fn look(session: &Session, arns: &[Arn]) -> Listing {
    let ids = arns.iter().map(|arn| arn.resource_id().to_owned()).collect();
    let filter = Filter::builder().name("db-cluster-id").set_values(Some(ids)).build();
    read(session, vec![filter]).await
}

async fn read(session: &Session, filters: Vec<Filter>) -> Listing {
    let mut found = Found::default();
    let end = pages(session, filters, &mut found).await;
    found.listing(end)
}

async fn pages(session: &Session, filters: Vec<Filter>, found: &mut Found) -> Result<(), Gap> {
    let filters = (!filters.is_empty()).then_some(filters);
    let request = session.rds().describe_db_clusters().set_filters(filters).max_records(PER_PAGE);
    let mut pages = Pages::of(DESCRIBE);
    while let Some(marker) = pages.next() {
        let page = session.send(DESCRIBE, request.clone().set_marker(marker).send()).await?;
        for cluster in page.db_clusters() {
            found.add(resource(cluster));
        }
        pages.turn(page.marker())?;
    }
    Ok(())
}

/// Neptune's and DocumentDB's are among them, under names of RDS; they are read nowhere else.
fn resource(cluster: &DbCluster) -> Result<Resource, Gap> {
    Ok(Resource {
        arn: arn(DESCRIBE, cluster.db_cluster_arn())?,
        created_at: cluster.cluster_create_time().and_then(timestamp),
        tags: Tags::Known(tag_set(cluster.tag_list().iter().map(|tag| (tag.key(), tag.value())))),
        usage: None,
        links: links(cluster),
    })
}

fn links(cluster: &DbCluster) -> Links {
    let groups = cluster.vpc_security_groups().iter();
    Links::to(None, groups.map(|group| (NeighbourKind::SecurityGroup, group.vpc_security_group_id())))
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::{primitives::DateTime, types::Tag};

    use super::*;

    #[test]
    fn a_document_database_is_listed_with_the_tags_of_its_description() {
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
