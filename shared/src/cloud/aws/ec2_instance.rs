//! EC2 instances.

use aws_sdk_ec2::types::{Filter, Instance};
use jiff::Timestamp;

use super::{
    found::{Found, arn, tag_set, timestamp},
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
};
use crate::inventory::{Gap, Listing, Resource, Tags};

const DESCRIBE: Operation = Operation::new("ec2:DescribeInstances", Family::Ec2Instances);

/// The most that AWS gives on a page.
const PER_PAGE: i32 = 1000;

/// A stopped instance still has volumes that cost; a terminated one is shown for an hour and is no more.
const STATES: [&str; 4] = ["pending", "running", "stopping", "stopped"];

pub(super) async fn list(session: &Session) -> Listing {
    let mut found = Found::default();
    let end = read(session, &mut found).await;
    found.listing(end)
}

async fn read(session: &Session, found: &mut Found) -> Result<(), Gap> {
    let states = Filter::builder().name("instance-state-name").set_values(Some(STATES.map(str::to_owned).to_vec()));
    let request = session.ec2().describe_instances().filters(states.build()).max_results(PER_PAGE);
    // Else an account's settings may hide the instances that AWS services run in it.
    let request = request.include_managed_resources(true);
    let mut pages = Pages::of(DESCRIBE);
    while let Some(token) = pages.next() {
        let page = session.send(DESCRIBE, request.clone().set_next_token(token).send()).await?;
        for instance in page.reservations().iter().flat_map(|reservation| reservation.instances()) {
            found.add(resource(session, instance));
        }
        pages.turn(page.next_token())?;
    }
    Ok(())
}

fn resource(session: &Session, instance: &Instance) -> Result<Resource, Gap> {
    let name = instance.instance_id().map(|id| session.ec2_arn("instance", id));
    Ok(Resource {
        arn: arn(DESCRIBE, name.as_deref())?,
        created_at: created_at(instance),
        tags: Tags::Known(tag_set(instance.tags().iter().map(|tag| (tag.key(), tag.value())))),
    })
}

/// AWS does not say when an instance was made, and `LaunchTime` moves with each start.
///
/// None of these times is before the making. The primary network interface is attached then and never again, so the
/// earliest of them is the moment itself for all but instances of the very first generation.
fn created_at(instance: &Instance) -> Option<Timestamp> {
    let interfaces = instance.network_interfaces().iter().filter_map(|interface| interface.attachment()?.attach_time());
    let volumes = instance.block_device_mappings().iter().filter_map(|mapping| mapping.ebs()?.attach_time());
    let own = instance.launch_time().into_iter().chain(instance.usage_operation_update_time());
    own.chain(interfaces).chain(volumes).filter_map(timestamp).min()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::{
        primitives::DateTime,
        types::{
            EbsInstanceBlockDevice, InstanceBlockDeviceMapping, InstanceNetworkInterface,
            InstanceNetworkInterfaceAttachment,
        },
    };

    use super::*;

    #[test]
    fn a_restarted_instance_is_as_old_as_its_primary_interface() {
        let at = DateTime::from_secs;
        let attachment = InstanceNetworkInterfaceAttachment::builder().attach_time(at(1_000)).build();
        let volume = EbsInstanceBlockDevice::builder().attach_time(at(1_001)).build();
        let instance = Instance::builder()
            .launch_time(at(9_000))
            .network_interfaces(InstanceNetworkInterface::builder().attachment(attachment).build())
            .block_device_mappings(InstanceBlockDeviceMapping::builder().ebs(volume).build());
        assert_eq!(created_at(&instance.build()), Timestamp::from_second(1_000).ok());
        assert_eq!(created_at(&Instance::builder().launch_time(at(9_000)).build()), Timestamp::from_second(9_000).ok());
        assert_eq!(created_at(&Instance::builder().build()), None);
    }
}
