//! The results of lookups of resources by ARN.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tagledger_model::{
    Arn,
    inventory::{Gap, Listing, Resource},
};

/// The result of the lookup of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LookupResult {
    /// The resource exists.
    Found(Resource),
    /// No resource with this ARN exists.
    NotFound,
    /// The lookup failed. It is unknown whether the resource exists.
    Failed(Gap),
}

/// Converts the listing of a batch of resources into one result for each ARN, in the order of `arns`.
///
/// A resource that is not in the listing is [`LookupResult::NotFound`] if the listing is complete. If the listing has a
/// gap, the result is [`LookupResult::Failed`].
pub fn resolve_lookups(arns: &[Arn], listing: Listing) -> Vec<LookupResult> {
    let Listing { resources, gap } = listing;
    let mut found: HashMap<Arn, Resource> =
        resources.into_iter().map(|resource| (resource.arn.clone(), resource)).collect();
    let not_listed = || gap.clone().map_or(LookupResult::NotFound, LookupResult::Failed);
    arns.iter().map(|arn| found.remove(arn).map_or_else(not_listed, LookupResult::Found)).collect()
}
