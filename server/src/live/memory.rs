//! What was seen of resources in the last minute: by this server, and through Redis by those that share one with it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use shared::{Arn, checksum, cloud::Looked, inventory::Scope};

use crate::{ledger::Moment, shelf::Shelf};

/// For how long an answer is given again without asking AWS: a chat asks about the same resource more than once.
const FRESH: Duration = Duration::from_secs(60);

/// Answers kept; a resource and its tags take about a kilobyte.
const KEPT: u64 = 10_000;

/// What was seen, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) looked: Looked,
    pub(crate) at: Timestamp,
}

#[derive(Clone)]
pub(super) struct Memory {
    seen: Cache<Arn, Seen>,
    shelf: Option<Arc<Shelf>>,
}

impl Memory {
    pub(super) fn new(shelf: Option<Arc<Shelf>>) -> Self {
        Self { seen: Cache::builder().max_capacity(KEPT).time_to_live(FRESH).build(), shelf }
    }

    /// What is remembered of some of these. What others saw is not kept here: it would seem fresh for longer than it is.
    pub(super) async fn recall(
        &self,
        wanted: &[(Scope, Arn)],
        now: Timestamp,
        moment: Option<Moment>,
    ) -> HashMap<Arn, Seen> {
        let mut known: HashMap<Arn, Seen> =
            wanted.iter().filter_map(|(_, arn)| Some((arn.clone(), self.seen.get(arn)?))).collect();
        let others: Vec<&(Scope, Arn)> = wanted.iter().filter(|(_, arn)| !known.contains_key(arn)).collect();
        if let (Some((shelf, moment)), false) = (self.shelf.as_ref().zip(moment), others.is_empty()) {
            let keys: Vec<String> = others.iter().map(|(scope, arn)| key(scope, arn, moment)).collect();
            for ((_, arn), found) in others.into_iter().zip(shelf.get_all(&keys).await) {
                let seen = found.and_then(|found| serde_json::from_slice::<Seen>(&found).ok());
                known.extend(seen.filter(|seen| is_fresh(seen, now)).map(|seen| (arn.clone(), seen)));
            }
        }
        known
    }

    pub(super) fn keep(&self, scope: &Scope, arn: &Arn, seen: &Seen, moment: Option<Moment>) {
        self.seen.insert(arn.clone(), seen.clone());
        if let (Some((shelf, moment)), Ok(written)) = (self.shelf.as_ref().zip(moment), serde_json::to_vec(seen)) {
            shelf.put(key(scope, arn, moment), &written, FRESH.as_secs());
        }
    }
}

/// Clocks of two machines differ a little; what was seen in the future was not.
fn is_fresh(seen: &Seen, now: Timestamp) -> bool {
    let age = now.duration_since(seen.at);
    age >= -SignedDuration::from_secs(5) && age.unsigned_abs() <= FRESH
}

/// Under which name servers share what they saw of a resource.
fn key(scope: &Scope, arn: &Arn, moment: Moment) -> String {
    checksum::name("tagledger:seen", &[&format!("{moment:?}"), &scope.to_string(), arn.as_str()])
}
