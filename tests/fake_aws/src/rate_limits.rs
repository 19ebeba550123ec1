//! Token buckets with the rates that AWS publishes, one for each account, region and API family.

use std::{collections::HashMap, sync::Mutex, time::Instant};

use crate::protocol::{Call, Service};

/// The number of calls at once, and the number of calls per second after that.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rate {
    burst: f64,
    per_second: f64,
}

type Key = (String, String, String);

/// The token buckets.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    buckets: Mutex<HashMap<Key, (f64, Instant)>>,
}

impl Limits {
    /// Takes a token for a call at the time `now`. False if the bucket is empty.
    pub(crate) fn admit(&self, call: &Call, now: Instant) -> bool {
        let Some((family, rate)) = family(call) else { return true };
        let Ok(mut buckets) = self.buckets.lock() else { return true };
        let key = (call.account.clone(), call.region.clone(), family);
        let (tokens, refilled_at) = buckets.entry(key).or_insert((rate.burst, now));
        let refill = now.saturating_duration_since(*refilled_at).as_secs_f64() * rate.per_second;
        *tokens = (*tokens + refill).min(rate.burst);
        *refilled_at = now;
        let admitted = *tokens >= 1.0;
        if admitted {
            *tokens -= 1.0;
        }
        admitted
    }
}

/// Returns the API family of a call and its rate. `None` if AWS publishes no rate.
fn family(call: &Call) -> Option<(String, Rate)> {
    let rate = |burst, per_second| Rate { burst, per_second };
    let operation = call.operation.as_str();
    Some(match (call.service, operation) {
        (Service::Ec2, _) if call.is_paged_or_filtered() => (format!("ec2:{operation}"), rate(100.0, 20.0)),
        (Service::Ec2, _) => (format!("ec2:{operation}:everything"), rate(50.0, 10.0)),
        (Service::Rds, _) => ("rds".to_owned(), rate(300.0, 12.0)),
        (Service::Lambda, _) => ("lambda:control".to_owned(), rate(15.0, 15.0)),
        (Service::Ecs, "ListClusters" | "DescribeClusters") => ("ecs:cluster".to_owned(), rate(50.0, 20.0)),
        (Service::Ecs, "ListServices" | "DescribeServices") => ("ecs:service".to_owned(), rate(100.0, 20.0)),
        (Service::Ecs, _) => (format!("ecs:{operation}"), rate(50.0, 20.0)),
        (Service::CloudTrail, _) => ("cloudtrail".to_owned(), rate(2.0, 2.0)),
        (Service::Tagging, _) => ("tagging".to_owned(), rate(15.0, 15.0)),
        (Service::CostExplorer | Service::S3 | Service::Sts | Service::Organizations | Service::Other, _) => {
            return None;
        }
    })
}
