//! AWS itself, through its SDK; EC2 over the SDK's runtime alone.
//!
//! [`Aws::connect`] finds out who is calling; each [`Scope`] is then listed by the module of its resource type, over a
//! [`session::Session`] of its account and region. Nothing of the SDK leaves this module.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use self::session::{Role, Session, Sessions};
pub use self::{
    on_demand::OnDemand,
    probe::{Clocks, Probe, Tried},
};
use super::{Account, AccountRegion, Accounts, Cloud, Creations, Looked, OperationCalls};
use crate::{
    AccountId, Arn, Region, ResourceType,
    inventory::{Gap, Listing, Scope},
    money::{AllocationTag, BillProblem, BillQuestion, Billed},
};

mod accounts;
mod cloud_trail;
mod config;
mod cost_explorer;
mod counted;
mod ec2;
mod errors;
mod found;
mod http;
mod limits;
mod look;
mod on_demand;
mod pages;
mod probe;
mod session;
mod tags;

macro_rules! list_by_type {
    ($($variant:ident, $name:literal, $module:ident;)*) => {
        $(mod $module;)*

        async fn list_type(session: &Session, resource_type: ResourceType) -> Listing {
            match resource_type {
                $(ResourceType::$variant => $module::list(session).await,)*
            }
        }

        /// What AWS now says of these, of which there are no more than [`look_at_once`]. What the listing does not have, and
        /// has no gap for, is not there.
        async fn look_batch(session: &Session, resource_type: ResourceType, arns: &[Arn]) -> Listing {
            match resource_type {
                $(ResourceType::$variant => $module::look(session, arns).await,)*
            }
        }

        /// The call that creates resources of a type, and what it created.
        fn creating(resource_type: ResourceType) -> cloud_trail::Creating {
            match resource_type {
                $(ResourceType::$variant => $module::CREATED_BY,)*
            }
        }

        /// How many resources of a type one request can be about.
        const fn look_at_once(resource_type: ResourceType) -> usize {
            match resource_type {
                $(ResourceType::$variant => $module::LOOK_AT_ONCE,)*
            }
        }
    };
}
resource_types!(list_by_type);

/// The role that is assumed in member accounts unless another is named.
pub const DEFAULT_ROLE_NAME: &str = "TagLedgerScanner";

/// Which accounts to scan beside the caller's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MemberAccounts {
    /// None: the caller's own account only.
    #[default]
    None,
    /// These.
    Listed(Vec<AccountId>),
    /// All active ones of the caller's organization.
    Organization,
}

/// How to read AWS. Credentials, region, endpoint and proxy are the SDK's own settings (`AWS_*`, `HTTPS_PROXY`).
#[derive(Debug, Clone)]
pub struct AwsSettings {
    /// Whose resources to list.
    pub accounts: MemberAccounts,
    /// The account that pays, whose bill is asked; the caller's own when none.
    pub payer: Option<AccountId>,
    /// The role to assume in member accounts, [`DEFAULT_ROLE_NAME`] when none; a path may stand before the name.
    pub role_name: Option<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Percent of AWS's request rates to use, 1 to 100; values outside are brought inside.
    pub rate_percent: u32,
    /// How long one attempt at one request may take.
    pub attempt_timeout: Duration,
    /// Attempts at one request; what the SDK finds in `AWS_MAX_ATTEMPTS` or the profile goes first.
    pub max_attempts: u32,
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            accounts: MemberAccounts::None,
            payer: None,
            role_name: None,
            external_id: None,
            rate_percent: 50,
            attempt_timeout: Duration::from_secs(30),
            max_attempts: 48,
        }
    }
}

/// AWS, as one caller sees it.
#[derive(Debug)]
pub struct Aws {
    accounts: MemberAccounts,
    payer: Option<AccountId>,
    sessions: Sessions,
}

impl Aws {
    /// Loads the SDK's configuration and asks STS who is calling.
    ///
    /// # Errors
    /// A gap whose message says what to do: no or expired credentials, an odd region, an endpoint out of reach.
    pub async fn connect(settings: AwsSettings) -> Result<Self, Gap> {
        let config = config::load(&settings).await;
        let region = config::default_region(&config)?;
        let shared = Arc::new(session::Shared::new(settings.rate_percent));
        let caller = accounts::identify(&config, &shared).await?;
        let role = Role {
            name: settings.role_name.unwrap_or_else(|| DEFAULT_ROLE_NAME.to_owned()),
            external_id: settings.external_id,
        };
        let sessions = Sessions::new(config, caller, region, role, shared);
        Ok(Self { accounts: settings.accounts, payer: settings.payer, sessions })
    }

    /// The account that pays.
    fn paying(&self) -> &AccountId {
        self.payer.as_ref().unwrap_or(&self.caller().id)
    }

    /// Where Cost Explorer is: in one region of each partition, for the account that pays.
    async fn billing(&self) -> Result<Arc<Session>, Gap> {
        let region = cost_explorer::region(self.caller().partition.as_str())?;
        Ok(self.sessions.get(self.paying(), &region).await)
    }

    /// The account whose credentials are used.
    pub fn caller(&self) -> &Account {
        self.sessions.caller()
    }

    /// The region that the SDK is configured for, `us-east-1` when none is. Regions and accounts are listed there.
    pub fn default_region(&self) -> &Region {
        self.sessions.default_region()
    }
}

impl Cloud for Aws {
    async fn accounts(&self) -> Result<Accounts, Gap> {
        let caller = self.caller().clone();
        Ok(match &self.accounts {
            MemberAccounts::None => Accounts { found: vec![caller], gap: None },
            MemberAccounts::Listed(ids) => accounts::listed(caller, ids),
            MemberAccounts::Organization => {
                let session = self.sessions.get(&caller.id, self.default_region()).await;
                accounts::of_organization(&session, caller).await
            }
        })
    }

    async fn regions(&self, account: &AccountId) -> Result<Vec<AccountRegion>, Gap> {
        let session = self.sessions.get(account, self.default_region()).await;
        accounts::regions(&session).await
    }

    async fn list(&self, scope: &Scope) -> Listing {
        let session = self.sessions.get(&scope.account, &scope.region).await;
        list_type(&session, scope.resource_type).await
    }

    async fn look(&self, scope: &Scope, arns: &[Arn], patience: Duration) -> Vec<Looked> {
        let session = self.sessions.get(&scope.account, &scope.region).await;
        Box::pin(look::look(&session, scope.resource_type, arns, patience)).await
    }

    async fn locate(&self, buckets: &[Arn]) -> Result<Vec<(Arn, Scope)>, Gap> {
        let session = self.sessions.get(&self.caller().id, self.default_region()).await;
        s3_bucket::locate(&session, buckets).await
    }

    async fn creations(&self, scope: &Scope, from: Timestamp, until: Timestamp, most_requests: u64) -> Creations {
        let session = self.sessions.get(&scope.account, &scope.region).await;
        Box::pin(cloud_trail::creations(&session, &creating(scope.resource_type), from, until, most_requests)).await
    }

    async fn bill(&self, question: &BillQuestion, most_requests: u64) -> Billed {
        match self.billing().await {
            Ok(session) => Box::pin(cost_explorer::bill(&session, question, most_requests)).await,
            Err(gap) => Billed { requests: 0, answer: Err(BillProblem::Gap(gap)) },
        }
    }

    fn payer(&self) -> Option<AccountId> {
        Some(self.paying().clone())
    }

    async fn allocation_tags(&self, keys: &[String]) -> Result<Vec<AllocationTag>, Gap> {
        Box::pin(cost_explorer::allocation_tags(&*self.billing().await?, keys)).await
    }

    fn requests(&self) -> u64 {
        self.sessions.requests()
    }

    fn calls(&self) -> Vec<OperationCalls> {
        self.sessions.calls()
    }
}
