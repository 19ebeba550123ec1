//! EC2 instances.

use jiff::Timestamp;
use tagledger_model::{
    Arn, ResourceType,
    api::Operation,
    inventory::{Gap, Listing, RelationshipKind, Relationships, Resource, Tags, Usage},
    resource_types::ec2,
};

use crate::{
    listing_builder::{ListingBuilder, arn, tag_set, timestamp},
    paginator::Paginator,
    session::Session,
    wire::query::{Request, xml::Instance},
};

const DESCRIBE: Operation = ec2::DESCRIBE_INSTANCES;

/// The maximum page size of `DescribeInstances`.
const MAX_PAGE_SIZE: u32 = 1000;

/// The states of instances that exist. A terminated instance does not exist, but EC2 returns it for about an hour.
const STATES: [&str; 4] = ["pending", "running", "stopping", "stopped"];

pub(crate) async fn list(session: &Session) -> Listing {
    read(session, Request::default()).await
}

pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    let ids: Vec<&str> = arns.iter().map(Arn::resource_id).collect();
    read(session, Request::default().filter("instance-id", &ids)).await
}

async fn read(session: &Session, request: Request) -> Listing {
    let mut listing = ListingBuilder::default();
    let end = read_pages(session, request, &mut listing).await;
    listing.finish(end)
}

async fn read_pages(session: &Session, request: Request, listing: &mut ListingBuilder) -> Result<(), Gap> {
    let request = request.filter("instance-state-name", &STATES).max_results(MAX_PAGE_SIZE);
    // Otherwise the settings of an account may hide the instances that AWS services manage in it.
    let request = request.include_managed_resources();
    let mut pages = Paginator::new(DESCRIBE);
    while let Some(token) = pages.next_page() {
        let page = session.send(DESCRIBE, session.ec2().describe_instances(request.clone().next_token(token))).await?;
        for instance in &page.items {
            listing.add(resource(session, instance));
        }
        pages.advance(page.next_token.as_deref())?;
    }
    Ok(())
}

fn resource(session: &Session, instance: &Instance) -> Result<Resource, Gap> {
    let arn_text = instance.id.as_ref().map(|id| session.arn(ResourceType::Ec2Instance, id));
    Ok(Resource {
        arn: arn(DESCRIBE, arn_text.as_deref())?,
        created_at: created_at(instance),
        tags: Tags::Known(tag_set(instance.tags.iter().map(|tag| (tag.key.as_deref(), tag.value.as_deref())))),
        usage: usage(instance),
        links: links(instance),
    })
}

fn links(instance: &Instance) -> Relationships {
    let groups = instance.security_groups.iter().map(|group| (RelationshipKind::SecurityGroup, Some(group.as_str())));
    let others = [
        (RelationshipKind::Role, instance.profile.as_deref()),
        (RelationshipKind::Subnet, instance.subnet.as_deref()),
        (RelationshipKind::Vpc, instance.vpc.as_deref()),
    ];
    Relationships::to(None, groups.chain(others))
}

/// Returns the usage in instance hours per hour. Instances that are stopped or stopping are not billed, only their volumes.
fn usage(instance: &Instance) -> Option<Usage> {
    let is_billed = matches!(instance.state.as_deref(), Some("running" | "pending"));
    instance.instance_type.clone().map(|driver| Usage { driver, quantity: u32::from(is_billed) })
}

/// Returns the earliest of the times that EC2 returns for an instance. EC2 has no creation time, and `LaunchTime` changes with
/// each start.
///
/// None of these times is before the creation. The primary network interface is attached at the creation and never again,
/// so the result is exact for all instances except those of the very first generation.
fn created_at(instance: &Instance) -> Option<Timestamp> {
    let launched = instance.launched.iter().chain(&instance.usage_operation_updated);
    launched.chain(&instance.attached).filter_map(timestamp).min()
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;

    use super::*;
    use crate::wire::query::xml::Instance;

    /// Running and pending instances have a quantity of 1, stopping and stopped ones have 0. The usage is unknown
    /// without an instance type.
    #[test]
    fn stopped_instance_has_no_usage_hours() {
        let hours = |state: &str| {
            let instance = Instance { instance_type: Some("m5.large".to_owned()), ..Instance::default() };
            usage(&Instance { state: Some(state.to_owned()), ..instance }).map(|usage| usage.quantity)
        };
        assert_eq!(["running", "pending", "stopping", "stopped"].map(hours), [Some(1), Some(1), Some(0), Some(0)]);
        assert_eq!(usage(&Instance::default()), None);
    }

    /// The creation time of an instance is the earliest of its network attachment, usage operation update and launch
    /// times, because each start changes the launch time.
    #[test]
    fn creation_time_comes_from_primary_interface() {
        let at = DateTime::from_secs;
        let restarted = Instance { launched: Some(at(9_000)), ..Instance::default() };
        let attached = Instance { attached: vec![at(1_001), at(1_000)], ..restarted.clone() };
        let converted = Instance { usage_operation_updated: Some(at(8_000)), ..restarted.clone() };
        assert_eq!(created_at(&attached), Timestamp::from_second(1_000).ok());
        assert_eq!(created_at(&converted), Timestamp::from_second(8_000).ok());
        assert_eq!(created_at(&restarted), Timestamp::from_second(9_000).ok());
        assert_eq!(created_at(&Instance::default()), None);
    }
}
