//! The configuration of the SDK: the environment and the profile, with the timeouts and retries of TagLedger.

use std::time::Duration;

use aws_config::{
    AppName, BehaviorVersion, SdkConfig, identity::IdentityCache, meta::region::RegionProviderChain,
    timeout::TimeoutConfig,
};
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_smithy_types::retry::{RetryConfig, RetryMode};
use tagledger_model::{
    Region,
    inventory::{Gap, GapReason},
};

use crate::{error_mapping, http::ConnectionPool, settings::AwsSettings};

/// The region whose STS endpoint identifies the caller if no region is configured.
const FALLBACK_REGION: &str = "us-east-1";

/// Credentials may come from a program or a browser login. The SDK's default of 5 seconds would interrupt retries of
/// AssumeRole.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(60);

/// The upper limit of the first pause. Each further limit is twice as long. With many short pauses, a hundred listings that
/// are throttled at times each lose little time, and none fails.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// The longest pause. With the SDK's default of 20 seconds, a scan with a third of its requests throttled would wait at its
/// end for the one listing in thousands that was throttled nine times in a row.
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// The time limit of one call with all its retries. All pauses fit into it, but not the timeouts of all attempts.
const MAX_OPERATION_TIMEOUT: Duration = Duration::from_secs(300);

/// Loads the configuration of the environment and the profile, with the timeouts, retries and connection pool of TagLedger.
pub(crate) async fn load(settings: &AwsSettings) -> SdkConfig {
    let region = RegionProviderChain::default_provider().or_else(FALLBACK_REGION);
    let attempt = TimeoutConfig::builder().operation_attempt_timeout(settings.attempt_timeout).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region)
        .http_client(ConnectionPool::default())
        .identity_cache(new_identity_cache())
        .timeout_config(attempt);
    if let Ok(name) = AppName::new("tagledger") {
        loader = loader.app_name(name);
    }
    let loaded = loader.load().await;
    let retries = retry_config(&loaded, std::env::var_os("AWS_MAX_ATTEMPTS").is_some(), settings.max_attempts);
    let operation = ((settings.attempt_timeout + MAX_BACKOFF) * retries.max_attempts()).min(MAX_OPERATION_TIMEOUT);
    let timeouts = loaded.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    let timeouts = timeouts.operation_timeout(operation).build();
    loaded.into_builder().retry_config(retries).timeout_config(timeouts).build()
}

/// Creates a cache for the credentials of one account.
pub(crate) fn new_identity_cache() -> SharedIdentityCache {
    IdentityCache::lazy().load_timeout(CREDENTIALS_TIMEOUT).build()
}

/// Returns the SDK's retry settings in standard mode. In adaptive mode, throttling of one account would slow all accounts.
fn retry_config(loaded: &SdkConfig, set_in_environment: bool, max_attempts: u32) -> RetryConfig {
    let default = RetryConfig::standard();
    let loaded = loaded.retry_config().cloned().unwrap_or_else(|| default.clone());
    // The SDK does not distinguish a configured 3 from its default of 3.
    let configured = set_in_environment || loaded.max_attempts() != default.max_attempts();
    let attempts = if configured { loaded.max_attempts() } else { max_attempts.max(1) };
    loaded
        .with_retry_mode(RetryMode::Standard)
        .with_max_attempts(attempts)
        .with_initial_backoff(INITIAL_BACKOFF)
        .with_max_backoff(MAX_BACKOFF)
}

/// Returns the configured retries with a lower maximum number of attempts.
pub(crate) fn limit_attempts(config: &SdkConfig, max_attempts: u32) -> RetryConfig {
    let retries = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
    let attempts = retries.max_attempts().min(max_attempts);
    retries.with_max_attempts(attempts)
}

/// Returns the configured region.
///
/// # Errors
/// A gap if the configured name is not the name of a region.
pub(crate) fn default_region(config: &SdkConfig) -> Result<Region, Gap> {
    let name = config.region().map_or(FALLBACK_REGION, |region| region.as_ref());
    name.parse().map_err(|error| Gap {
        reason: GapReason::Failed,
        operation: "sts:GetCallerIdentity".to_owned(),
        message: error_mapping::to_one_line(&format!("{error}: set AWS_REGION to the name of a region, or unset it")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(retries: RetryConfig) -> SdkConfig {
        SdkConfig::builder().retry_config(retries).build()
    }

    /// A maximum number of attempts that is set for the SDK, or that differs from its default, takes precedence over
    /// the default of this program. At least one attempt is made.
    #[test]
    fn sdk_max_attempts_override_default() {
        let attempts = |read, set, ours| {
            retry_config(&loaded(RetryConfig::standard().with_max_attempts(read)), set, ours).max_attempts()
        };
        assert_eq!(attempts(3, false, 5), 5);
        assert_eq!(attempts(3, true, 5), 3);
        assert_eq!(attempts(7, false, 5), 7);
        assert_eq!(attempts(3, false, 0), 1);
    }

    /// The adaptive retry mode is replaced by the standard one, because its client-side rate limit would let one
    /// throttled account slow the others.
    #[test]
    fn adaptive_retry_becomes_standard() {
        assert_eq!(retry_config(&loaded(RetryConfig::adaptive()), false, 5).mode(), RetryMode::Standard);
    }

    /// An invalid configured region is rejected with a message that names it and `AWS_REGION`. Without a region, the
    /// default is `us-east-1`.
    #[test]
    fn invalid_region_error_names_setting() {
        let config =
            |region: &str| SdkConfig::builder().region(aws_types::region::Region::new(region.to_owned())).build();
        assert_eq!(default_region(&config("ap-southeast-4")).unwrap().as_str(), "ap-southeast-4");
        assert_eq!(default_region(&SdkConfig::builder().build()).unwrap().as_str(), "us-east-1");
        let gap = default_region(&config("mars")).unwrap_err();
        assert!(gap.message.contains("`mars`") && gap.message.contains("AWS_REGION"), "{}", gap.message);
    }
}
