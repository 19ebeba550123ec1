//! Credentials and clients: one [`Session`] for each account and region.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use aws_config::{SdkConfig, sts::AssumeRoleProvider};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::{error::metadata::ProvideErrorMetadata, retry::RetryConfig, timeout::TimeoutConfig};

use super::{
    config::{endpoint, identity_cache},
    counted::{Counted, Ledger},
    ec2, errors,
    limits::{Limits, Operation},
};
use jiff::Timestamp;

use crate::{
    AccountId, Partition, Region,
    cloud::{Account, OperationCalls},
    inventory::Gap,
};

/// Attempts at a request that costs money.
const PAID_ATTEMPTS: u32 = 4;

/// How long one of them may take.
const PAID_PATIENCE: Duration = Duration::from_secs(90);

/// For how long natively read tags are preferred once `tag:GetResources` was denied.
const DENIAL_MEMORY: Duration = Duration::from_secs(15 * 60);

/// What all sessions share: the pace, and the count of what was sent.
#[derive(Debug)]
pub(super) struct Shared {
    limits: Limits,
    pub(super) calls: Ledger,
}

impl Shared {
    pub(super) fn new(rate_percent: u32) -> Self {
        Self { limits: Limits::new(rate_percent), calls: Ledger::default() }
    }
}

/// The role to assume in member accounts.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) external_id: Option<String>,
}

impl Role {
    fn arn(&self, partition: &Partition, account: &AccountId) -> String {
        format!("arn:{partition}:iam::{account}:role/{}", self.name)
    }
}

/// All sessions, made when first asked for: clients are costly to make and cheap to keep.
#[derive(Debug)]
pub(super) struct Sessions {
    caller: Account,
    default_region: Region,
    config: SdkConfig,
    role: Role,
    shared: Arc<Shared>,
    made: tokio::sync::Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    accounts: HashMap<AccountId, SdkConfig>,
    sessions: HashMap<(AccountId, Region), Arc<Session>>,
}

impl Sessions {
    pub(super) fn new(
        config: SdkConfig,
        caller: Account,
        default_region: Region,
        role: Role,
        shared: Arc<Shared>,
    ) -> Self {
        Self { caller, default_region, config, role, shared, made: tokio::sync::Mutex::default() }
    }

    pub(super) fn caller(&self) -> &Account {
        &self.caller
    }

    pub(super) fn default_region(&self) -> &Region {
        &self.default_region
    }

    pub(super) fn requests(&self) -> u64 {
        self.calls().iter().map(|calls| calls.requests).sum()
    }

    pub(super) fn dated(&self, operation: &'static str) -> Option<Timestamp> {
        self.shared.calls.dated(operation)
    }

    pub(super) fn calls(&self) -> Vec<OperationCalls> {
        self.shared.calls.calls()
    }

    /// The session of that account in that region. Credentials are fetched when the first call needs them.
    pub(super) async fn get(&self, account: &AccountId, region: &Region) -> Arc<Session> {
        let mut made = self.made.lock().await;
        let key = (account.clone(), region.clone());
        if let Some(session) = made.sessions.get(&key) {
            return Arc::clone(session);
        }
        if !made.accounts.contains_key(account) {
            made.accounts.insert(account.clone(), self.account_config(account).await);
        }
        let config = made.accounts.get(account).unwrap_or(&self.config);
        let session = Arc::new(Session::new(config, account, &self.caller.partition, region, &self.shared));
        made.sessions.insert(key, Arc::clone(&session));
        session
    }

    /// The caller's own account is used as it is; in any other the role is assumed, with an identity cache of its own
    /// because a shared one keeps 64 identities.
    async fn account_config(&self, account: &AccountId) -> SdkConfig {
        if *account == self.caller.id {
            return self.config.clone();
        }
        let role = self.role.arn(&self.caller.partition, account);
        let mut provider = AssumeRoleProvider::builder(role).session_name("tagledger").configure(&self.config);
        if let Some(id) = &self.role.external_id {
            provider = provider.external_id(id);
        }
        let provider = Counted { provider: provider.build().await, shared: Arc::clone(&self.shared) };
        let provider = SharedCredentialsProvider::new(provider);
        self.config.to_builder().credentials_provider(provider).identity_cache(identity_cache()).build()
    }
}

/// One account in one region: its clients, at its pace.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) account: AccountId,
    pub(super) partition: Partition,
    pub(super) region: Region,
    config: SdkConfig,
    retries: RetryPartition,
    shared: Arc<Shared>,
    clients: Clients,
    tagging_denied: Mutex<Option<Instant>>,
}

impl Session {
    fn new(
        config: &SdkConfig,
        account: &AccountId,
        partition: &Partition,
        region: &Region,
        shared: &Arc<Shared>,
    ) -> Self {
        // The SDK's own retry quota is one for all accounts of a region and runs dry within a second of throttling.
        // The pace is kept before the SDK, and attempts are bounded, so a quota has nothing left to protect.
        let retries = RetryPartition::custom(format!("{account}-{region}")).token_bucket(TokenBucket::unlimited());
        Self {
            account: account.clone(),
            partition: partition.clone(),
            region: region.clone(),
            config: config.to_builder().region(aws_types::region::Region::new(region.to_string())).build(),
            retries: retries.build(),
            shared: Arc::clone(shared),
            clients: Clients::default(),
            tagging_denied: Mutex::default(),
        }
    }

    /// Sends a request at its family's pace.
    ///
    /// # Errors
    /// The gap that its failure is.
    pub(super) async fn send<T, E>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Gap>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.ask(operation, request).await.map_err(|error| self.gap(operation, &error))
    }

    /// Sends a request at its family's pace, for those to whom some errors are answers.
    pub(super) async fn ask<T, E>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, SdkError<E, HttpResponse>> {
        self.shared.limits.admit(operation.family, &self.account, &self.region).await;
        self.shared.calls.count(operation.name);
        self.shared.calls.follow(operation.name, request).await
    }

    /// The name of an EC2 resource of this account and region.
    pub(super) fn ec2_arn(&self, kind: &str, id: &str) -> String {
        format!("arn:{}:ec2:{}:{}:{kind}/{id}", self.partition, self.region, self.account)
    }

    /// What a failed call means.
    pub(super) fn gap<E>(&self, operation: Operation, error: &SdkError<E, HttpResponse>) -> Gap
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        errors::gap(operation.name, &self.config, error)
    }

    /// Whether `tag:GetResources` was denied here lately.
    pub(super) fn tagging_denied(&self) -> bool {
        let since = *self.tagging_denied.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < DENIAL_MEMORY)
    }

    /// Remembers that `tag:GetResources` is denied here. Not for ever: permissions are granted to running scanners.
    pub(super) fn remember_tagging_denied(&self) {
        *self.tagging_denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

macro_rules! clients {
    ($($name:ident: $sdk:ident;)*) => {
        #[derive(Debug, Default)]
        struct Clients {
            $($name: OnceLock<$sdk::Client>,)*
            cost_explorer: OnceLock<aws_sdk_costexplorer::Client>,
            ec2: OnceLock<ec2::Client>,
            s3: OnceLock<aws_sdk_s3::Client>,
        }

        impl Session {
            $(pub(super) fn $name(&self) -> &$sdk::Client {
                self.clients.$name.get_or_init(|| {
                    let config = $sdk::config::Builder::from(&self.config).retry_partition(self.retries.clone());
                    $sdk::Client::from_conf(config.build())
                })
            })*
        }
    };
}

clients! {
    cloud_trail: aws_sdk_cloudtrail;
    ecs: aws_sdk_ecs;
    lambda: aws_sdk_lambda;
    organizations: aws_sdk_organizations;
    rds: aws_sdk_rds;
    tagging: aws_sdk_resourcegroupstagging;
}

impl Session {
    /// Every attempt may be charged, and a large bill takes its time to be summed.
    pub(super) fn cost_explorer(&self) -> &aws_sdk_costexplorer::Client {
        self.clients.cost_explorer.get_or_init(|| {
            let retries = self.config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
            let attempts = retries.max_attempts().min(PAID_ATTEMPTS);
            let patience = TimeoutConfig::builder().operation_attempt_timeout(PAID_PATIENCE).build();
            let config = aws_sdk_costexplorer::config::Builder::from(&self.config)
                .retry_partition(self.retries.clone())
                .retry_config(retries.with_max_attempts(attempts))
                .timeout_config(patience);
            aws_sdk_costexplorer::Client::from_conf(config.build())
        })
    }

    pub(super) fn ec2(&self) -> &ec2::Client {
        self.clients.ec2.get_or_init(|| ec2::Client::new(&self.config, self.retries.clone()))
    }

    pub(super) fn s3(&self) -> &aws_sdk_s3::Client {
        self.clients.s3.get_or_init(|| {
            let config = aws_sdk_s3::config::Builder::from(&self.config)
                .retry_partition(self.retries.clone())
                // `bucket.localhost` and the like do not resolve.
                .force_path_style(endpoint(&self.config, "s3").is_some());
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions {
        let caller = Account { id: "111111111111".parse().unwrap(), partition: "aws-cn".parse().unwrap(), name: None };
        let role = Role { name: "audit/Reader".to_owned(), external_id: Some("x".to_owned()) };
        let config = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::v2026_01_12()).build();
        Sessions::new(config, caller, "cn-north-1".parse().unwrap(), role, Arc::new(Shared::new(50)))
    }

    #[test]
    fn a_role_is_named_in_the_callers_partition_with_its_path() {
        let sessions = sessions();
        let arn = sessions.role.arn(&sessions.caller.partition, &"222222222222".parse().unwrap());
        assert_eq!(arn, "arn:aws-cn:iam::222222222222:role/audit/Reader");
    }

    #[tokio::test]
    async fn a_session_is_made_once_and_signs_for_its_own_region() {
        let (sessions, region) = (sessions(), "cn-northwest-1".parse().unwrap());
        let first = sessions.get(&sessions.caller.id, &region).await;
        let again = sessions.get(&sessions.caller.id, &region).await;
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(first.config.region().unwrap().as_ref(), "cn-northwest-1");
        assert_eq!(first.ec2_arn("volume", "vol-1"), "arn:aws-cn:ec2:cn-northwest-1:111111111111:volume/vol-1");
    }

    #[tokio::test]
    async fn a_denied_tagging_call_is_remembered_for_its_region_only() {
        let sessions = sessions();
        let here = sessions.get(&sessions.caller.id, &"cn-north-1".parse().unwrap()).await;
        let there = sessions.get(&sessions.caller.id, &"cn-northwest-1".parse().unwrap()).await;
        here.remember_tagging_denied();
        assert!(here.tagging_denied() && !there.tagging_denied());
    }
}
