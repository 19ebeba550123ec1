//! S3 buckets, which are listed for each region.

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

// The IAM action of `ListBuckets` is `s3:ListAllMyBuckets`.
const LIST: Operation = s3::LIST_BUCKETS;

const GET_TAGS: Operation = s3::GET_BUCKET_TAGGING;

/// The maximum page size of `ListBuckets`.
const MAX_PAGE_SIZE: i32 = 10_000;

pub(crate) async fn list(session: &Session) -> Listing {
    let mut listing = ListingBuilder::default();
    let end = read(session, &mut listing).await;
    listing.finish(end)
}

pub(crate) async fn look_up(session: &Session, arns: &[Arn]) -> Listing {
    tags::look_up::<BucketTags>(session, arns).await
}

/// Returns the scopes of those buckets that the account of the session owns. It lists all buckets of the account.
///
/// # Errors
/// A gap if the buckets could not be listed.
pub(crate) async fn locate(session: &Session, arns: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
    let prefix = if let [only] = arns { only.resource() } else { "" };
    let request = session.s3().list_buckets().set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()));
    let (mut located, mut pages) = (Vec::new(), Paginator::new(LIST));
    while let Some(token) = pages.next_page() {
        // Without a parameter, S3 does not return the regions of the buckets.
        let request = request.clone().max_buckets(MAX_PAGE_SIZE).set_continuation_token(token);
        let page = session.send(LIST, request.send()).await?;
        for bucket in page.buckets() {
            let arn = tag_fetch(&session.partition, bucket)?.arn;
            if arns.contains(&arn) {
                located.push((arn, scope(session, bucket)?));
            }
        }
        pages.advance(page.continuation_token())?;
    }
    Ok(located)
}

fn scope(session: &Session, bucket: &Bucket) -> Result<Scope, Gap> {
    let region = bucket.bucket_region().and_then(|location| canonical_region(location).parse().ok());
    let region = region.ok_or_else(|| malformed_response(LIST, "AWS returned a bucket without its region"))?;
    Ok(Scope { account: session.account.clone(), region, resource_type: ResourceType::S3Bucket })
}

async fn read(session: &Session, listing: &mut ListingBuilder) -> Result<(), Gap> {
    let request = session.s3().list_buckets().bucket_region(session.region.as_str()).max_buckets(MAX_PAGE_SIZE);
    let mut pages = Paginator::new(LIST);
    while let Some(token) = pages.next_page() {
        let page = session.send(LIST, request.clone().set_continuation_token(token).send()).await?;
        let in_region = page.buckets().iter().filter(|bucket| is_in(&session.region, bucket));
        let listed = listing.collect_ok(in_region.map(|bucket| tag_fetch(&session.partition, bucket)));
        listing.extend(tags::fetch::<BucketTags>(session, listed).await);
        pages.advance(page.continuation_token())?;
    }
    Ok(())
}

/// Whether a bucket is in the region. A bucket without a region is, because S3 returned it for this region.
fn is_in(region: &Region, bucket: &Bucket) -> bool {
    bucket.bucket_region().is_none_or(|location| canonical_region(location) == region.as_str())
}

/// Returns the region name of a location. S3 still returns the older names of two regions.
fn canonical_region(location: &str) -> &str {
    match location {
        "" | "US" => "us-east-1",
        "EU" => "eu-west-1",
        region => region,
    }
}

fn tag_fetch(partition: &Partition, bucket: &Bucket) -> Result<TagFetch, Gap> {
    let name = bucket.name().map(|name| format!("arn:{partition}:s3:::{name}"));
    Ok(TagFetch {
        arn: arn(LIST, name.as_deref())?,
        created_at: bucket.creation_date().and_then(timestamp),
        links: Relationships::default(),
    })
}

/// Fetches tags through `s3:GetBucketTagging`.
struct BucketTags;

impl InlineTags for BucketTags {
    async fn fetch(session: &Session, arn: &Arn) -> Result<Option<TagSet>, Gap> {
        // After a bucket is deleted, another account can create a bucket with the same name.
        let owner = session.account.as_str();
        let request = session.s3().get_bucket_tagging().bucket(arn.resource()).expected_bucket_owner(owner);
        match session.send_raw(GET_TAGS, request.send()).await {
            Ok(response) => {
                Ok(Some(tag_set(response.tag_set().iter().map(|tag| (Some(tag.key()), Some(tag.value()))))))
            }
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
        let listed = tag_fetch(&"aws-cn".parse().unwrap(), &bucket).unwrap();
        assert_eq!(listed.arn.as_str(), "arn:aws-cn:s3:::logs.example");
    }
}
