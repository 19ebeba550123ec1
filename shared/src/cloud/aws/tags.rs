//! Tags of resources whose list comes without them.
//!
//! `tag:GetResources` answers for a hundred resources at a time; where it is denied or fails, each resource is asked
//! through its own service.

use std::{collections::HashMap, future::Future};

use aws_sdk_resourcegroupstagging::types::ResourceTagMapping;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;

use super::{
    found::Found,
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
};
use crate::{
    Arn,
    inventory::{Gap, GapReason, Links, Listing, Resource, TagSet, Tags},
};

const GET_RESOURCES: Operation = Operation::new("tag:GetResources", Family::Tagging);

/// The most ARNs that `tag:GetResources` takes.
pub(super) const ARNS_PER_REQUEST: usize = 100;

/// How many resources of a scope are asked for their tags at the same time.
const NATIVE_AT_ONCE: usize = 8;

/// A resource that was listed, without its tags.
#[derive(Debug, Clone)]
pub(super) struct Untagged {
    pub(super) arn: Arn,
    pub(super) created_at: Option<Timestamp>,
    pub(super) links: Links,
}

impl Untagged {
    pub(super) fn with(self, tags: Tags) -> Resource {
        Resource { arn: self.arn, created_at: self.created_at, tags, usage: None, links: self.links }
    }
}

/// A service's own call for the tags of one resource.
pub(super) trait NativeTags {
    /// The tags of the resource; none when it has gone since it was listed.
    ///
    /// # Errors
    /// They could not be read, which says nothing about them.
    fn read(session: &Session, arn: &Arn) -> impl Future<Output = Result<Option<TagSet>, Gap>> + Send;
}

/// Reads the tags of resources listed a moment ago. Those that have gone are left out.
pub(super) async fn read<N: NativeTags>(session: &Session, listed: Vec<Untagged>) -> Vec<Resource> {
    let mut resources = Vec::with_capacity(listed.len());
    for batch in listed.chunks(ARNS_PER_REQUEST) {
        match together(session, batch).await {
            Some(tagged) => resources.extend(tagged),
            None => resources.extend(natively::<N>(session, batch).await),
        }
    }
    resources
}

/// Through `tag:GetResources`; none when that is denied or fails.
async fn together(session: &Session, batch: &[Untagged]) -> Option<Vec<Resource>> {
    if session.tagging_denied() {
        return None;
    }
    match get_resources(session, batch).await {
        Ok(tags) => Some(join(batch, tags)),
        Err(gap) => {
            if matches!(gap.reason, GapReason::Denied | GapReason::DeniedByScp | GapReason::NotEnabled) {
                session.remember_tagging_denied();
            }
            tracing::debug!(account = %session.account, region = %session.region, %gap, "reading tags one by one");
            None
        }
    }
}

type TagsByArn = HashMap<String, Vec<(String, String)>>;

async fn get_resources(session: &Session, batch: &[Untagged]) -> Result<TagsByArn, Gap> {
    let arns: Vec<String> = batch.iter().map(|listed| listed.arn.to_string()).collect();
    let mut tags = TagsByArn::new();
    let mut pages = Pages::of(GET_RESOURCES);
    while let Some(token) = pages.next() {
        let request = session.tagging().get_resources().set_resource_arn_list(Some(arns.clone()));
        let page = session.send(GET_RESOURCES, request.set_pagination_token(token).send()).await?;
        collect(page.resource_tag_mapping_list(), &mut tags);
        pages.turn(page.pagination_token())?;
    }
    Ok(tags)
}

fn collect(mappings: &[ResourceTagMapping], tags: &mut TagsByArn) {
    for mapping in mappings {
        let Some(arn) = mapping.resource_arn() else { continue };
        let pairs = mapping.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
        tags.entry(arn.to_owned()).or_default().extend(pairs);
    }
}

/// AWS leaves out resources without tags, and names some that were deleted long ago; the list decides what there is.
fn join(batch: &[Untagged], mut tags: TagsByArn) -> Vec<Resource> {
    let mut tag_set = |listed: &Untagged| tags.remove(listed.arn.as_str()).into_iter().flatten().collect();
    batch.iter().map(|listed| listed.clone().with(Tags::Known(tag_set(listed)))).collect()
}

/// Resources that may be there or not, each asked through its own service. One whose tags could not be read is a gap, for it
/// is not known to be there.
pub(super) async fn look<N: NativeTags>(session: &Session, arns: &[Arn]) -> Listing {
    let mut found = Found::default();
    for arn in arns {
        match N::read(session, arn).await {
            Ok(Some(tags)) => {
                let there = Untagged { arn: arn.clone(), created_at: None, links: Links::default() };
                found.add(Ok(there.with(Tags::Known(tags))));
            }
            Ok(None) => {}
            Err(gap) => found.miss(gap),
        }
    }
    found.listing(Ok(()))
}

async fn natively<N: NativeTags>(session: &Session, batch: &[Untagged]) -> Vec<Resource> {
    let reads: Vec<_> = batch.iter().map(|listed| native::<N>(session, listed)).collect();
    let read: Vec<Option<Resource>> = stream::iter(reads).buffered(NATIVE_AT_ONCE).collect().await;
    read.into_iter().flatten().collect()
}

async fn native<N: NativeTags>(session: &Session, listed: &Untagged) -> Option<Resource> {
    let tags = match N::read(session, &listed.arn).await {
        Ok(tags) => Tags::Known(tags?),
        Err(gap) => Tags::Unknown(gap),
    };
    Some(listed.clone().with(tags))
}

#[cfg(test)]
mod tests {
    use aws_sdk_resourcegroupstagging::types::Tag;

    use super::*;

    fn listed(name: &str) -> Untagged {
        Untagged { arn: format!("arn:aws:s3:::{name}").parse().unwrap(), created_at: None, links: Links::default() }
    }

    fn mapping(name: &str, key: &str, value: &str) -> ResourceTagMapping {
        let tag = Tag::builder().key(key).value(value).build().unwrap();
        ResourceTagMapping::builder().resource_arn(format!("arn:aws:s3:::{name}")).tags(tag).build()
    }

    #[test]
    fn what_the_answer_leaves_out_has_no_tags_and_ghosts_stay_away() {
        let mut tags = TagsByArn::new();
        collect(&[mapping("a", "Owner", "x"), mapping("ghost", "Owner", "y")], &mut tags);
        collect(&[mapping("a", "Team", "z")], &mut tags);
        let resources = join(&[listed("a"), listed("b")], tags);
        let tags: Vec<_> = resources.into_iter().map(|resource| resource.tags).collect();
        let of_a: TagSet = [("Owner", "x"), ("Team", "z")].into_iter().collect();
        assert_eq!(tags, [Tags::Known(of_a), Tags::Known(TagSet::default())]);
    }
}
