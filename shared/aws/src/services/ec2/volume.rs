//! EBS volumes.

use tagledger_model::{
    Arn, ResourceType,
    api::Operation,
    inventory::{Gap, Listing, Relationships, Resource, Tags, Usage},
    resource_types::ec2,
};

use crate::{
    listing_builder::{ListingBuilder, arn, tag_set, timestamp},
    paginator::Paginator,
    session::Session,
    wire::query::{Request, xml::Volume},
};

const DESCRIBE: Operation = ec2::DESCRIBE_VOLUMES;

/// The maximum page size of `DescribeVolumes`.
const MAX_PAGE_SIZE: u32 = 1000;

pub(crate) async fn list(session: &Session) -> Listing {
    read(session, Request::default()).await
}

pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    let ids: Vec<&str> = arns.iter().map(Arn::resource_id).collect();
    read(session, Request::default().filter("volume-id", &ids)).await
}

async fn read(session: &Session, request: Request) -> Listing {
    let mut listing = ListingBuilder::default();
    let end = read_pages(session, request, &mut listing).await;
    listing.finish(end)
}

async fn read_pages(session: &Session, request: Request, listing: &mut ListingBuilder) -> Result<(), Gap> {
    // Otherwise the settings of an account may hide the volumes that AWS services manage in it.
    let request = request.max_results(MAX_PAGE_SIZE).include_managed_resources();
    let mut pages = Paginator::new(DESCRIBE);
    while let Some(token) = pages.next_page() {
        let page = session.send(DESCRIBE, session.ec2().describe_volumes(request.clone().next_token(token))).await?;
        for volume in page.items.iter().filter(|volume| exists(volume)) {
            listing.add(resource(session, volume));
        }
        pages.advance(page.next_token.as_deref())?;
    }
    Ok(())
}

fn exists(volume: &Volume) -> bool {
    !matches!(volume.state.as_deref(), Some("deleted" | "deleting"))
}

fn resource(session: &Session, volume: &Volume) -> Result<Resource, Gap> {
    let arn_text = volume.id.as_ref().map(|id| session.arn(ResourceType::Ec2Volume, id));
    Ok(Resource {
        arn: arn(DESCRIBE, arn_text.as_deref())?,
        created_at: volume.created.as_ref().and_then(timestamp),
        tags: Tags::Known(tag_set(volume.tags.iter().map(|tag| (tag.key.as_deref(), tag.value.as_deref())))),
        usage: volume.volume_type.clone().zip(volume.size).map(|(driver, quantity)| Usage { driver, quantity }),
        links: links(session, volume),
    })
}

/// Returns the relationships of a volume. Its parent is the attached instance. A volume that is attached to several instances
/// has no parent.
fn links(session: &Session, volume: &Volume) -> Relationships {
    let attached = if let [instance] = volume.instances.as_slice() { Some(instance) } else { None };
    let parent = attached.and_then(|instance| session.arn(ResourceType::Ec2Instance, instance).parse().ok());
    Relationships::to(parent, [])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::query::xml::Volume;

    /// Volumes that are being deleted or are deleted are not listed. Volumes in other states or without a state are.
    #[test]
    fn deleting_volume_is_not_listed() {
        let volume = |state: &str| Volume { state: Some(state.to_owned()), ..Volume::default() };
        assert!(exists(&volume("available")) && exists(&volume("error")) && exists(&Volume::default()));
        assert!(!exists(&volume("deleting")) && !exists(&volume("deleted")));
    }
}
