//! Listings, and the conversion of SDK values to domain values.

use aws_smithy_types::DateTime;
use jiff::Timestamp;
use tagledger_model::{
    Arn,
    api::Operation,
    inventory::{Gap, GapReason, Listing, Resource, TagSet},
};

use crate::error_mapping;

/// The resources that a listing has read so far. They are retained if a later page fails.
#[derive(Debug, Default)]
pub(crate) struct ListingBuilder {
    resources: Vec<Resource>,
    gap: Option<Gap>,
}

impl ListingBuilder {
    /// Adds a resource, or records the gap of a resource that could not be read.
    pub(crate) fn add(&mut self, resource: Result<Resource, Gap>) {
        match resource {
            Ok(resource) => self.resources.push(resource),
            Err(gap) => self.record_gap(gap),
        }
    }

    /// Records that resources may be missing. The first gap becomes the gap of the listing.
    pub(crate) fn record_gap(&mut self, gap: Gap) {
        self.gap.get_or_insert(gap);
    }

    /// Returns the converted items, and records the gaps of those that could not be converted.
    pub(crate) fn collect_ok<T>(&mut self, results: impl IntoIterator<Item = Result<T, Gap>>) -> Vec<T> {
        results.into_iter().filter_map(|result| result.map_err(|gap| self.record_gap(gap)).ok()).collect()
    }

    /// Returns the listing. `end` is the result of reading the last page.
    pub(crate) fn finish(mut self, end: Result<(), Gap>) -> Listing {
        if let Err(gap) = end {
            self.record_gap(gap);
        }
        Listing { resources: self.resources, gap: self.gap }
    }
}

impl Extend<Resource> for ListingBuilder {
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, resources: I) {
        self.resources.extend(resources);
    }
}

/// Parses an ARN from a response.
///
/// # Errors
/// A gap if the ARN is missing or invalid.
pub(crate) fn arn(operation: Operation, text: Option<&str>) -> Result<Arn, Gap> {
    let message = match text.map(str::parse) {
        Some(Ok(arn)) => return Ok(arn),
        Some(Err(error)) => format!("AWS returned an invalid ARN: {error}"),
        None => "AWS returned a resource without an ARN".to_owned(),
    };
    Err(malformed_response(operation, &message))
}

/// Creates the gap for a response that is malformed.
pub(crate) fn malformed_response(operation: Operation, message: &str) -> Gap {
    Gap {
        reason: GapReason::Failed,
        operation: operation.name.to_owned(),
        message: error_mapping::to_one_line(message),
    }
}

/// Converts a timestamp of the SDK. `None` if it is out of range.
pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// Converts tags of the SDK. AWS omits empty values.
pub(crate) fn tag_set<'a>(tags: impl IntoIterator<Item = (Option<&'a str>, Option<&'a str>)>) -> TagSet {
    tags.into_iter().filter_map(|(key, value)| Some((key?, value.unwrap_or_default()))).collect()
}

#[cfg(test)]
mod tests {
    use tagledger_model::{
        inventory::{self, Gap, GapReason, Resource},
        resource_types::rds,
    };

    use super::*;

    const OPERATION: Operation = rds::DESCRIBE_DB_INSTANCES;

    /// The first gap is the gap of the listing, later gaps do not replace it, and the resources that were read are
    /// retained.
    #[test]
    fn first_gap_wins_and_resources_are_retained() {
        let mut listing = ListingBuilder::default();
        listing.record_gap(arn(OPERATION, None).unwrap_err());
        listing.add(Ok(Resource {
            arn: arn(OPERATION, Some("arn:aws:s3:::b")).unwrap(),
            created_at: timestamp(&DateTime::from_secs(0)),
            tags: inventory::Tags::Untaggable,
            usage: None,
            links: inventory::Relationships::default(),
        }));
        let later = Gap { reason: GapReason::Throttled, operation: "x".to_owned(), message: String::new() };
        let listing = listing.finish(Err(later));
        assert_eq!(listing.resources.len(), 1);
        assert_eq!(listing.resources[0].created_at, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(listing.gap.unwrap().reason, GapReason::Failed);
    }

    /// A tag without a value has the empty value, and an entry without a key is discarded.
    #[test]
    fn tag_without_value_is_empty_string() {
        let tags = tag_set([(Some("b"), None), (Some("a"), Some("1")), (None, Some("lost"))]);
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "")]);
    }
}
