//! A cloud whose responses wait until a test releases them.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tagledger_cloud::{
    AccountRegion, Accounts, Cloud, CreationEvents, LookupResult, OperationCalls, simulated::Simulated,
};
use tagledger_cost::{AllocationTag, BillQuestion, CostQueryResult};
use tagledger_model::{
    AccountId, Arn,
    inventory::{Gap, Listing, Scope},
};
use tokio::sync::Semaphore;

/// The simulated company, whose lists wait until they are let go.
pub(crate) struct GatedCloud {
    pub(crate) cloud: Simulated,
    pub(crate) gate: Arc<Semaphore>,
}

impl Cloud for GatedCloud {
    async fn list_accounts(&self) -> Result<Accounts, Gap> {
        self.cloud.list_accounts().await
    }
    async fn list_regions(&self, account: &AccountId) -> Result<Vec<AccountRegion>, Gap> {
        self.cloud.list_regions(account).await
    }
    async fn list(&self, scope: &Scope) -> Listing {
        self.gate.acquire().await.unwrap().forget();
        self.cloud.list(scope).await
    }
    async fn list_creation_events(&self, _: &Scope, _: Timestamp, _: Timestamp, _: u64) -> CreationEvents {
        CreationEvents::default()
    }

    async fn query_costs(&self, question: &BillQuestion, max_requests: u64) -> CostQueryResult {
        self.cloud.query_costs(question, max_requests).await
    }
    async fn look_up(&self, scope: &Scope, arns: &[Arn], timeout: Duration) -> Vec<LookupResult> {
        Cloud::look_up(&self.cloud, scope, arns, timeout).await
    }
    async fn locate_buckets(&self, buckets: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
        Cloud::locate_buckets(&self.cloud, buckets).await
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
