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
use aws_smithy_types::{error::metadata::ProvideErrorMetadata, timeout::TimeoutConfig};
use jiff::Timestamp;
use tagledger_cloud::OperationCalls;
use tagledger_model::{AccountId, Partition, Region, ResourceType, account::Account, api::Operation, inventory::Gap};

use crate::{
    config::{limit_attempts, new_identity_cache},
    endpoint_override::custom_endpoint,
    error_mapping,
    request_counter::{RequestCounter, Shared},
    wire::query,
};

/// Maximum number of attempts of a request to Cost Explorer, because AWS charges for each.
const MAX_PAID_ATTEMPTS: u32 = 4;

/// Timeout of one attempt of a request to Cost Explorer.
const PAID_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(90);

/// After `tag:GetResources` was denied, it is not called again for this time.
const DENIAL_TTL: Duration = Duration::from_secs(15 * 60);

/// The role to assume in member accounts.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) external_id: Option<String>,
}

impl Role {
    fn arn(&self, partition: &Partition, account: &AccountId) -> String {
        format!("arn:{partition}:iam::{account}:role/{}", self.name)
    }
}

/// The sessions of all accounts and regions. Each is created on first use and cached, because creating clients is slow.
#[derive(Debug)]
pub(crate) struct Sessions {
    caller: Account,
    default_region: Region,
    config: SdkConfig,
    role: Role,
    shared: Arc<Shared>,
    cache: tokio::sync::Mutex<SessionCache>,
}

#[derive(Debug, Default)]
struct SessionCache {
    accounts: HashMap<AccountId, SdkConfig>,
    sessions: HashMap<(AccountId, Region), Arc<Session>>,
}

impl Sessions {
    pub(crate) fn new(
        config: SdkConfig,
        caller: Account,
        default_region: Region,
        role: Role,
        shared: Arc<Shared>,
    ) -> Self {
        Self { caller, default_region, config, role, shared, cache: tokio::sync::Mutex::default() }
    }

    pub(crate) fn caller(&self) -> &Account {
        &self.caller
    }

    pub(crate) fn default_region(&self) -> &Region {
        &self.default_region
    }

    pub(crate) fn request_count(&self) -> u64 {
        self.operation_calls().iter().map(|calls| calls.requests).sum()
    }

    pub(crate) fn last_response_date(&self, operation: &'static str) -> Option<Timestamp> {
        self.shared.calls.last_response_date(operation)
    }

    pub(crate) fn operation_calls(&self) -> Vec<OperationCalls> {
        self.shared.calls.operation_calls()
    }

    /// Returns the session of an account and region. The SDK loads the credentials on the first call.
    pub(crate) async fn get(&self, account: &AccountId, region: &Region) -> Arc<Session> {
        let mut cache = self.cache.lock().await;
        let key = (account.clone(), region.clone());
        if let Some(session) = cache.sessions.get(&key) {
            return Arc::clone(session);
        }
        if !cache.accounts.contains_key(account) {
            cache.accounts.insert(account.clone(), self.account_config(account).await);
        }
        let config = cache.accounts.get(account).unwrap_or(&self.config);
        let session = Arc::new(Session::new(config, account, &self.caller.partition, region, &self.shared));
        cache.sessions.insert(key, Arc::clone(&session));
        session
    }

    /// Creates the configuration of an account. In accounts other than the caller's, the role is assumed. Each has its own
    /// identity cache, because one cache holds at most 64 identities.
    async fn account_config(&self, account: &AccountId) -> SdkConfig {
        if *account == self.caller.id {
            return self.config.clone();
        }
        let role = self.role.arn(&self.caller.partition, account);
        let mut provider = AssumeRoleProvider::builder(role).session_name("tagledger").configure(&self.config);
        if let Some(id) = &self.role.external_id {
            provider = provider.external_id(id);
        }
        let provider = RequestCounter { provider: provider.build().await, shared: Arc::clone(&self.shared) };
        let provider = SharedCredentialsProvider::new(provider);
        self.config.to_builder().credentials_provider(provider).identity_cache(new_identity_cache()).build()
    }
}

/// The clients of one account and region, with their rate limits.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) account: AccountId,
    pub(crate) partition: Partition,
    pub(crate) region: Region,
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
        // The SDK's default retry quota is shared by all accounts of a region and is used up within a second of throttling.
        // It is not needed, because requests are rate-limited before the SDK and the number of attempts is limited.
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

    /// Sends a request within the rate limit of its API family.
    ///
    /// # Errors
    /// The gap of a failed request.
    pub(crate) async fn send<T, E>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Gap>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.send_raw(operation, request).await.map_err(|error| self.gap_from_error(operation, &error))
    }

    /// Sends a request within the rate limit of its API family, for callers that handle some errors of the service.
    pub(crate) async fn send_raw<T, E>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, SdkError<E, HttpResponse>> {
        self.shared.limits.acquire(operation.family, &self.account, &self.region).await;
        self.shared.calls.count(operation.name);
        self.shared.calls.track(operation.name, request).await
    }

    /// The ARN of a resource of this account and region. `id` is the last part of the ARN, such as `i-0abc`.
    pub(crate) fn arn(&self, resource_type: ResourceType, id: &str) -> String {
        let shape = &resource_type.spec().arn;
        let id = id.strip_prefix(shape.id_prefix()).unwrap_or(id);
        shape.write_arn(self.partition.as_str(), self.region.as_str(), self.account.as_str(), &[id])
    }

    /// Converts the error of a call to a gap.
    pub(crate) fn gap_from_error<E>(&self, operation: Operation, error: &SdkError<E, HttpResponse>) -> Gap
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        error_mapping::gap_from_error(operation.name, &self.config, error)
    }

    /// Whether `tag:GetResources` was denied recently in this account and region.
    pub(crate) fn is_tagging_denied(&self) -> bool {
        let since = *self.tagging_denied.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < DENIAL_TTL)
    }

    /// Records that `tag:GetResources` was denied. This expires, because the permission may be granted later.
    pub(crate) fn remember_tagging_denied(&self) {
        *self.tagging_denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

macro_rules! clients {
    ($($name:ident: $sdk:ident;)*) => {
        #[derive(Debug, Default)]
        struct Clients {
            $($name: OnceLock<$sdk::Client>,)*
            cost_explorer: OnceLock<aws_sdk_costexplorer::Client>,
            ec2: OnceLock<query::Client>,
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
    /// AWS may charge for every attempt, so there are few. Their timeout is long, because large queries take long.
    pub(crate) fn cost_explorer(&self) -> &aws_sdk_costexplorer::Client {
        self.clients.cost_explorer.get_or_init(|| {
            let timeouts = TimeoutConfig::builder().operation_attempt_timeout(PAID_ATTEMPT_TIMEOUT).build();
            let config = aws_sdk_costexplorer::config::Builder::from(&self.config)
                .retry_partition(self.retries.clone())
                .retry_config(limit_attempts(&self.config, MAX_PAID_ATTEMPTS))
                .timeout_config(timeouts);
            aws_sdk_costexplorer::Client::from_conf(config.build())
        })
    }

    pub(crate) fn ec2(&self) -> &query::Client {
        self.clients.ec2.get_or_init(|| query::Client::new(&self.config, self.retries.clone()))
    }

    pub(crate) fn s3(&self) -> &aws_sdk_s3::Client {
        self.clients.s3.get_or_init(|| {
            let config = aws_sdk_s3::config::Builder::from(&self.config)
                .retry_partition(self.retries.clone())
                // Virtual-hosted names such as `bucket.localhost` do not resolve.
                .force_path_style(custom_endpoint(&self.config, "s3").is_some());
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }
}

#[cfg(test)]
mod tests {
    use tagledger_model::account::Account;

    use super::*;
    use crate::request_counter::Shared;

    fn sessions() -> Sessions {
        let caller = Account { id: "111111111111".parse().unwrap(), partition: "aws-cn".parse().unwrap(), name: None };
        let role = Role { name: "audit/Reader".to_owned(), external_id: Some("x".to_owned()) };
        let config = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::v2026_01_12()).build();
        Sessions::new(config, caller, "cn-north-1".parse().unwrap(), role, Arc::new(Shared::new(50)))
    }

    /// The ARN of the role to assume uses the partition of the caller and contains the path of the role.
    #[test]
    fn role_arn_uses_caller_partition_and_path() {
        let sessions = sessions();
        let arn = sessions.role.arn(&sessions.caller.partition, &"222222222222".parse().unwrap());
        assert_eq!(arn, "arn:aws-cn:iam::222222222222:role/audit/Reader");
    }

    /// A session for an account and region is created once, and it uses its own region for signing and for EC2 ARNs.
    #[tokio::test]
    async fn session_is_cached_per_account_and_region() {
        let (sessions, region) = (sessions(), "cn-northwest-1".parse().unwrap());
        let first = sessions.get(&sessions.caller.id, &region).await;
        let again = sessions.get(&sessions.caller.id, &region).await;
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(first.config.region().unwrap().as_ref(), "cn-northwest-1");
        assert_eq!(
            first.arn(ResourceType::Ec2Volume, "vol-1"),
            "arn:aws-cn:ec2:cn-northwest-1:111111111111:volume/vol-1"
        );
    }

    /// A denied Tagging API call is recorded for its region only.
    #[tokio::test]
    async fn tagging_denial_is_scoped_to_region() {
        let sessions = sessions();
        let here = sessions.get(&sessions.caller.id, &"cn-north-1".parse().unwrap()).await;
        let there = sessions.get(&sessions.caller.id, &"cn-northwest-1".parse().unwrap()).await;
        here.remember_tagging_denied();
        assert!(here.is_tagging_denied() && !there.is_tagging_denied());
    }
}
