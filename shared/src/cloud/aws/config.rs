//! What the SDK is told: its own settings from the environment and the profile, and ours beside them.

use std::time::Duration;

use aws_config::{
    AppName, BehaviorVersion, SdkConfig, identity::IdentityCache, meta::region::RegionProviderChain,
    timeout::TimeoutConfig,
};
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_smithy_types::retry::{RetryConfig, RetryMode};
use aws_types::service_config::ServiceConfigKey;

use super::{AwsSettings, errors, http::Pool};
use crate::{
    Region,
    inventory::{Gap, GapReason},
};

/// Where STS is asked who is calling when no region is configured.
const FALLBACK_REGION: &str = "us-east-1";

/// Credentials may come from a program or a browser log-in; the SDK's own 5 seconds cut short retries of AssumeRole.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(60);

/// The first pause, at most; each further one is up to twice as long. Many short pauses: of a hundred lists that are
/// throttled now and then each loses little, and none gives up.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// The longest pause. With the SDK's own, of 20 seconds, a scan with a third of its requests throttled waits at its end for
/// the one list in thousands that was refused nine times in a row.
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// For how long one call is tried: all pauses fit into it, but not as many answers that never come.
const LONGEST_CALL: Duration = Duration::from_secs(300);

/// Loads what the SDK finds in the environment and the profile, with our timeouts, retries and connection pool.
pub(super) async fn load(settings: &AwsSettings) -> SdkConfig {
    let region = RegionProviderChain::default_provider().or_else(FALLBACK_REGION);
    let attempt = TimeoutConfig::builder().operation_attempt_timeout(settings.attempt_timeout).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region)
        .http_client(Pool::default())
        .identity_cache(identity_cache())
        .timeout_config(attempt);
    if let Ok(name) = AppName::new("tagledger") {
        loader = loader.app_name(name);
    }
    let loaded = loader.load().await;
    let retries = retries(&loaded, std::env::var_os("AWS_MAX_ATTEMPTS").is_some(), settings.max_attempts);
    let whole = ((settings.attempt_timeout + MAX_BACKOFF) * retries.max_attempts()).min(LONGEST_CALL);
    let timeouts = loaded.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    let timeouts = timeouts.operation_timeout(whole).build();
    loaded.into_builder().retry_config(retries).timeout_config(timeouts).build()
}

/// A cache for the credentials of one account.
pub(super) fn identity_cache() -> SharedIdentityCache {
    IdentityCache::lazy().load_timeout(CREDENTIALS_TIMEOUT).build()
}

/// The SDK's retries in standard mode: the adaptive one slows all accounts down for one.
fn retries(loaded: &SdkConfig, set_in_environment: bool, max_attempts: u32) -> RetryConfig {
    let default = RetryConfig::standard();
    let read = loaded.retry_config().cloned().unwrap_or_else(|| default.clone());
    // The SDK does not tell a configured 3 from its default of 3.
    let configured = set_in_environment || read.max_attempts() != default.max_attempts();
    let attempts = if configured { read.max_attempts() } else { max_attempts.max(1) };
    read.with_retry_mode(RetryMode::Standard)
        .with_max_attempts(attempts)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(MAX_BACKOFF)
}

/// The configured region.
///
/// # Errors
/// It is not the name of a region.
pub(super) fn default_region(config: &SdkConfig) -> Result<Region, Gap> {
    let name = config.region().map_or(FALLBACK_REGION, |region| region.as_ref());
    name.parse().map_err(|error| Gap {
        reason: GapReason::Failed,
        operation: "sts:GetCallerIdentity".to_owned(),
        message: errors::one_line(&format!("{error}: set AWS_REGION to a region, or leave it out")),
    })
}

/// The endpoint that is configured for a service, by IAM's prefix for it; none when AWS's own is used.
pub(super) fn endpoint(config: &SdkConfig, service: &str) -> Option<String> {
    let id = match service {
        "ce" => "Cost Explorer",
        "ec2" => "EC2",
        "ecs" => "ECS",
        "lambda" => "Lambda",
        "organizations" => "Organizations",
        "rds" => "RDS",
        "s3" => "S3",
        "sts" => "STS",
        "tag" => "Resource Groups Tagging API",
        _ => return config.endpoint_url().map(str::to_owned),
    };
    let key =
        ServiceConfigKey::builder().service_id(id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    let own = config.service_config().and_then(|configured| configured.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(retries: RetryConfig) -> SdkConfig {
        SdkConfig::builder().retry_config(retries).build()
    }

    #[test]
    fn what_the_sdk_read_of_attempts_goes_before_ours() {
        let attempts = |read, set, ours| {
            retries(&loaded(RetryConfig::standard().with_max_attempts(read)), set, ours).max_attempts()
        };
        assert_eq!(attempts(3, false, 5), 5);
        assert_eq!(attempts(3, true, 5), 3);
        assert_eq!(attempts(7, false, 5), 7);
        assert_eq!(attempts(3, false, 0), 1);
    }

    #[test]
    fn one_throttled_account_never_slows_the_others() {
        assert_eq!(retries(&loaded(RetryConfig::adaptive()), false, 5).mode(), RetryMode::Standard);
    }

    #[test]
    fn a_region_that_is_none_is_refused_with_the_remedy() {
        let config =
            |region: &str| SdkConfig::builder().region(aws_types::region::Region::new(region.to_owned())).build();
        assert_eq!(default_region(&config("ap-southeast-4")).unwrap().as_str(), "ap-southeast-4");
        assert_eq!(default_region(&SdkConfig::builder().build()).unwrap().as_str(), "us-east-1");
        let gap = default_region(&config("mars")).unwrap_err();
        assert!(gap.message.contains("`mars`") && gap.message.contains("AWS_REGION"), "{}", gap.message);
    }
}
