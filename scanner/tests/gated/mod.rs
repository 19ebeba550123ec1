//! A cloud that answers when a test lets it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use shared::{
    AccountId, Arn,
    cloud::{AccountRegion, Accounts, Cloud, Creations, Looked, OperationCalls, simulated::Simulated},
    inventory::{Gap, Listing, Scope},
    money::{AllocationTag, BillQuestion, Billed},
};
use tokio::sync::Semaphore;

/// The simulated company, whose lists wait until they are let go.
pub(crate) struct Gated {
    pub(crate) cloud: Simulated,
    pub(crate) gate: Arc<Semaphore>,
}

impl Cloud for Gated {
    async fn accounts(&self) -> Result<Accounts, Gap> {
        self.cloud.accounts().await
    }
    async fn regions(&self, account: &AccountId) -> Result<Vec<AccountRegion>, Gap> {
        self.cloud.regions(account).await
    }
    async fn list(&self, scope: &Scope) -> Listing {
        self.gate.acquire().await.unwrap().forget();
        self.cloud.list(scope).await
    }
    async fn creations(&self, _: &Scope, _: Timestamp, _: Timestamp, _: u64) -> Creations {
        Creations::default()
    }

    async fn bill(&self, question: &BillQuestion, most_requests: u64) -> Billed {
        self.cloud.bill(question, most_requests).await
    }
    async fn look(&self, scope: &Scope, arns: &[Arn], patience: Duration) -> Vec<Looked> {
        Cloud::look(&self.cloud, scope, arns, patience).await
    }
    async fn locate(&self, buckets: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
        Cloud::locate(&self.cloud, buckets).await
    }
    fn payer(&self) -> Option<AccountId> {
        self.cloud.payer()
    }
    async fn allocation_tags(&self, keys: &[String]) -> Result<Vec<AllocationTag>, Gap> {
        self.cloud.allocation_tags(keys).await
    }
    fn requests(&self) -> u64 {
        self.cloud.requests()
    }
    fn calls(&self) -> Vec<OperationCalls> {
        self.cloud.calls()
    }
}
