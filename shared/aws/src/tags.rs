//! Tags of resources whose list operation does not return them.
//!
//! `tag:GetResources` returns the tags of a hundred resources. If it is denied or fails, the tags of each resource are read
//! through its own service.

use std::{collections::HashMap, future::Future};

use aws_sdk_resourcegroupstagging::types::ResourceTagMapping;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tagledger_model::{
    Arn,
    inventory::{Gap, GapReason, Listing, Relationships, Resource, TagSet, Tags},
    resource_types::spec::GET_RESOURCES,
};

use crate::{listing_builder::ListingBuilder, paginator::Paginator, session::Session};

/// The maximum number of ARNs in one `tag:GetResources` request.
pub(crate) const ARNS_PER_REQUEST: usize = 100;

/// Number of concurrent requests for the tags of single resources of one scope.
const MAX_CONCURRENT_FETCHES: usize = 8;

/// A listed resource whose tags are still to be fetched.
#[derive(Debug, Clone)]
pub(crate) struct TagFetch {
    pub(crate) arn: Arn,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) links: Relationships,
}

impl TagFetch {
    /// Returns the resource with these tags.
    pub(crate) fn with_tags(self, tags: Tags) -> Resource {
        Resource { arn: self.arn, created_at: self.created_at, tags, usage: None, links: self.links }
    }
}

/// The operation of a service that returns the tags of one resource.
pub(crate) trait InlineTags {
    /// Fetches the tags of the resource. `None` if the resource does not exist.
    ///
    /// # Errors
    /// A gap if the tags could not be read.
    fn fetch(session: &Session, arn: &Arn) -> impl Future<Output = Result<Option<TagSet>, Gap>> + Send;
}

/// Fetches the tags of listed resources. Resources that were deleted since are left out.
pub(crate) async fn fetch<N: InlineTags>(session: &Session, listed: Vec<TagFetch>) -> Vec<Resource> {
    let mut resources = Vec::with_capacity(listed.len());
    for batch in listed.chunks(ARNS_PER_REQUEST) {
        match fetch_in_bulk(session, batch).await {
            Some(tagged) => resources.extend(tagged),
            None => resources.extend(fetch_individually::<N>(session, batch).await),
        }
    }
    resources
}

/// Fetches tags through `tag:GetResources`. `None` if it is denied or fails.
async fn fetch_in_bulk(session: &Session, batch: &[TagFetch]) -> Option<Vec<Resource>> {
    if session.is_tagging_denied() {
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

type ResourceGroupsTags = HashMap<String, Vec<(String, String)>>;

async fn get_resources(session: &Session, batch: &[TagFetch]) -> Result<ResourceGroupsTags, Gap> {
    let arns: Vec<String> = batch.iter().map(|listed| listed.arn.to_string()).collect();
    let mut tags = ResourceGroupsTags::new();
    let mut pages = Paginator::new(GET_RESOURCES);
    while let Some(token) = pages.next_page() {
        let request = session.tagging().get_resources().set_resource_arn_list(Some(arns.clone()));
        let page = session.send(GET_RESOURCES, request.set_pagination_token(token).send()).await?;
        collect(page.resource_tag_mapping_list(), &mut tags);
        pages.advance(page.pagination_token())?;
    }
    Ok(tags)
}

fn collect(mappings: &[ResourceTagMapping], tags: &mut ResourceGroupsTags) {
    for mapping in mappings {
        let Some(arn) = mapping.resource_arn() else { continue };
        let pairs = mapping.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
        tags.entry(arn.to_owned()).or_default().extend(pairs);
    }
}

/// Adds the tags to the listed resources. `tag:GetResources` omits resources without tags and returns deleted resources, so
/// the listing decides which resources exist.
fn join(batch: &[TagFetch], mut tags: ResourceGroupsTags) -> Vec<Resource> {
    let mut tag_set = |listed: &TagFetch| tags.remove(listed.arn.as_str()).into_iter().flatten().collect();
    batch.iter().map(|listed| listed.clone().with_tags(Tags::Known(tag_set(listed)))).collect()
}

/// Looks up resources by fetching the tags of each one. A resource whose tags could not be read is a gap, because it is
/// unknown whether it exists.
pub(crate) async fn look_up<N: InlineTags>(session: &Session, arns: &[Arn]) -> Listing {
    let mut listing = ListingBuilder::default();
    for arn in arns {
        match N::fetch(session, arn).await {
            Ok(Some(tags)) => {
                let resource = TagFetch { arn: arn.clone(), created_at: None, links: Relationships::default() };
                listing.add(Ok(resource.with_tags(Tags::Known(tags))));
            }
            Ok(None) => {}
            Err(gap) => listing.record_gap(gap),
        }
    }
    listing.finish(Ok(()))
}

async fn fetch_individually<N: InlineTags>(session: &Session, batch: &[TagFetch]) -> Vec<Resource> {
    let fetches: Vec<_> = batch.iter().map(|listed| fetch_one::<N>(session, listed)).collect();
    let resources: Vec<Option<Resource>> = stream::iter(fetches).buffered(MAX_CONCURRENT_FETCHES).collect().await;
    resources.into_iter().flatten().collect()
}

async fn fetch_one<N: InlineTags>(session: &Session, listed: &TagFetch) -> Option<Resource> {
    let tags = match N::fetch(session, &listed.arn).await {
        Ok(tags) => Tags::Known(tags?),
        Err(gap) => Tags::Unknown(gap),
    };
    Some(listed.clone().with_tags(tags))
}

#[cfg(test)]
mod tests {
    use aws_sdk_resourcegroupstagging::types::Tag;
    use tagledger_model::inventory::{Relationships, TagSet, Tags};

    use super::*;

    fn listed(name: &str) -> TagFetch {
        TagFetch {
            arn: format!("arn:aws:s3:::{name}").parse().unwrap(),
            created_at: None,
            links: Relationships::default(),
        }
    }

    fn mapping(name: &str, key: &str, value: &str) -> ResourceTagMapping {
        let tag = Tag::builder().key(key).value(value).build().unwrap();
        ResourceTagMapping::builder().resource_arn(format!("arn:aws:s3:::{name}")).tags(tag).build()
    }

    /// A listed resource that the Tagging API does not return has no tags, and an ARN that only the Tagging API returns
    /// is dropped. Tags of one ARN from several pages are merged.
    #[test]
    fn unlisted_arn_has_no_tags_and_ghosts_dropped() {
        let mut tags = ResourceGroupsTags::new();
        collect(&[mapping("a", "Owner", "x"), mapping("ghost", "Owner", "y")], &mut tags);
        collect(&[mapping("a", "Team", "z")], &mut tags);
        let resources = join(&[listed("a"), listed("b")], tags);
        let tags: Vec<_> = resources.into_iter().map(|resource| resource.tags).collect();
        let of_a: TagSet = [("Owner", "x"), ("Team", "z")].into_iter().collect();
        assert_eq!(tags, [Tags::Known(of_a), Tags::Known(TagSet::default())]);
    }
}
