//! S3 buckets, region by region.

use aws_sdk_s3::{error::ProvideErrorMetadata, types::Bucket};
use tagledger_model::{
    Arn, Partition, Region, ResourceType,
    api::Operation,
    inventory::{Gap, Listing, Relationships, Scope, TagSet},
    resource_types::s3,
};

use crate::{
    listing_builder::{ListingBuilder, arn, malformed_response, tag_set, timestamp},
    paginator::Paginator,
    session::Session,
    tags::{self, InlineTags, TagFetch},
};

// The permission to list buckets is not named as the call.
const LIST: Operation = s3::LIST_BUCKETS;

const GET_TAGS: Operation = s3::GET_BUCKET_TAGGING;

/// The most that AWS gives on a page. Without any parameter it would not say where the buckets are.
const PER_PAGE: i32 = 10_000;

pub(crate) async fn list(session: &Session) -> Listing {
    let mut listing = ListingBuilder::default();
    let end = read(session, &mut listing).await;
    listing.finish(end)
}

pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    tags::look_up::<BucketTags>(session, arns).await
}

/// Where those of the buckets are that the session's account has, by one list of all its buckets.
///
/// # Errors
/// Its buckets could not be listed.
pub(crate) async fn locate(session: &Session, arns: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
    // Only with some parameter AWS says where buckets are.
    let prefix = if let [only] = arns { only.resource() } else { "" };
    let request = session.s3().list_buckets().set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()));
    let (mut located, mut pages) = (Vec::new(), Paginator::new(LIST));
    while let Some(token) = pages.next_page() {
        let request = request.clone().max_buckets(PER_PAGE).set_continuation_token(token);
        let page = session.send(LIST, request.send()).await?;
        for bucket in page.buckets() {
            let arn = untagged(&session.partition, bucket)?.arn;
            if arns.contains(&arn) {
                located.push((arn, scope(session, bucket)?));
            }
        }
        pages.advance(page.continuation_token())?;
    }
    Ok(located)
}

fn scope(session: &Session, bucket: &Bucket) -> Result<Scope, Gap> {
    let region = bucket.bucket_region().and_then(|given| canonical(given).parse().ok());
    let region = region.ok_or_else(|| malformed_response(LIST, "AWS did not say in which region a bucket is"))?;
    Ok(Scope { account: session.account.clone(), region, resource_type: ResourceType::S3Bucket })
}

async fn read(session: &Session, listing: &mut ListingBuilder) -> Result<(), Gap> {
    let request = session.s3().list_buckets().bucket_region(session.region.as_str()).max_buckets(PER_PAGE);
    let mut pages = Paginator::new(LIST);
    while let Some(token) = pages.next_page() {
        let page = session.send(LIST, request.clone().set_continuation_token(token).send()).await?;
        let mut listed = Vec::new();
        for bucket in page.buckets().iter().filter(|bucket| is_in(&session.region, bucket)) {
            match untagged(&session.partition, bucket) {
                Ok(bucket) => listed.push(bucket),
                Err(gap) => listing.record_gap(gap),
            }
        }
        listing.extend(tags::fetch::<BucketTags>(session, listed).await);
        pages.advance(page.continuation_token())?;
    }
    Ok(())
}

/// Whether a bucket belongs to the region's list. One without a region is there because it was asked for.
fn is_in(region: &Region, bucket: &Bucket) -> bool {
    bucket.bucket_region().is_none_or(|given| canonical(given) == region.as_str())
}

/// The two regions that S3 had names for before regions were named.
fn canonical(location: &str) -> &str {
    match location {
        "" | "US" => "us-east-1",
        "EU" => "eu-west-1",
        region => region,
    }
}

fn untagged(partition: &Partition, bucket: &Bucket) -> Result<TagFetch, Gap> {
    let name = bucket.name().map(|name| format!("arn:{partition}:s3:::{name}"));
    Ok(TagFetch {
        arn: arn(LIST, name.as_deref())?,
        created_at: bucket.creation_date().and_then(timestamp),
        links: Relationships::default(),
    })
}

/// Tags through `s3:GetBucketTagging`.
struct BucketTags;

impl InlineTags for BucketTags {
    async fn fetch(session: &Session, arn: &Arn) -> Result<Option<TagSet>, Gap> {
        // A name that was given up may be a stranger's by now.
        let owner = session.account.as_str();
        let request = session.s3().get_bucket_tagging().bucket(arn.resource()).expected_bucket_owner(owner);
        match session.send_raw(GET_TAGS, request.send()).await {
            Ok(answer) => Ok(Some(tag_set(answer.tag_set().iter().map(|tag| (Some(tag.key()), Some(tag.value())))))),
            Err(error) => match error.code() {
                Some("NoSuchTagSet") => Ok(Some(TagSet::default())),
                Some("NoSuchBucket") => Ok(None),
                _ => Err(session.gap_from_error(GET_TAGS, &error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bucket belongs to a region by its current or legacy location name. An absent location matches the requested
    /// region.
    #[test]
    fn bucket_region_accepts_legacy_names() {
        let is_in = |region: &str, given: Option<&str>| {
            is_in(&region.parse().unwrap(), &Bucket::builder().set_bucket_region(given.map(str::to_owned)).build())
        };
        assert!(is_in("eu-west-1", Some("eu-west-1")) && is_in("eu-west-1", Some("EU")) && is_in("eu-west-1", None));
        assert!(is_in("us-east-1", Some("")) && is_in("us-east-1", Some("us-east-1")));
        assert!(!is_in("us-east-1", Some("eu-west-1")));
    }

    /// The ARN of a bucket uses the partition of its account.
    #[test]
    fn bucket_arn_uses_account_partition() {
        let bucket = Bucket::builder().name("logs.example").build();
        let listed = untagged(&"aws-cn".parse().unwrap(), &bucket).unwrap();
        assert_eq!(listed.arn.as_str(), "arn:aws-cn:s3:::logs.example");
    }
}
