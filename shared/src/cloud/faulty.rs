//! A cloud with faults: any other cloud, of which some scopes cannot be read, or not whole.

use std::time::Duration;

use jiff::Timestamp;

use super::{AccountRegion, Accounts, Cloud, Creations, Looked, OperationCalls};
use crate::{
    AccountId, Arn,
    inventory::{Gap, Listing, Scope, Tags},
    money::{AllocationTag, BillQuestion, Billed},
};

/// What goes wrong with a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing can be listed.
    Refused(Gap),
    /// The list breaks off after so many resources.
    CutAfter(usize, Gap),
    /// The tags of every n-th resource cannot be read, beginning with the first.
    TagsUnread(usize, Gap),
}

/// A decorator that breaks what another cloud answers.
#[derive(Debug, Clone)]
pub struct Faulty<C, F> {
    cloud: C,
    fault: F,
}

impl<C: Cloud, F: Fn(&Scope) -> Option<Fault> + Send + Sync + 'static> Faulty<C, F> {
    /// Breaks the scopes for which `fault` names a fault.
    pub fn new(cloud: C, fault: F) -> Self {
        Self { cloud, fault }
    }
}

impl<C: Cloud, F: Fn(&Scope) -> Option<Fault> + Send + Sync + 'static> Cloud for Faulty<C, F> {
    async fn accounts(&self) -> Result<Accounts, Gap> {
        self.cloud.accounts().await
    }

    async fn regions(&self, account: &AccountId) -> Result<Vec<AccountRegion>, Gap> {
        self.cloud.regions(account).await
    }

    async fn list(&self, scope: &Scope) -> Listing {
        let mut listing = self.cloud.list(scope).await;
        match (self.fault)(scope) {
            None => {}
            Some(Fault::Refused(gap)) => listing = Listing { resources: Vec::new(), gap: Some(gap) },
            Some(Fault::CutAfter(seen, gap)) => {
                listing.resources.truncate(seen);
                listing.gap = Some(gap);
            }
            Some(Fault::TagsUnread(every, gap)) => {
                for resource in listing.resources.iter_mut().step_by(every.max(1)) {
                    resource.tags = Tags::Unknown(gap.clone());
                }
            }
        }
        listing
    }

    async fn look(&self, scope: &Scope, arns: &[Arn], patience: Duration) -> Vec<Looked> {
        let mut looked = self.cloud.look(scope, arns, patience).await;
        let (every, gap) = match (self.fault)(scope) {
            None | Some(Fault::CutAfter(..)) => return looked,
            Some(Fault::Refused(gap)) => (1, gap),
            Some(Fault::TagsUnread(every, gap)) => (every.max(1), gap),
        };
        for answer in looked.iter_mut().step_by(every) {
            *answer = Looked::Unread(gap.clone());
        }
        looked
    }

    async fn locate(&self, buckets: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
        self.cloud.locate(buckets).await
    }

    async fn creations(&self, scope: &Scope, from: Timestamp, until: Timestamp, most_requests: u64) -> Creations {
        match (self.fault)(scope) {
            Some(Fault::Refused(gap)) => Creations { found: Vec::new(), gap: Some(gap) },
            _ => self.cloud.creations(scope, from, until, most_requests).await,
        }
    }

    async fn bill(&self, question: &BillQuestion, most_requests: u64) -> Billed {
        self.cloud.bill(question, most_requests).await
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
