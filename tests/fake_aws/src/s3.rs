//! S3: buckets and their tags, path style. REST with XML.

use axum::http::Method;

use crate::{
    account_region::{AccountRegion, Kind},
    errors::{self, ApiError},
    pagination::Paging,
    protocol::{Call, Outcome, Reply, escape, optional, xml_tags},
};

const MAX_PAGE_SIZE: usize = 10_000;
const PARAMETERS: [&str; 4] = ["max-buckets", "continuation-token", "prefix", "bucket-region"];
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Returns the operation of a request. `None` if the fake does not implement it.
pub(crate) fn operation(method: &Method, path: &str, params: &[(String, String)]) -> Option<String> {
    let tagging = params.iter().any(|(key, _)| key == "tagging");
    let bucket = path.trim_matches('/');
    let name = match (method, bucket.is_empty()) {
        (&Method::GET, true) => "ListBuckets",
        (&Method::GET, false) if tagging && !bucket.contains('/') => "GetBucketTagging",
        _ => return None,
    };
    Some(name.to_owned())
}

/// Handles a call of this service.
pub(crate) fn handle(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    match call.operation.as_str() {
        "ListBuckets" => list_buckets(account_region, call),
        "GetBucketTagging" => get_bucket_tagging(account_region, call),
        _ => Err(ApiError::unsupported(call)),
    }
}

fn invalid(argument: &str, message: &str) -> ApiError {
    ApiError::new(400, "InvalidArgument", message).with("ArgumentName", argument)
}

/// The buckets of an account in all enabled regions, in the order of their names.
struct Buckets<'a> {
    account_regions: Vec<AccountRegion<'a>>,
}

impl<'a> Buckets<'a> {
    fn in_regions(account_region: &AccountRegion<'a>, region: Option<&str>) -> Self {
        let regions = account_region.regions_of_account().filter(|account_region| account_region.enabled);
        Self {
            account_regions: regions
                .filter(|account_region| region.is_none_or(|region| region == account_region.region))
                .collect(),
        }
    }

    fn len(&self) -> usize {
        self.account_regions.iter().map(|account_region| account_region.count(Kind::Bucket)).sum()
    }

    fn at(&self, mut position: usize) -> Option<(&AccountRegion<'a>, usize)> {
        for account_region in &self.account_regions {
            let count = account_region.count(Kind::Bucket);
            if position < count {
                return Some((account_region, position));
            }
            position -= count;
        }
        None
    }

    fn name(&self, position: usize) -> Option<String> {
        self.at(position).map(|(account_region, index)| account_region.id(Kind::Bucket, index))
    }
}

fn list_buckets(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let size = call.number("max-buckets").map_err(|message| invalid("max-buckets", &message))?;
    if size.is_some_and(|size| !(1..=MAX_PAGE_SIZE).contains(&size)) {
        return Err(invalid("max-buckets", "Argument max-buckets must be an integer between 1 and 10000"));
    }
    let region = call.param("bucket-region");
    if region.is_some_and(|region| region != call.region) {
        return Err(invalid("bucket-region", "Argument bucket-region must be the region of the endpoint"));
    }
    let buckets = Buckets::in_regions(account_region, region);
    if size.is_none() && buckets.len() > MAX_PAGE_SIZE {
        let message = "Accounts with a quota above 10,000 buckets must list them page by page.";
        return Err(ApiError::new(400, "InvalidRequest", message));
    }
    let prefix = call.param("prefix").unwrap_or_default();
    let matches =
        |position: usize| prefix.is_empty() || buckets.name(position).is_some_and(|name| name.starts_with(prefix));
    let scope = call.scope(&format!("buckets/{region:?}/{prefix}"));
    let token = call.param("continuation-token");
    let paging = Paging { scope: &scope, token, size: size.unwrap_or(MAX_PAGE_SIZE), effect: call.effect.as_ref() };
    let bad_token = || invalid("continuation-token", "The continuation token provided is incorrect");
    let page = paging.page_where(buckets.len(), matches).ok_or_else(bad_token)?;
    let with_region = PARAMETERS.iter().any(|name| call.param(name).is_some());
    let listed: Vec<String> = page
        .range
        .filter(|position| matches(*position))
        .filter_map(|position| buckets.at(position))
        .map(|(account_region, index)| bucket(account_region, index, with_region))
        .collect();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult xmlns=\"{NAMESPACE}\">\
         <Owner><ID>{}</ID></Owner><Buckets>{}</Buckets>{}</ListAllMyBucketsResult>",
        escape(&call.account),
        listed.concat(),
        optional("ContinuationToken", page.next.as_deref())
    );
    Ok(Reply { body, items: listed.len() })
}

fn bucket(account_region: &AccountRegion<'_>, index: usize, with_region: bool) -> String {
    let (name, created) = (account_region.id(Kind::Bucket, index), account_region.created(index));
    let region = optional("BucketRegion", with_region.then_some(account_region.region));
    format!("<Bucket><Name>{name}</Name><CreationDate>{created}</CreationDate>{region}</Bucket>")
}

fn get_bucket_tagging(account_region: &AccountRegion<'_>, call: &Call) -> Outcome {
    let name = call.path.trim_matches('/');
    let (owner, index) = find_bucket(account_region, name).ok_or_else(|| {
        ApiError::new(404, "NoSuchBucket", "The specified bucket does not exist").with("BucketName", name)
    })?;
    if owner.region != call.region {
        return Err(wrong_region(call, name, owner.region));
    }
    let is_expected_owner = call.bucket_owner.as_deref().is_none_or(|id| id == owner.account.id);
    if owner.account.id != call.account || !is_expected_owner {
        return Err(errors::deny(call, "because no resource-based policy allows the"));
    }
    let tags = owner.tags(Kind::Bucket, index);
    if tags.is_empty() {
        return Err(ApiError::new(404, "NoSuchTagSet", "The TagSet does not exist").with("BucketName", name));
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Tagging xmlns=\"{NAMESPACE}\"><TagSet>{}</TagSet></Tagging>",
        xml_tags(&tags, "Tag", "Key", "Value")
    );
    Ok(Reply { body, items: tags.len() })
}

/// Returns the owner and the index of a bucket. Bucket names are global, so the owner may be another account.
fn find_bucket<'a>(account_region: &AccountRegion<'a>, name: &str) -> Option<(AccountRegion<'a>, usize)> {
    let all = account_region.estate.accounts.iter().enumerate();
    all.flat_map(|(no, account)| AccountRegion::all(account_region.estate, no, account)).find_map(|account_region| {
        let index = account_region.find_id(Kind::Bucket, name)?;
        (index < account_region.count(Kind::Bucket)).then_some((account_region, index))
    })
}

/// Returns the error for a request in the wrong region. In us-east-1, S3 rejects the signature. In other regions, it redirects.
fn wrong_region(call: &Call, bucket: &str, region: &str) -> ApiError {
    if call.region == "us-east-1" {
        let message =
            format!("The authorization header is malformed; the region 'us-east-1' is wrong; expecting '{region}'");
        return ApiError::new(400, "AuthorizationHeaderMalformed", message).with("Region", region);
    }
    let message = "The bucket you are attempting to access must be addressed using the specified endpoint.";
    let endpoint = format!("s3.{region}.amazonaws.com");
    let error = ApiError::new(301, "PermanentRedirect", message).with("Bucket", bucket);
    error.with("Endpoint", &endpoint).with("Region", region)
}
