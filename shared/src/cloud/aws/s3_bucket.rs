//! S3 buckets, region by region.

use aws_sdk_s3::{error::ProvideErrorMetadata, types::Bucket};
use serde_json::Value;

use super::{
    cloud_trail::{self, Creating},
    found::{Found, arn, senseless, tag_set, timestamp},
    limits::{Family, Operation},
    pages::Pages,
    session::Session,
    tags::{self, NativeTags, Untagged},
};
use crate::{
    Arn, Partition, Region, ResourceType,
    inventory::{Gap, Links, Listing, Scope, TagSet},
};

// The permission to list buckets is not named as the call.
const LIST: Operation = Operation::new("s3:ListAllMyBuckets", Family::S3Buckets);
const GET_TAGS: Operation = Operation::new("s3:GetBucketTagging", Family::S3Tags);

/// The most that AWS gives on a page. Without any parameter it would not say where the buckets are.
const PER_PAGE: i32 = 10_000;

pub(super) const CREATED_BY: Creating = Creating { event: "CreateBucket", source: "s3.amazonaws.com", created };

fn created(session: &Session, event: &Value) -> Vec<String> {
    let names = cloud_trail::at(event, "/requestParameters/bucketName");
    names.iter().map(|name| format!("arn:{}:s3:::{name}", session.partition)).collect()
}

pub(super) async fn list(session: &Session) -> Listing {
    let mut found = Found::default();
    let end = read(session, &mut found).await;
    found.listing(end)
}

/// Only a bucket's own answer tells one without tags from one that is not there.
pub(super) const LOOK_AT_ONCE: usize = 1;

pub(super) async fn look(session: &Session, arns: &[Arn]) -> Listing {
    tags::look::<Buckets>(session, arns).await
}

/// Where those of the buckets are that the session's account has, by one list of all its buckets.
///
/// # Errors
/// Its buckets could not be listed.
pub(super) async fn locate(session: &Session, arns: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
    // Only with some parameter AWS says where buckets are.
    let prefix = if let [only] = arns { only.resource() } else { "" };
    let request = session.s3().list_buckets().set_prefix((!prefix.is_empty()).then(|| prefix.to_owned()));
    let (mut located, mut pages) = (Vec::new(), Pages::of(LIST));
    while let Some(token) = pages.next() {
        let request = request.clone().max_buckets(PER_PAGE).set_continuation_token(token);
        let page = session.send(LIST, request.send()).await?;
        for bucket in page.buckets() {
            let arn = untagged(&session.partition, bucket)?.arn;
            if arns.contains(&arn) {
                located.push((arn, scope(session, bucket)?));
            }
        }
        pages.turn(page.continuation_token())?;
    }
    Ok(located)
}

fn scope(session: &Session, bucket: &Bucket) -> Result<Scope, Gap> {
    let region = bucket.bucket_region().and_then(|given| canonical(given).parse().ok());
    let region = region.ok_or_else(|| senseless(LIST, "AWS did not say in which region a bucket is"))?;
    Ok(Scope { account: session.account.clone(), region, resource_type: ResourceType::S3Bucket })
}

async fn read(session: &Session, found: &mut Found) -> Result<(), Gap> {
    let request = session.s3().list_buckets().bucket_region(session.region.as_str()).max_buckets(PER_PAGE);
    let mut pages = Pages::of(LIST);
    while let Some(token) = pages.next() {
        let page = session.send(LIST, request.clone().set_continuation_token(token).send()).await?;
        let mut listed = Vec::new();
        for bucket in page.buckets().iter().filter(|bucket| is_in(&session.region, bucket)) {
            match untagged(&session.partition, bucket) {
                Ok(bucket) => listed.push(bucket),
                Err(gap) => found.miss(gap),
            }
        }
        found.extend(tags::read::<Buckets>(session, listed).await);
        pages.turn(page.continuation_token())?;
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

fn untagged(partition: &Partition, bucket: &Bucket) -> Result<Untagged, Gap> {
    let name = bucket.name().map(|name| format!("arn:{partition}:s3:::{name}"));
    Ok(Untagged {
        arn: arn(LIST, name.as_deref())?,
        created_at: bucket.creation_date().and_then(timestamp),
        links: Links::default(),
    })
}

/// Tags through `s3:GetBucketTagging`.
struct Buckets;

impl NativeTags for Buckets {
    async fn read(session: &Session, arn: &Arn) -> Result<Option<TagSet>, Gap> {
        // A name that was given up may be a stranger's by now.
        let owner = session.account.as_str();
        let request = session.s3().get_bucket_tagging().bucket(arn.resource()).expected_bucket_owner(owner);
        match session.ask(GET_TAGS, request.send()).await {
            Ok(answer) => Ok(Some(tag_set(answer.tag_set().iter().map(|tag| (Some(tag.key()), Some(tag.value())))))),
            Err(error) => match error.code() {
                Some("NoSuchTagSet") => Ok(Some(TagSet::default())),
                Some("NoSuchBucket") => Ok(None),
                _ => Err(session.gap(GET_TAGS, &error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_belongs_to_its_region_by_any_of_its_names() {
        let is_in = |region: &str, given: Option<&str>| {
            is_in(&region.parse().unwrap(), &Bucket::builder().set_bucket_region(given.map(str::to_owned)).build())
        };
        assert!(is_in("eu-west-1", Some("eu-west-1")) && is_in("eu-west-1", Some("EU")) && is_in("eu-west-1", None));
        assert!(is_in("us-east-1", Some("")) && is_in("us-east-1", Some("us-east-1")));
        assert!(!is_in("us-east-1", Some("eu-west-1")));
    }

    #[test]
    fn a_buckets_name_stands_in_its_own_partition() {
        let bucket = Bucket::builder().name("logs.example").build();
        let listed = untagged(&"aws-cn".parse().unwrap(), &bucket).unwrap();
        assert_eq!(listed.arn.as_str(), "arn:aws-cn:s3:::logs.example");
    }
}
