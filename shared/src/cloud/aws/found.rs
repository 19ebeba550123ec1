//! From the SDK's values to the domain's, and what a list has found so far.

use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::{errors, limits::Operation};
use crate::{
    Arn,
    inventory::{Gap, GapReason, Listing, Resource, TagSet},
};

/// What a list has seen so far; it outlives the failure that ends the list.
#[derive(Debug, Default)]
pub(super) struct Found {
    resources: Vec<Resource>,
    gap: Option<Gap>,
}

impl Found {
    /// Keeps a resource, or notes why there is none.
    pub(super) fn add(&mut self, resource: Result<Resource, Gap>) {
        match resource {
            Ok(resource) => self.resources.push(resource),
            Err(gap) => self.miss(gap),
        }
    }

    /// Notes that something was not seen; the first such gap is the listing's.
    pub(super) fn miss(&mut self, gap: Gap) {
        self.gap.get_or_insert(gap);
    }

    /// The listing, given how the list ended.
    pub(super) fn listing(mut self, end: Result<(), Gap>) -> Listing {
        if let Err(gap) = end {
            self.miss(gap);
        }
        Listing { resources: self.resources, gap: self.gap }
    }
}

impl Extend<Resource> for Found {
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, resources: I) {
        self.resources.extend(resources);
    }
}

/// An ARN that AWS gave, or that was made of what AWS gave.
///
/// # Errors
/// It is missing, or no ARN: the answer makes no sense.
pub(super) fn arn(operation: Operation, text: Option<&str>) -> Result<Arn, Gap> {
    let message = match text.map(str::parse) {
        Some(Ok(arn)) => return Ok(arn),
        Some(Err(error)) => format!("AWS named a resource oddly: {error}"),
        None => "AWS returned a resource without its name".to_owned(),
    };
    Err(senseless(operation, &message))
}

/// An answer that makes no sense, as a gap.
pub(super) fn senseless(operation: Operation, message: &str) -> Gap {
    Gap { reason: GapReason::Failed, operation: operation.name.to_owned(), message: errors::one_line(message) }
}

/// A point in time, none when it is out of all bounds.
pub(super) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// Tags as the SDK gives them. AWS leaves out the value of a tag whose value is empty.
pub(super) fn tag_set<'a>(tags: impl IntoIterator<Item = (Option<&'a str>, Option<&'a str>)>) -> TagSet {
    tags.into_iter().filter_map(|(key, value)| Some((key?, value.unwrap_or_default()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATION: Operation = Operation::new("rds:DescribeDBInstances", super::super::limits::Family::Rds);

    #[test]
    fn the_first_gap_is_the_listings_and_the_rest_is_kept() {
        let mut found = Found::default();
        found.miss(arn(OPERATION, None).unwrap_err());
        found.add(Ok(Resource {
            arn: arn(OPERATION, Some("arn:aws:s3:::b")).unwrap(),
            created_at: timestamp(&DateTime::from_secs(0)),
            tags: crate::inventory::Tags::Untaggable,
            usage: None,
            links: crate::inventory::Links::default(),
        }));
        let later = Gap { reason: GapReason::Throttled, operation: "x".to_owned(), message: String::new() };
        let listing = found.listing(Err(later));
        assert_eq!(listing.resources.len(), 1);
        assert_eq!(listing.resources[0].created_at, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(listing.gap.unwrap().reason, GapReason::Failed);
    }

    #[test]
    fn a_tag_without_a_value_has_the_empty_one() {
        let tags = tag_set([(Some("b"), None), (Some("a"), Some("1")), (None, Some("lost"))]);
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "")]);
    }
}
