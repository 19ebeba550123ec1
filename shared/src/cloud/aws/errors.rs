//! From the SDK's errors to gaps, in one place.

use std::{error::Error, iter::successors};

use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::config::endpoint;
use crate::inventory::{Gap, GapReason};

/// The most characters of AWS's words that are kept.
const MAX_MESSAGE: usize = 300;

const NO_CREDENTIALS: &str = "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY, or run where an instance or task role is; `tagledger demo` needs none";

const EXPIRED: &str = "the AWS credentials have expired: renew them, for instance with `aws sso login`";

/// What a failed call means. A role that could not be assumed for it is a gap of `sts:AssumeRole`.
pub(super) fn gap<E>(operation: &str, config: &SdkConfig, error: &SdkError<E, HttpResponse>) -> Gap
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(refused) = caused_by::<SdkError<AssumeRoleError, HttpResponse>>(error) {
        return gap("sts:AssumeRole", config, refused);
    }
    let (reason, message) = match caused_by::<CredentialsError>(error) {
        Some(cause) => credentials(cause),
        None => failure(operation, config, error),
    };
    Gap { reason, operation: operation.to_owned(), message }
}

fn caused_by<T: Error + 'static>(error: &dyn Error) -> Option<&T> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

fn chain(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    // Without the error itself, whose type is known.
    successors(error.source(), |&cause| cause.source())
}

fn credentials(error: &CredentialsError) -> (GapReason, String) {
    let words = words(error);
    match error {
        CredentialsError::CredentialsNotLoaded(_) => (GapReason::Denied, NO_CREDENTIALS.to_owned()),
        CredentialsError::ProviderTimedOut(_) => {
            (GapReason::Failed, one_line(&format!("AWS credentials were not to be had in time: {words}")))
        }
        _ if words.to_lowercase().contains("expired") => (GapReason::Denied, EXPIRED.to_owned()),
        _ => (GapReason::Denied, one_line(&format!("AWS credentials could not be loaded: {words}"))),
    }
}

fn failure<E>(operation: &str, config: &SdkConfig, error: &SdkError<E, HttpResponse>) -> (GapReason, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let peer = peer(operation, config);
    match error {
        SdkError::ServiceError(answer) if answer.err().code().is_some() => {
            let status = answer.raw().status().as_u16();
            service_error(answer.err().code(), answer.err().message(), status, opt_in(config))
        }
        SdkError::ServiceError(answer) => unreadable(&peer, answer.raw(), answer.err()),
        SdkError::ResponseError(answer) => unreadable(&peer, answer.raw(), error),
        SdkError::TimeoutError(_) => (GapReason::Failed, format!("no answer from {peer} in time")),
        SdkError::DispatchFailure(failure) => {
            let cause = failure.as_connector_error().map_or_else(|| words(error), |cause| words(cause));
            (GapReason::Failed, one_line(&format!("no connection to {peer}: {cause}")))
        }
        _ => (GapReason::Failed, one_line(&format!("the request could not be made: {}", words(error)))),
    }
}

/// An answer without an error code: a proxy's, a broken one, or one that was cut off.
fn unreadable(peer: &str, answer: &HttpResponse, error: &dyn Error) -> (GapReason, String) {
    let message = format!("{peer} answered what is not understood: {}", words(error));
    service_error(None, Some(&message), answer.status().as_u16(), false)
}

/// Where the call went: the configured endpoint, or AWS's own.
fn peer(operation: &str, config: &SdkConfig) -> String {
    let service = operation.split_once(':').map_or(operation, |(service, _)| service);
    endpoint(config, service).unwrap_or_else(|| {
        let region = config.region().map_or("an unknown region", |region| region.as_ref());
        format!("{service} in {region}")
    })
}

/// The words of an error and its causes, each once.
fn words(error: &dyn Error) -> String {
    let mut words: Vec<String> = vec![error.to_string()];
    for cause in chain(error).map(ToString::to_string) {
        if !words.iter().any(|said| said.contains(&cause)) {
            words.push(cause);
        }
    }
    words.join(": ")
}

/// Whether the region is one that an account has to enable.
///
/// Those opened before 20 March 2019 are enabled in every account, and the other partitions know no opting in.
fn opt_in(config: &SdkConfig) -> bool {
    let region = config.region().map_or("", |region| region.as_ref());
    let other_partition = ["cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"].iter().any(|p| region.starts_with(p));
    !other_partition && !ENABLED_FOR_ALL.contains(&region)
}

const ENABLED_FOR_ALL: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// What AWS's error code, words and HTTP status mean.
fn service_error(code: Option<&str>, message: Option<&str>, status: u16, opt_in: bool) -> (GapReason, String) {
    let message = message.unwrap_or_default();
    let reason = by_message(message).or_else(|| by_code(code?, opt_in)).unwrap_or_else(|| by_status(code, status));
    let text = match (code, without_blob(message)) {
        (Some(code), _) if EXPIRED_CODES.contains(&code) => format!("{EXPIRED} ({code})"),
        (Some(code), "") => one_line(code),
        (Some(code), message) => format!("{} ({})", one_line(message), one_line(code)),
        (None, message) => format!("{} (HTTP status {status})", one_line(message)),
    };
    (reason, text)
}

const EXPIRED_CODES: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

fn by_message(message: &str) -> Option<GapReason> {
    let message = message.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    if says(&["service control policy"]) {
        Some(GapReason::DeniedByScp)
    } else if says(&["rate exceeded", "too many requests"]) {
        Some(GapReason::Throttled)
    } else if says(&[
        "is not enabled",
        "user not enabled",
        "not supported in this region",
        "not available in this region",
    ]) {
        Some(GapReason::NotEnabled)
    } else {
        None
    }
}

fn by_code(code: &str, opt_in: bool) -> Option<GapReason> {
    Some(match code {
        // A region that is not enabled does not know the account's keys. That they are good, STS has said before.
        "AuthFailure"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidToken"
        | "UnrecognizedClientException"
            if opt_in =>
        {
            GapReason::NotEnabled
        }
        "AWSOrganizationsNotInUseException"
        | "OptInRequired"
        | "DataUnavailableException"
        | "RegionDisabledException"
        | "SubscriptionRequiredException" => GapReason::NotEnabled,
        "BandwidthLimitExceeded"
        | "EC2ThrottledException"
        | "LimitExceededException"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException" => GapReason::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "AuthFailure"
        | "AuthorizationError"
        | "AuthorizationErrorException"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "SignatureDoesNotMatch"
        | "UnauthorizedException"
        | "UnauthorizedOperation"
        | "UnrecognizedClientException" => GapReason::Denied,
        code if EXPIRED_CODES.contains(&code) => GapReason::Denied,
        _ => return None,
    })
}

/// The last resort, for errors whose body could not be read.
fn by_status(code: Option<&str>, status: u16) -> GapReason {
    match (code, status) {
        (None, 401 | 403) => GapReason::Denied,
        (None, 429) => GapReason::Throttled,
        _ => GapReason::Failed,
    }
}

/// EC2 ends its refusals with kilobytes that only another call could decode.
fn without_blob(message: &str) -> &str {
    message.split_once("Encoded authorization failure message").map_or(message, |(words, _)| words).trim()
}

/// The text on one line, without control characters, of at most [`MAX_MESSAGE`] characters.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (index, character) in text.split_whitespace().collect::<Vec<_>>().join(" ").chars().enumerate() {
        if index == MAX_MESSAGE {
            line.push('…');
            break;
        }
        line.push(if character.is_control() { ' ' } else { character });
    }
    line
}

#[cfg(test)]
mod tests;
