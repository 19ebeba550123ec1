//! EBS volumes.

use serde_json::Value;

use super::{
    cloud_trail::{self, Creating},
    ec2::{Request, Volume},
    found::{Found, arn, tag_set, timestamp},
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
};
use crate::{
    Arn,
    inventory::{Gap, Links, Listing, Resource, Tags, Usage},
};

const DESCRIBE: Operation = Operation::new("ec2:DescribeVolumes", Family::Ec2Volumes);

/// The most that AWS gives on a page.
const PER_PAGE: u32 = 1000;

/// By a filter, which passes over names that are not there; a list of ids is refused as a whole because of one.
pub(super) const LOOK_AT_ONCE: usize = 100;

pub(super) const CREATED_BY: Creating = Creating { event: "CreateVolume", source: "ec2.amazonaws.com", created };

/// Those that came with an instance have no event of their own.
fn created(session: &Session, event: &Value) -> Vec<String> {
    let ids = cloud_trail::at(event, "/responseElements/volumeId");
    ids.iter().map(|id| session.ec2_arn("volume", id)).collect()
}

pub(super) async fn list(session: &Session) -> Listing {
    read(session, Request::default()).await
}

pub(super) async fn look(session: &Session, arns: &[Arn]) -> Listing {
    let ids: Vec<&str> = arns.iter().map(Arn::resource_id).collect();
    read(session, Request::default().filter("volume-id", &ids)).await
}

async fn read(session: &Session, request: Request) -> Listing {
    let mut found = Found::default();
    let end = pages(session, request, &mut found).await;
    found.listing(end)
}

async fn pages(session: &Session, request: Request, found: &mut Found) -> Result<(), Gap> {
    // Else an account's settings may hide the volumes that AWS services keep in it.
    let request = request.max_results(PER_PAGE).include_managed_resources();
    let mut pages = Pages::of(DESCRIBE);
    while let Some(token) = pages.next() {
        let page = session.send(DESCRIBE, session.ec2().describe_volumes(request.clone().next_token(token))).await?;
        for volume in page.items.iter().filter(|volume| exists(volume)) {
            found.add(resource(session, volume));
        }
        pages.turn(page.next_token.as_deref())?;
    }
    Ok(())
}

fn exists(volume: &Volume) -> bool {
    !matches!(volume.state.as_deref(), Some("deleted" | "deleting"))
}

fn resource(session: &Session, volume: &Volume) -> Result<Resource, Gap> {
    let name = volume.id.as_ref().map(|id| session.ec2_arn("volume", id));
    Ok(Resource {
        arn: arn(DESCRIBE, name.as_deref())?,
        created_at: volume.created.as_ref().and_then(timestamp),
        tags: Tags::Known(tag_set(volume.tags.iter().map(|tag| (tag.key.as_deref(), tag.value.as_deref())))),
        usage: volume.volume_type.clone().zip(volume.size).map(|(driver, quantity)| Usage { driver, quantity }),
        links: links(session, volume),
    })
}

/// A volume that several instances share belongs to none of them.
fn links(session: &Session, volume: &Volume) -> Links {
    let only = if let [instance] = volume.instances.as_slice() { Some(instance) } else { None };
    let parent = only.and_then(|instance| session.ec2_arn("instance", instance).parse().ok());
    Links::to(parent, [])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_is_being_deleted_is_not_listed() {
        let volume = |state: &str| Volume { state: Some(state.to_owned()), ..Volume::default() };
        assert!(exists(&volume("available")) && exists(&volume("error")) && exists(&Volume::default()));
        assert!(!exists(&volume("deleting")) && !exists(&volume("deleted")));
    }
}
