//! The AWS client, which implements [`Cloud`].

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tagledger_cloud::{AccountRegion, Accounts, Cloud, CreationEvents, LookupResult, OperationCalls};
use tagledger_cost::{AllocationTag, BillQuestion, CostQueryError, CostQueryResult};
use tagledger_model::{
    AccountId, Arn, Region,
    account::Account,
    inventory::{Gap, Listing, Scope},
};

use crate::{
    accounts, cloud_trail, config, cost_explorer, lookup, request_counter, services,
    services::s3::bucket,
    session::{Role, Session, Sessions},
    settings::{AwsSettings, DEFAULT_ROLE_NAME, MemberAccounts},
};

/// AWS, accessed with the credentials of one caller.
#[derive(Debug)]
pub struct Aws {
    pub(crate) accounts: MemberAccounts,
    payer: Option<AccountId>,
    pub(crate) sessions: Sessions,
}

impl Aws {
    /// Loads the configuration of the SDK and identifies the caller through STS.
    ///
    /// # Errors
    /// A gap if there are no valid credentials, the region is invalid, or the endpoint is unreachable. Its message says what
    /// to do.
    pub async fn connect(settings: AwsSettings) -> Result<Self, Gap> {
        let config = config::load(&settings).await;
        let region = config::default_region(&config)?;
        let shared = Arc::new(request_counter::Shared::new(settings.rate_percent));
        let caller = accounts::identify_caller(&config, &shared).await?;
        let role = Role {
            name: settings.role_name.unwrap_or_else(|| DEFAULT_ROLE_NAME.to_owned()),
            external_id: settings.external_id,
        };
        let sessions = Sessions::new(config, caller, region, role, shared);
        Ok(Self { accounts: settings.accounts, payer: settings.payer, sessions })
    }

    /// The payer account.
    pub(crate) fn payer(&self) -> &AccountId {
        self.payer.as_ref().unwrap_or(&self.caller().id)
    }

    /// The session for Cost Explorer, which each partition has in one region, and which belongs to the payer account.
    async fn cost_session(&self) -> Result<Arc<Session>, Gap> {
        let region = cost_explorer::region(self.caller().partition.as_str())?;
        Ok(self.sessions.get(self.payer(), &region).await)
    }

    /// The account of the caller's credentials.
    pub fn caller(&self) -> &Account {
        self.sessions.caller()
    }

    /// The configured region, `us-east-1` if none is configured. Regions and accounts are listed there.
    pub fn default_region(&self) -> &Region {
        self.sessions.default_region()
    }
}

impl Cloud for Aws {
    async fn list_accounts(&self) -> Result<Accounts, Gap> {
        let caller = self.caller().clone();
        Ok(match &self.accounts {
            MemberAccounts::None => Accounts { found: vec![caller], gap: None },
            MemberAccounts::Listed(ids) => accounts::from_ids(caller, ids),
            MemberAccounts::Organization => {
                let session = self.sessions.get(&caller.id, self.default_region()).await;
                accounts::list_organization(&session, caller).await
            }
        })
    }

    async fn list_regions(&self, account: &AccountId) -> Result<Vec<AccountRegion>, Gap> {
        let session = self.sessions.get(account, self.default_region()).await;
        accounts::list_regions(&session).await
    }

    async fn list(&self, scope: &Scope) -> Listing {
        let session = self.sessions.get(&scope.account, &scope.region).await;
        services::list(&session, scope.resource_type).await
    }

    async fn look_up(&self, scope: &Scope, arns: &[Arn], timeout: Duration) -> Vec<LookupResult> {
        let session = self.sessions.get(&scope.account, &scope.region).await;
        Box::pin(lookup::look_up(&session, scope.resource_type, arns, timeout)).await
    }

    async fn locate_buckets(&self, buckets: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
        let session = self.sessions.get(&self.caller().id, self.default_region()).await;
        bucket::locate(&session, buckets).await
    }

    async fn list_creation_events(
        &self,
        scope: &Scope,
        from: Timestamp,
        until: Timestamp,
        max_requests: u64,
    ) -> CreationEvents {
        let session = self.sessions.get(&scope.account, &scope.region).await;
        Box::pin(cloud_trail::list_creation_events(&session, scope.resource_type, from, until, max_requests)).await
    }

    async fn query_costs(&self, question: &BillQuestion, max_requests: u64) -> CostQueryResult {
        match self.cost_session().await {
            Ok(session) => Box::pin(cost_explorer::query_costs(&session, question, max_requests)).await,
            Err(gap) => CostQueryResult { requests: 0, response: Err(CostQueryError::Gap(gap)) },
        }
    }

    fn payer_account(&self) -> Option<AccountId> {
        Some(self.payer().clone())
    }

    async fn list_allocation_tags(&self, keys: &[String]) -> Result<Vec<AllocationTag>, Gap> {
        Box::pin(cost_explorer::list_allocation_tags(&*self.cost_session().await?, keys)).await
    }

    fn request_count(&self) -> u64 {
        self.sessions.request_count()
    }

    fn operation_calls(&self) -> Vec<OperationCalls> {
        self.sessions.operation_calls()
    }
}
