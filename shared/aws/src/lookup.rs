//! Lookups of resources by ARN, with as few requests as possible.
//!
//! `tag:GetResources` takes a hundred ARNs of any type, but it omits resources that were never tagged and returns some that
//! were deleted. So each type is looked up through its own service, which also reports that a resource does not exist.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt as _, stream};
use tagledger_cloud::{LookupResult, resolve_lookups};
use tagledger_model::{
    Arn, ResourceType,
    inventory::{Gap, GapReason, Listing},
};
use tokio::time::Instant;

use crate::{services, session::Session};

/// Number of concurrent requests for one account and region.
const MAX_CONCURRENT_BATCHES: usize = 8;

/// Looks up resources and returns one result for each ARN, in the order of `arns`.
pub(crate) async fn look_up(
    session: &Session,
    resource_type: ResourceType,
    arns: &[Arn],
    timeout: Duration,
) -> Vec<LookupResult> {
    let batches = batches(arns, resource_type.spec().lookup_batch);
    let deadline = Instant::now() + timeout;
    let lookups: Vec<_> = batches.iter().map(|batch| look_up_batch(session, resource_type, batch, deadline)).collect();
    let results: Vec<Vec<LookupResult>> = stream::iter(lookups).buffered(MAX_CONCURRENT_BATCHES).collect().await;
    let by_arn: HashMap<&Arn, LookupResult> = batches.iter().flatten().zip(results.into_iter().flatten()).collect();
    arns.iter().map(|arn| by_arn.get(arn).cloned().unwrap_or(LookupResult::NotFound)).collect()
}

/// Groups ARNs into batches for one request each. ECS services of different clusters need different requests.
fn batches(arns: &[Arn], max_batch: usize) -> Vec<Vec<Arn>> {
    let parent = |arn: &Arn| arn.resource_id().rsplit_once('/').map(|(parent, _)| parent.to_owned());
    let mut sorted = arns.to_vec();
    sorted.sort_by_key(parent);
    let siblings = sorted.chunk_by(|a, b| parent(a) == parent(b));
    siblings.flat_map(|siblings| siblings.chunks(max_batch)).map(<[Arn]>::to_vec).collect()
}

async fn look_up_batch(
    session: &Session,
    resource_type: ResourceType,
    batch: &[Arn],
    deadline: Instant,
) -> Vec<LookupResult> {
    let result = tokio::time::timeout_at(deadline, services::look_up_batch(session, resource_type, batch)).await;
    let timed_out = |_| Listing { resources: Vec::new(), gap: Some(timeout_gap(resource_type)) };
    resolve_lookups(batch, result.unwrap_or_else(timed_out))
}

fn timeout_gap(resource_type: ResourceType) -> Gap {
    let message = "AWS did not respond in time".to_owned();
    Gap { reason: GapReason::Failed, operation: resource_type.as_str().to_owned(), message }
}

#[cfg(test)]
mod tests {
    use tagledger_model::Arn;

    use super::*;

    /// Lookups of ECS services are batched by cluster, with at most ten services in a batch.
    #[test]
    fn service_lookups_are_batched_by_cluster() {
        let service = |n: usize| {
            let cluster = if n.is_multiple_of(2) { "even" } else { "odd" };
            format!("arn:aws:ecs:eu-west-1:123456789012:service/{cluster}/s{n}").parse().unwrap()
        };
        let services: Vec<Arn> = (0..24).map(service).collect();
        let sizes: Vec<usize> = batches(&services, 10).iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 2, 10, 2]);
    }
}
