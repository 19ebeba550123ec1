//! EBS volumes.

use aws_sdk_ec2::types::{Volume, VolumeState};

use super::{
    found::{Found, arn, tag_set, timestamp},
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
};
use crate::inventory::{Gap, Listing, Resource, Tags};

const DESCRIBE: Operation = Operation::new("ec2:DescribeVolumes", Family::Ec2Volumes);

/// The most that AWS gives on a page.
const PER_PAGE: i32 = 1000;

pub(super) async fn list(session: &Session) -> Listing {
    let mut found = Found::default();
    let end = read(session, &mut found).await;
    found.listing(end)
}

async fn read(session: &Session, found: &mut Found) -> Result<(), Gap> {
    // Else an account's settings may hide the volumes that AWS services keep in it.
    let request = session.ec2().describe_volumes().max_results(PER_PAGE).include_managed_resources(true);
    let mut pages = Pages::of(DESCRIBE);
    while let Some(token) = pages.next() {
        let page = session.send(DESCRIBE, request.clone().set_next_token(token).send()).await?;
        for volume in page.volumes().iter().filter(|volume| exists(volume)) {
            found.add(resource(session, volume));
        }
        pages.turn(page.next_token())?;
    }
    Ok(())
}

fn exists(volume: &Volume) -> bool {
    !matches!(volume.state(), Some(VolumeState::Deleted | VolumeState::Deleting))
}

fn resource(session: &Session, volume: &Volume) -> Result<Resource, Gap> {
    let name = volume.volume_id().map(|id| session.ec2_arn("volume", id));
    Ok(Resource {
        arn: arn(DESCRIBE, name.as_deref())?,
        created_at: volume.create_time().and_then(timestamp),
        tags: Tags::Known(tag_set(volume.tags().iter().map(|tag| (tag.key(), tag.value())))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_is_being_deleted_is_not_listed() {
        let volume = |state| Volume::builder().state(state).build();
        assert!(exists(&volume(VolumeState::Available)) && exists(&volume(VolumeState::Error)));
        assert!(!exists(&volume(VolumeState::Deleting)) && !exists(&volume(VolumeState::Deleted)));
    }
}
