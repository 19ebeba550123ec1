//! RDS database instances.

use aws_sdk_rds::types::{DbInstance, Filter};
use tagledger_model::{
    Arn,
    api::Operation,
    inventory::{Gap, Listing, RelationshipKind, Relationships, Resource, Tags, Usage},
    resource_types::rds,
};

use crate::{
    listing_builder::{ListingBuilder, arn, tag_set, timestamp},
    paginator::Paginator,
    session::Session,
};

const DESCRIBE: Operation = rds::DESCRIBE_DB_INSTANCES;

/// The maximum page size of `DescribeDBInstances`.
const MAX_PAGE_SIZE: i32 = 100;

pub(crate) async fn list(session: &Session) -> Listing {
    read(session, Vec::new()).await
}

pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    let ids = arns.iter().map(|arn| arn.resource_id().to_owned()).collect();
    let filter = Filter::builder().name("db-instance-id").set_values(Some(ids)).build();
    read(session, vec![filter]).await
}

async fn read(session: &Session, filters: Vec<Filter>) -> Listing {
    let mut listing = ListingBuilder::default();
    let end = read_pages(session, filters, &mut listing).await;
    listing.finish(end)
}

async fn read_pages(session: &Session, filters: Vec<Filter>, listing: &mut ListingBuilder) -> Result<(), Gap> {
    let filters = (!filters.is_empty()).then_some(filters);
    let request = session.rds().describe_db_instances().set_filters(filters).max_records(MAX_PAGE_SIZE);
    let mut pages = Paginator::new(DESCRIBE);
    while let Some(marker) = pages.next_page() {
        let page = session.send(DESCRIBE, request.clone().set_marker(marker).send()).await?;
        for instance in page.db_instances() {
            listing.add(resource(instance));
        }
        pages.advance(page.marker())?;
    }
    Ok(())
}

/// Converts a DB instance. RDS also returns the instances of Neptune and DocumentDB, with ARNs of RDS. They are not listed
/// elsewhere.
fn resource(instance: &DbInstance) -> Result<Resource, Gap> {
    let arn = arn(DESCRIBE, instance.db_instance_arn())?;
    Ok(Resource {
        links: links(&arn, instance),
        arn,
        created_at: instance.instance_create_time().and_then(timestamp),
        tags: Tags::Known(tag_set(instance.tag_list().iter().map(|tag| (tag.key(), tag.value())))),
        usage: usage(instance),
    })
}

fn links(arn: &Arn, instance: &DbInstance) -> Relationships {
    let prefix = arn.as_str().strip_suffix(arn.resource());
    let cluster = prefix.zip(instance.db_cluster_identifier());
    let parent = cluster.and_then(|(prefix, cluster)| format!("{prefix}cluster:{cluster}").parse().ok());
    let groups = instance.vpc_security_groups().iter();
    let groups = groups.map(|group| (RelationshipKind::SecurityGroup, group.vpc_security_group_id()));
    let vpc = (RelationshipKind::Vpc, instance.db_subnet_group().and_then(|group| group.vpc_id()));
    Relationships::to(parent, groups.chain([vpc]))
}

/// Returns the usage in hours of the instance class. `None` for a database that is not running, because only its storage is
/// billed. `None` for Neptune and DocumentDB, which have the same classes but are billed as other services.
fn usage(instance: &DbInstance) -> Option<Usage> {
    let engine = instance.engine().unwrap_or_default();
    let is_other_service = engine == "neptune" || engine == "docdb";
    let stopped = matches!(instance.db_instance_status(), Some("stopped" | "stopping" | "deleting"));
    let class = instance.db_instance_class().filter(|_| !is_other_service && !stopped)?;
    let driver = if instance.multi_az() == Some(true) { format!("Multi-AZ {class}") } else { class.to_owned() };
    Some(Usage { driver, quantity: 1 })
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::{primitives::DateTime, types::Tag};
    use tagledger_model::inventory::Tags;

    use super::*;

    /// A DocumentDB instance is listed with the creation time and the tags of its description.
    #[test]
    fn docdb_instance_uses_described_tags() {
        let name = "arn:aws:rds:eu-west-1:123456789012:db:ledger";
        let instance = DbInstance::builder()
            .db_instance_arn(name)
            .engine("docdb")
            .instance_create_time(DateTime::from_secs(60))
            .tag_list(Tag::builder().key("Owner").value("a@b").build());
        let resource = resource(&instance.build()).unwrap();
        assert_eq!(resource.arn.as_str(), name);
        assert_eq!(resource.created_at.unwrap().as_second(), 60);
        assert_eq!(resource.tags, Tags::Known([("Owner", "a@b")].into_iter().collect()));
    }

    /// A running database uses instance hours of its class, marked as Multi-AZ if applicable. A stopped database and
    /// other engines such as DocumentDB have no cost driver.
    #[test]
    fn stopped_database_has_no_instance_hours() {
        let class = |engine: &str, status: &str, multi_az: bool| {
            let instance = DbInstance::builder().engine(engine).db_instance_status(status).multi_az(multi_az);
            usage(&instance.db_instance_class("db.m5.large").build()).map(|usage| usage.driver)
        };
        assert_eq!(class("postgres", "available", false).as_deref(), Some("db.m5.large"));
        assert_eq!(class("postgres", "backing-up", true).as_deref(), Some("Multi-AZ db.m5.large"));
        assert_eq!(class("postgres", "stopped", false), None);
        assert_eq!(class("docdb", "available", false), None);
    }
}
