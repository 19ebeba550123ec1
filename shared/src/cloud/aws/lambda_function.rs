//! Lambda functions.

use aws_sdk_lambda::{error::ProvideErrorMetadata, types::FunctionConfiguration};

use super::{
    cloud_trail::{self, Creating},
    found::{Found, arn},
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
    tags::{self, NativeTags, Untagged},
};
use crate::{
    Arn,
    inventory::{Gap, Links, Listing, NeighbourKind, TagSet},
};

const LIST: Operation = Operation::new("lambda:ListFunctions", Family::Lambda);
const LIST_TAGS: Operation = Operation::new("lambda:ListTags", Family::Lambda);

/// The most that AWS gives on a page, whatever is asked for.
const PER_PAGE: i32 = 50;

pub(super) const CREATED_BY: Creating = Creating {
    event: "CreateFunction20150331",
    source: "lambda.amazonaws.com",
    created: |_, event| cloud_trail::at(event, "/responseElements/functionArn"),
};

pub(super) async fn list(session: &Session) -> Listing {
    let mut found = Found::default();
    let end = read(session, &mut found).await;
    found.listing(end)
}

/// Only a function's own answer tells one without tags from one that is not there.
pub(super) const LOOK_AT_ONCE: usize = 1;

pub(super) async fn look(session: &Session, arns: &[Arn]) -> Listing {
    tags::look::<Functions>(session, arns).await
}

async fn read(session: &Session, found: &mut Found) -> Result<(), Gap> {
    let mut listed = Vec::new();
    let end = pages(session, found, &mut listed).await;
    found.extend(tags::read::<Functions>(session, listed).await);
    end
}

/// Reads all pages. Tags are read for as many functions at once as one request takes, which is more than a page holds.
async fn pages(session: &Session, found: &mut Found, listed: &mut Vec<Untagged>) -> Result<(), Gap> {
    let request = session.lambda().list_functions().max_items(PER_PAGE);
    let mut pages = Pages::of(LIST);
    while let Some(marker) = pages.next() {
        let page = session.send(LIST, request.clone().set_marker(marker).send()).await?;
        for function in page.functions() {
            match untagged(function) {
                Ok(function) => listed.push(function),
                Err(gap) => found.miss(gap),
            }
        }
        if listed.len() >= tags::ARNS_PER_REQUEST {
            found.extend(tags::read::<Functions>(session, std::mem::take(listed)).await);
        }
        pages.turn(page.next_marker())?;
    }
    Ok(())
}

/// Lambda says when a function was last changed, not when it was made.
fn untagged(function: &FunctionConfiguration) -> Result<Untagged, Gap> {
    let name = function.function_arn().map(without_qualifier);
    Ok(Untagged { arn: arn(LIST, name.as_deref())?, created_at: None, links: links(function) })
}

fn links(function: &FunctionConfiguration) -> Links {
    let network = function.vpc_config();
    let groups = network.into_iter().flat_map(|network| network.security_group_ids());
    let subnets = network.into_iter().flat_map(|network| network.subnet_ids());
    let groups = groups.map(|group| (NeighbourKind::SecurityGroup, Some(group.as_str())));
    let subnets = subnets.map(|subnet| (NeighbourKind::Subnet, Some(subnet.as_str())));
    let alone =
        [(NeighbourKind::Role, function.role()), (NeighbourKind::Vpc, network.and_then(|network| network.vpc_id()))];
    Links::to(None, groups.chain(subnets).chain(alone))
}

/// Versions and aliases have no tags of their own: `function:pay:3` is `function:pay`.
fn without_qualifier(arn: &str) -> String {
    arn.split(':').take(7).collect::<Vec<_>>().join(":")
}

/// Tags through `lambda:ListTags`.
struct Functions;

impl NativeTags for Functions {
    async fn read(session: &Session, arn: &Arn) -> Result<Option<TagSet>, Gap> {
        let request = session.lambda().list_tags().resource(arn.as_str());
        match session.ask(LIST_TAGS, request.send()).await {
            Ok(answer) => Ok(Some(answer.tags().into_iter().flatten().collect())),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(session.gap(LIST_TAGS, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_aliases_are_their_function() {
        let function = "arn:aws:lambda:eu-west-1:123456789012:function:pay";
        for given in ["", ":$LATEST", ":3", ":prod"] {
            let configuration = FunctionConfiguration::builder().function_arn(format!("{function}{given}")).build();
            assert_eq!(untagged(&configuration).unwrap().arn.as_str(), function);
        }
        assert!(untagged(&FunctionConfiguration::builder().build()).is_err());
    }
}
