//! The seam through which AWS is read, in the domain's own terms.

use std::{collections::HashMap, future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AccountId, Arn, Partition, Region,
    inventory::{Gap, Listing, Resource, Scope},
    money::{AllocationTag, BillQuestion, Billed},
};

#[cfg(feature = "aws")]
pub mod aws;
pub mod faulty;
pub mod simulated;

/// An account to scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The partition it lives in.
    pub partition: Partition,
    /// Its name in the organization, when that is known.
    pub name: Option<String>,
}

/// A region of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRegion {
    /// Which.
    pub region: Region,
    /// Whether the account may use it.
    pub enabled: bool,
}

/// A cloud that can be inventoried: AWS itself, a simulated account, or either with faults.
///
/// No error of any kind crosses this seam but [`Gap`].
pub trait Cloud: Send + Sync + 'static {
    /// The accounts to scan, the caller's own first. A gap only when the caller itself is not known.
    fn accounts(&self) -> impl Future<Output = Result<Accounts, Gap>> + Send;

    /// All regions of the account's partition, enabled or not, in the order of their names.
    fn regions(&self, account: &AccountId) -> impl Future<Output = Result<Vec<AccountRegion>, Gap>> + Send;

    /// Lists one scope to its last page, or to what stopped it.
    fn list(&self, scope: &Scope) -> impl Future<Output = Listing> + Send;

    /// Looks at resources of one scope by their names, now: an answer for each, in their order, after that time at the
    /// latest.
    fn look(&self, scope: &Scope, arns: &[Arn], patience: Duration) -> impl Future<Output = Vec<Looked>> + Send;

    /// Where buckets are, for their names say neither account nor region: those of them that the caller's own account has.
    fn locate(&self, buckets: &[Arn]) -> impl Future<Output = Result<Vec<(Arn, Scope)>, Gap>> + Send;

    /// Who created resources of one scope in a time, as far as the cloud keeps track of it, with at most so many requests.
    fn creations(
        &self,
        scope: &Scope,
        from: Timestamp,
        until: Timestamp,
        most_requests: u64,
    ) -> impl Future<Output = Creations> + Send;

    /// Asks the bill of the account that pays, read to its last page, with at most so many requests: each costs money.
    fn bill(&self, question: &BillQuestion, most_requests: u64) -> impl Future<Output = Billed> + Send;

    /// Whose bill [`Cloud::bill`] is; none when nobody's.
    fn payer(&self) -> Option<AccountId>;

    /// Whether bills are split by these keys, with at most one request for each hundred of them. A gap where only another
    /// account may ask.
    fn allocation_tags(&self, keys: &[String]) -> impl Future<Output = Result<Vec<AllocationTag>, Gap>> + Send;

    /// How many requests have been sent so far, retries not counted.
    fn requests(&self) -> u64;

    /// The same by operation, with how often each was answered that there were too many.
    fn calls(&self) -> Vec<OperationCalls>;
}

/// Who created a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// The resource.
    pub arn: Arn,
    /// The ARN of the principal: `arn:aws:sts::111111111111:assumed-role/Developer/ada@example.com`.
    pub principal: String,
}

/// What a cloud says of who created what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Creations {
    /// What could be read, the newest first.
    pub found: Vec<Creation>,
    /// Why there may be more.
    pub gap: Option<Gap>,
}

/// What a cloud says of a resource that it is asked for by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Looked {
    /// It is there.
    There(Resource),
    /// There is none of that name, or none any more.
    Gone,
    /// It could not be read, which says nothing about it.
    Unread(Gap),
}

/// What a list that has only these resources, and perhaps breaks off, says of each.
fn looked(arns: &[Arn], listed: Vec<Resource>, gap: Option<&Gap>) -> Vec<Looked> {
    let mut listed: HashMap<Arn, Resource> = listed.into_iter().map(|found| (found.arn.clone(), found)).collect();
    let unseen = || gap.map_or(Looked::Gone, |gap| Looked::Unread(gap.clone()));
    arns.iter().map(|arn| listed.remove(arn).map_or_else(unseen, Looked::There)).collect()
}

/// A future of a trait that is used without knowing its implementor.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What may be asked of a cloud by those who neither list nor bill: named resources, now.
pub trait Look: Send + Sync + 'static {
    /// As [`Cloud::look`].
    fn look<'a>(&'a self, scope: &'a Scope, arns: &'a [Arn], patience: Duration) -> Pending<'a, Vec<Looked>>;

    /// As [`Cloud::locate`].
    fn locate<'a>(&'a self, buckets: &'a [Arn]) -> Pending<'a, Result<Vec<(Arn, Scope)>, Gap>>;
}

impl<C: Cloud> Look for C {
    fn look<'a>(&'a self, scope: &'a Scope, arns: &'a [Arn], patience: Duration) -> Pending<'a, Vec<Looked>> {
        Box::pin(Cloud::look(self, scope, arns, patience))
    }

    fn locate<'a>(&'a self, buckets: &'a [Arn]) -> Pending<'a, Result<Vec<(Arn, Scope)>, Gap>> {
        Box::pin(Cloud::locate(self, buckets))
    }
}

/// What was sent of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationCalls {
    /// As IAM names it, such as `ec2:DescribeInstances`.
    pub operation: &'static str,
    /// Requests, retries not counted.
    pub requests: u64,
    /// Answers that said to slow down, those to retries included.
    pub throttled: u64,
}

/// The accounts that a scan is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// Those known, the caller's own first.
    pub found: Vec<Account>,
    /// Why there may be more, when the organization could not be listed.
    pub gap: Option<Gap>,
}
