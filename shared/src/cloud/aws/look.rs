//! Named resources, read now: in as few requests as tell which of them are there.
//!
//! `tag:GetResources` would take a hundred of any type at a time, but leaves out those that were never tagged, and names some
//! that were deleted. So each type is asked through its own service, where an answer also says what is not there.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use super::{look_at_once, look_batch, session::Session};
use crate::{
    Arn, ResourceType,
    cloud::{Looked, looked},
    inventory::{Gap, GapReason, Listing},
};

/// How many requests for one account and region are under way at the same time.
const AT_ONCE: usize = 8;

/// One answer for each resource, in their order.
pub(super) async fn look(
    session: &Session,
    resource_type: ResourceType,
    arns: &[Arn],
    patience: Duration,
) -> Vec<Looked> {
    let batches = batches(arns, look_at_once(resource_type));
    let until = Instant::now() + patience;
    let asked: Vec<_> = batches.iter().map(|batch| in_time(session, resource_type, batch, until)).collect();
    let answers: Vec<Vec<Looked>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let named = batches.iter().flatten().zip(answers.into_iter().flatten());
    let answers: HashMap<&Arn, Looked> = named.collect();
    arns.iter().map(|arn| answers.get(arn).cloned().unwrap_or(Looked::Gone)).collect()
}

/// Resources that one request can be about: services are asked for by their cluster.
fn batches(arns: &[Arn], at_once: usize) -> Vec<Vec<Arn>> {
    let parent = |arn: &Arn| arn.resource_id().rsplit_once('/').map(|(parent, _)| parent.to_owned());
    let mut sorted = arns.to_vec();
    sorted.sort_by_key(parent);
    let alike = sorted.chunk_by(|a, b| parent(a) == parent(b));
    alike.flat_map(|alike| alike.chunks(at_once)).map(<[Arn]>::to_vec).collect()
}

async fn in_time(session: &Session, resource_type: ResourceType, batch: &[Arn], until: Instant) -> Vec<Looked> {
    let asked = tokio::time::timeout_at(until, look_batch(session, resource_type, batch)).await;
    let late = |_| Listing { resources: Vec::new(), gap: Some(late(resource_type)) };
    let Listing { resources, gap } = asked.unwrap_or_else(late);
    looked(batch, resources, gap.as_ref())
}

fn late(resource_type: ResourceType) -> Gap {
    let message = "AWS did not answer in time".to_owned();
    Gap { reason: GapReason::Failed, operation: resource_type.as_str().to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_asked_for_by_cluster_and_ten_at_a_time() {
        let service = |n: usize| {
            let cluster = if n.is_multiple_of(2) { "even" } else { "odd" };
            format!("arn:aws:ecs:eu-west-1:123456789012:service/{cluster}/s{n}").parse().unwrap()
        };
        let services: Vec<Arn> = (0..24).map(service).collect();
        let sizes: Vec<usize> = batches(&services, 10).iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 2, 10, 2]);
    }
}
