//! Injected faults: a cloud whose answers for some scopes are incomplete or missing.

use std::time::Duration;

use jiff::Timestamp;
use tagledger_cost::{AllocationTag, BillQuestion, CostQueryResult};
use tagledger_model::{
    AccountId, Arn,
    inventory::{Gap, Listing, Scope, Tags},
};

use crate::{
    account::{AccountRegion, Accounts},
    creation_events::CreationEvents,
    interface::Cloud,
    lookup_result::LookupResult,
    operation_calls::OperationCalls,
};

/// The fault of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InjectedFault {
    /// No resource can be listed.
    Refused(Gap),
    /// The listing ends after this number of resources.
    CutAfter(usize, Gap),
    /// The tags of every n-th resource cannot be read, starting with the first.
    TagsUnread(usize, Gap),
}

/// A decorator that adds faults to the answers of another cloud.
#[derive(Debug, Clone)]
pub struct FaultInjector<C, F> {
    cloud: C,
    fault: F,
}

impl<C: Cloud, F: Fn(&Scope) -> Option<InjectedFault> + Send + Sync + 'static> FaultInjector<C, F> {
    /// Wraps `cloud`. The function `fault` returns the fault of a scope, or `None` if its answers stay unchanged.
    pub fn new(cloud: C, fault: F) -> Self {
        Self { cloud, fault }
    }
}

impl<C: Cloud, F: Fn(&Scope) -> Option<InjectedFault> + Send + Sync + 'static> Cloud for FaultInjector<C, F> {
    async fn list_accounts(&self) -> Result<Accounts, Gap> {
        self.cloud.list_accounts().await
    }

    async fn list_regions(&self, account: &AccountId) -> Result<Vec<AccountRegion>, Gap> {
        self.cloud.list_regions(account).await
    }

    async fn list(&self, scope: &Scope) -> Listing {
        let mut listing = self.cloud.list(scope).await;
        match (self.fault)(scope) {
            None => {}
            Some(InjectedFault::Refused(gap)) => listing = Listing { resources: Vec::new(), gap: Some(gap) },
            Some(InjectedFault::CutAfter(count, gap)) => {
                listing.resources.truncate(count);
                listing.gap = Some(gap);
            }
            Some(InjectedFault::TagsUnread(every, gap)) => {
                for resource in listing.resources.iter_mut().step_by(every.max(1)) {
                    resource.tags = Tags::Unknown(gap.clone());
                }
            }
        }
        listing
    }

    async fn look_up(&self, scope: &Scope, arns: &[Arn], timeout: Duration) -> Vec<LookupResult> {
        let mut results = self.cloud.look_up(scope, arns, timeout).await;
        let (every, gap) = match (self.fault)(scope) {
            None | Some(InjectedFault::CutAfter(..)) => return results,
            Some(InjectedFault::Refused(gap)) => (1, gap),
            Some(InjectedFault::TagsUnread(every, gap)) => (every.max(1), gap),
        };
        for result in results.iter_mut().step_by(every) {
            *result = LookupResult::Failed(gap.clone());
        }
        results
    }

    async fn locate_buckets(&self, buckets: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
        self.cloud.locate_buckets(buckets).await
    }

    async fn list_creation_events(
        &self,
        scope: &Scope,
        from: Timestamp,
        until: Timestamp,
        max_requests: u64,
    ) -> CreationEvents {
        match (self.fault)(scope) {
            Some(InjectedFault::Refused(gap)) => CreationEvents { found: Vec::new(), gap: Some(gap) },
            _ => self.cloud.list_creation_events(scope, from, until, max_requests).await,
        }
    }

    async fn query_costs(&self, question: &BillQuestion, max_requests: u64) -> CostQueryResult {
        self.cloud.query_costs(question, max_requests).await
    }

    fn payer_account(&self) -> Option<AccountId> {
        self.cloud.payer_account()
    }

    async fn list_allocation_tags(&self, keys: &[String]) -> Result<Vec<AllocationTag>, Gap> {
        self.cloud.list_allocation_tags(keys).await
    }

    fn request_count(&self) -> u64 {
        self.cloud.request_count()
    }

    fn operation_calls(&self) -> Vec<OperationCalls> {
        self.cloud.operation_calls()
    }
}
