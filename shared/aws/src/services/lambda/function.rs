//! Lambda functions.

use aws_sdk_lambda::{error::ProvideErrorMetadata, types::FunctionConfiguration};
use tagledger_model::{
    Arn,
    api::Operation,
    inventory::{Gap, Listing, RelationshipKind, Relationships, TagSet},
    resource_types::lambda,
};

use crate::{
    listing_builder::{ListingBuilder, arn},
    paginator::Paginator,
    session::Session,
    tags::{self, InlineTags, TagFetch},
};

const LIST: Operation = lambda::LIST_FUNCTIONS;

const LIST_TAGS: Operation = lambda::LIST_TAGS;

/// The maximum page size of `ListFunctions`, even if a larger size is requested.
const MAX_PAGE_SIZE: i32 = 50;

pub(crate) async fn list(session: &Session) -> Listing {
    let mut listing = ListingBuilder::default();
    let end = read(session, &mut listing).await;
    listing.finish(end)
}

pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    tags::look_up::<FunctionTags>(session, arns).await
}

async fn read(session: &Session, listing: &mut ListingBuilder) -> Result<(), Gap> {
    let mut listed = Vec::new();
    let end = read_pages(session, listing, &mut listed).await;
    listing.extend(tags::fetch::<FunctionTags>(session, listed).await);
    end
}

/// Reads all pages. The tags of several pages are fetched together, because one request for tags takes 100 functions and a
/// page has 50.
async fn read_pages(session: &Session, listing: &mut ListingBuilder, listed: &mut Vec<TagFetch>) -> Result<(), Gap> {
    let request = session.lambda().list_functions().max_items(MAX_PAGE_SIZE);
    let mut pages = Paginator::new(LIST);
    while let Some(marker) = pages.next_page() {
        let page = session.send(LIST, request.clone().set_marker(marker).send()).await?;
        listed.extend(listing.collect_ok(page.functions().iter().map(tag_fetch)));
        if listed.len() >= tags::ARNS_PER_REQUEST {
            listing.extend(tags::fetch::<FunctionTags>(session, std::mem::take(listed)).await);
        }
        pages.advance(page.next_marker())?;
    }
    Ok(())
}

/// Converts a function. Its creation time is unknown, because Lambda returns only the time of the last change.
fn tag_fetch(function: &FunctionConfiguration) -> Result<TagFetch, Gap> {
    let name = function.function_arn().map(without_qualifier);
    Ok(TagFetch { arn: arn(LIST, name.as_deref())?, created_at: None, links: links(function) })
}

fn links(function: &FunctionConfiguration) -> Relationships {
    let network = function.vpc_config();
    let groups = network.into_iter().flat_map(|network| network.security_group_ids());
    let subnets = network.into_iter().flat_map(|network| network.subnet_ids());
    let groups = groups.map(|group| (RelationshipKind::SecurityGroup, Some(group.as_str())));
    let subnets = subnets.map(|subnet| (RelationshipKind::Subnet, Some(subnet.as_str())));
    let others = [
        (RelationshipKind::Role, function.role()),
        (RelationshipKind::Vpc, network.and_then(|network| network.vpc_id())),
    ];
    Relationships::to(None, groups.chain(subnets).chain(others))
}

/// Removes the version or alias from an ARN, because only functions have tags: `function:pay:3` becomes `function:pay`.
fn without_qualifier(arn: &str) -> String {
    arn.split(':').take(7).collect::<Vec<_>>().join(":")
}

/// Fetches tags through `lambda:ListTags`.
struct FunctionTags;

impl InlineTags for FunctionTags {
    async fn fetch(session: &Session, arn: &Arn) -> Result<Option<TagSet>, Gap> {
        let request = session.lambda().list_tags().resource(arn.as_str());
        match session.send_raw(LIST_TAGS, request.send()).await {
            Ok(response) => Ok(Some(response.tags().into_iter().flatten().collect())),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(session.gap_from_error(LIST_TAGS, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ARN of a version or alias resolves to the ARN of the function. A configuration without an ARN is a gap.
    #[test]
    fn version_and_alias_resolve_to_function() {
        let function = "arn:aws:lambda:eu-west-1:123456789012:function:pay";
        for given in ["", ":$LATEST", ":3", ":prod"] {
            let configuration = FunctionConfiguration::builder().function_arn(format!("{function}{given}")).build();
            assert_eq!(tag_fetch(&configuration).unwrap().arn.as_str(), function);
        }
        assert!(tag_fetch(&FunctionConfiguration::builder().build()).is_err());
    }
}
