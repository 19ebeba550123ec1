//! The mapping of SDK errors to gaps.

#[cfg(test)]
mod tests;

use std::{error::Error, iter::successors};

use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tagledger_model::inventory::{Gap, GapReason};

use crate::endpoint_override::custom_endpoint;

/// The maximum length of a gap message in characters. Longer messages are cut.
const MAX_MESSAGE_CHARS: usize = 300;

const NO_CREDENTIALS: &str = "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY, or run on an instance or task with a role; `tagledger demo` needs no credentials";

const EXPIRED: &str = "the AWS credentials have expired: renew them, for instance with `aws sso login`";

/// Converts the error of a call to a gap. If the role could not be assumed, the operation of the gap is `sts:AssumeRole`.
pub(crate) fn gap_from_error<E>(operation: &str, config: &SdkConfig, error: &SdkError<E, HttpResponse>) -> Gap
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(refused) = find_cause::<SdkError<AssumeRoleError, HttpResponse>>(error) {
        return gap_from_error("sts:AssumeRole", config, refused);
    }
    let (reason, message) = match find_cause::<CredentialsError>(error) {
        Some(cause) => map_credentials_error(cause),
        None => map_sdk_error(operation, config, error),
    };
    Gap { reason, operation: operation.to_owned(), message }
}

fn find_cause<T: Error + 'static>(error: &dyn Error) -> Option<&T> {
    sources(error).find_map(|cause| cause.downcast_ref())
}

fn sources(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(error.source(), |&cause| cause.source())
}

fn map_credentials_error(error: &CredentialsError) -> (GapReason, String) {
    let message = error_messages(error);
    match error {
        CredentialsError::CredentialsNotLoaded(_) => (GapReason::Denied, NO_CREDENTIALS.to_owned()),
        CredentialsError::ProviderTimedOut(_) => {
            (GapReason::Failed, to_one_line(&format!("loading the AWS credentials timed out: {message}")))
        }
        _ if message.to_lowercase().contains("expired") => (GapReason::Denied, EXPIRED.to_owned()),
        _ => (GapReason::Denied, to_one_line(&format!("the AWS credentials could not be loaded: {message}"))),
    }
}

fn map_sdk_error<E>(operation: &str, config: &SdkConfig, error: &SdkError<E, HttpResponse>) -> (GapReason, String)
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let peer = peer_name(operation, config);
    match error {
        SdkError::ServiceError(context) if context.err().code().is_some() => {
            let status = context.raw().status().as_u16();
            map_service_error(context.err().code(), context.err().message(), status, is_opt_in_region(config))
        }
        SdkError::ServiceError(context) => map_unreadable_response(&peer, context.raw(), context.err()),
        SdkError::ResponseError(context) => map_unreadable_response(&peer, context.raw(), error),
        SdkError::TimeoutError(_) => (GapReason::Failed, format!("the request to {peer} timed out")),
        SdkError::DispatchFailure(failure) => {
            let cause =
                failure.as_connector_error().map_or_else(|| error_messages(error), |cause| error_messages(cause));
            (GapReason::Failed, to_one_line(&format!("no connection to {peer}: {cause}")))
        }
        _ => (GapReason::Failed, to_one_line(&format!("the request could not be sent: {}", error_messages(error)))),
    }
}

/// Maps a response without an error code: from a proxy, malformed, or truncated.
fn map_unreadable_response(peer: &str, response: &HttpResponse, error: &dyn Error) -> (GapReason, String) {
    let message = format!("the response of {peer} could not be read: {}", error_messages(error));
    map_service_error(None, Some(&message), response.status().as_u16(), false)
}

/// Names the peer of a call: the custom endpoint, or the service and the region.
fn peer_name(operation: &str, config: &SdkConfig) -> String {
    let service = operation.split_once(':').map_or(operation, |(service, _)| service);
    custom_endpoint(config, service).unwrap_or_else(|| {
        let region = config.region().map_or("an unknown region", |region| region.as_ref());
        format!("{service} in {region}")
    })
}

/// Joins the messages of an error and its causes. A message that another one contains is left out.
fn error_messages(error: &dyn Error) -> String {
    let mut messages: Vec<String> = vec![error.to_string()];
    for cause in sources(error).map(ToString::to_string) {
        if !messages.iter().any(|message| message.contains(&cause)) {
            messages.push(cause);
        }
    }
    messages.join(": ")
}

/// Whether accounts have to enable the region before they can use it.
///
/// Regions that opened before 20 March 2019 are enabled in every account. The other partitions have no opt-in regions.
fn is_opt_in_region(config: &SdkConfig) -> bool {
    let region = config.region().map_or("", |region| region.as_ref());
    let other_partition = ["cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"].iter().any(|p| region.starts_with(p));
    !other_partition && !DEFAULT_REGIONS.contains(&region)
}

/// The regions that are enabled in every account.
const DEFAULT_REGIONS: [&str; 17] = [
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

/// Maps the error code, the message and the HTTP status of an AWS error to a gap reason and a gap message.
fn map_service_error(code: Option<&str>, message: Option<&str>, status: u16, opt_in: bool) -> (GapReason, String) {
    let message = message.unwrap_or_default();
    let reason = reason_by_message(message)
        .or_else(|| reason_by_code(code?, opt_in))
        .unwrap_or_else(|| reason_by_status(code, status));
    let text = match (code, without_encoded_details(message)) {
        (Some(code), _) if EXPIRED_CODES.contains(&code) => format!("{EXPIRED} ({code})"),
        (Some(code), "") => to_one_line(code),
        (Some(code), message) => format!("{} ({})", to_one_line(message), to_one_line(code)),
        (None, message) => format!("{} (HTTP status {status})", to_one_line(message)),
    };
    (reason, text)
}

const EXPIRED_CODES: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

fn reason_by_message(message: &str) -> Option<GapReason> {
    let message = message.to_lowercase();
    let contains = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    if contains(&["service control policy"]) {
        Some(GapReason::DeniedByScp)
    } else if contains(&["rate exceeded", "too many requests"]) {
        Some(GapReason::Throttled)
    } else if contains(&[
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

fn reason_by_code(code: &str, opt_in: bool) -> Option<GapReason> {
    Some(match code {
        // A region that is not enabled rejects the account's keys. STS has already accepted these keys.
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

/// Maps the HTTP status of an error whose body could not be read.
fn reason_by_status(code: Option<&str>, status: u16) -> GapReason {
    match (code, status) {
        (None, 401 | 403) => GapReason::Denied,
        (None, 429) => GapReason::Throttled,
        _ => GapReason::Failed,
    }
}

/// Removes the encoded authorization details from an EC2 error message. They have kilobytes, and only
/// `sts:DecodeAuthorizationMessage` can decode them.
fn without_encoded_details(message: &str) -> &str {
    message.split_once("Encoded authorization failure message").map_or(message, |(readable, _)| readable).trim()
}

/// Formats a text as one line without control characters and with at most [`MAX_MESSAGE_CHARS`] characters.
pub(crate) fn to_one_line(text: &str) -> String {
    let mut line = String::new();
    for (index, character) in text.split_whitespace().collect::<Vec<_>>().join(" ").chars().enumerate() {
        if index == MAX_MESSAGE_CHARS {
            line.push('…');
            break;
        }
        line.push(if character.is_control() { ' ' } else { character });
    }
    line
}
