//! The interface of a cloud.

use std::{future::Future, time::Duration};

use jiff::Timestamp;
use tagledger_cost::{AllocationTag, BillQuestion, CostQueryResult};
use tagledger_model::{
    AccountId, Arn,
    inventory::{Gap, Listing, Scope},
};

use crate::{
    account::{AccountRegion, Accounts},
    creation_events::CreationEvents,
    lookup_result::LookupResult,
    operation_calls::OperationCalls,
};

/// A cloud whose resources can be inventoried: AWS, the simulated company, or one of them with injected faults.
///
/// The only error type of this interface is [`Gap`], because an incomplete answer is recorded and does not end a scan.
pub trait Cloud: Send + Sync + 'static {
    /// Lists the accounts to scan. The caller's own account is first.
    ///
    /// # Errors
    /// A gap if the caller cannot be identified. A failure to list further accounts is a gap within [`Accounts`].
    fn list_accounts(&self) -> impl Future<Output = Result<Accounts, Gap>> + Send;

    /// Lists the enabled and the disabled regions of the account's partition, sorted by name.
    ///
    /// # Errors
    /// A gap if the regions cannot be listed.
    fn list_regions(&self, account: &AccountId) -> impl Future<Output = Result<Vec<AccountRegion>, Gap>> + Send;

    /// Lists the resources of one scope. If a page cannot be read, the listing has the pages before it and a gap.
    fn list(&self, scope: &Scope) -> impl Future<Output = Listing> + Send;

    /// Looks up resources of one scope by ARN. Returns one result for each ARN, in the order of `arns`, within
    /// `timeout`.
    fn look_up(&self, scope: &Scope, arns: &[Arn], timeout: Duration)
    -> impl Future<Output = Vec<LookupResult>> + Send;

    /// Finds the scopes of S3 buckets, whose ARNs have neither an account nor a region. Buckets that the caller's own
    /// account does not own are left out.
    ///
    /// # Errors
    /// A gap if the buckets of the account cannot be listed.
    fn locate_buckets(&self, buckets: &[Arn]) -> impl Future<Output = Result<Vec<(Arn, Scope)>, Gap>> + Send;

    /// Lists the recorded creation events of resources of one scope between `from` and `until`, with at most
    /// `max_requests` requests.
    fn list_creation_events(
        &self,
        scope: &Scope,
        from: Timestamp,
        until: Timestamp,
        max_requests: u64,
    ) -> impl Future<Output = CreationEvents> + Send;

    /// Queries the costs of the payer account to the last page, with at most `max_requests` requests. AWS charges for
    /// each request.
    fn query_costs(&self, question: &BillQuestion, max_requests: u64) -> impl Future<Output = CostQueryResult> + Send;

    /// The account whose costs [`Cloud::query_costs`] returns. `None` if the cloud has no costs.
    fn payer_account(&self) -> Option<AccountId>;

    /// Reports for each tag key whether it is a cost allocation tag, with at most one request for every hundred keys.
    ///
    /// # Errors
    /// A gap if the keys cannot be read, for example because only another account has access.
    fn list_allocation_tags(&self, keys: &[String]) -> impl Future<Output = Result<Vec<AllocationTag>, Gap>> + Send;

    /// The number of requests that have been sent, without retries.
    fn request_count(&self) -> u64;

    /// The numbers of requests and of throttling responses for each operation.
    fn operation_calls(&self) -> Vec<OperationCalls>;
}
