use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};
use aws_types::region::Region;
use tagledger_model::inventory::GapReason;

use crate::error_mapping::{MAX_MESSAGE_CHARS, gap_from_error, to_one_line};

fn config(region: &str) -> SdkConfig {
    SdkConfig::builder().region(Region::new(region.to_owned())).build()
}

fn refusal(code: &str, message: &str, status: u16) -> SdkError<AssumeRoleError, HttpResponse> {
    let metadata = ErrorMetadata::builder().code(code).message(message).build();
    let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
    SdkError::service_error(AssumeRoleError::generic(metadata), response)
}

/// AWS error codes and messages map to the expected gap reason, such as denied, denied by SCP, not enabled, throttled
/// or failed. The region decides for codes that opt-in regions also use.
#[test]
fn aws_error_codes_map_to_gap_reasons() {
    use GapReason::*;
    let scp = "User: arn:aws:iam::123456789012:user/u is not authorized to perform: rds:DescribeDBInstances with an \
               explicit deny in a service control policy";
    for (code, message, region, reason) in [
        ("AccessDenied", "User is not authorized", "us-east-1", Denied),
        ("AccessDeniedException", "", "us-east-1", Denied),
        ("UnauthorizedOperation", "You are not authorized to perform this operation.", "us-east-1", Denied),
        ("UnauthorizedOperation", scp, "us-east-1", DeniedByScp),
        ("AccessDenied", "because no service control policy allows the action", "us-east-1", DeniedByScp),
        ("AccessDenied", "with an explicit deny in a resource-based policy", "us-east-1", Denied),
        ("ExpiredTokenException", "The security token included in the request is expired", "us-east-1", Denied),
        ("AuthFailure", "AWS was not able to validate the provided access credentials", "us-east-1", Denied),
        ("AuthFailure", "AWS was not able to validate the provided access credentials", "me-south-1", NotEnabled),
        ("UnrecognizedClientException", "The security token is invalid", "eu-south-2", NotEnabled),
        ("UnrecognizedClientException", "The security token is invalid", "cn-north-1", Denied),
        ("InvalidClientTokenId", "The security token is invalid", "ap-east-1", NotEnabled),
        ("OptInRequired", "You are not subscribed to this service", "us-east-1", NotEnabled),
        ("SubscriptionRequiredException", "", "us-east-1", NotEnabled),
        ("AWSOrganizationsNotInUseException", "Your account is not a member", "us-east-1", NotEnabled),
        ("InvalidAction", "The action is not supported in this region", "us-east-1", NotEnabled),
        ("RequestLimitExceeded", "Request limit exceeded.", "us-east-1", Throttled),
        ("ThrottlingException", "Rate exceeded", "us-east-1", Throttled),
        ("TooManyRequestsException", "", "us-east-1", Throttled),
        ("SlowDown", "Please reduce your request rate.", "us-east-1", Throttled),
        ("InternalError", "An internal error has occurred", "us-east-1", Failed),
        ("PermanentRedirect", "Use another endpoint", "us-east-1", Failed),
    ] {
        let gap = gap_from_error("ec2:DescribeVolumes", &config(region), &refusal(code, message, 400));
        assert_eq!(gap.reason, reason, "{code} in {region}: {message}");
        assert_eq!(gap.operation, "ec2:DescribeVolumes");
        assert!(gap.message.contains(code), "{}", gap.message);
    }
}

/// A response whose body cannot be parsed is classified by its HTTP status, and the message names the service, the
/// region and the cause.
#[test]
fn unreadable_response_maps_by_http_status() {
    for (status, reason) in [(403, GapReason::Denied), (429, GapReason::Throttled), (500, GapReason::Failed)] {
        let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        let error: SdkError<AssumeRoleError, _> = SdkError::response_error("malformed JSON error body", response);
        let gap = gap_from_error("ecs:ListClusters", &config("eu-west-1"), &error);
        assert_eq!(gap.reason, reason, "{status}");
        assert!(gap.message.contains("ecs in eu-west-1"), "{}", gap.message);
        assert!(gap.message.contains("malformed JSON"), "{}", gap.message);
    }
}

/// When the credentials of a role cannot be obtained, the gap names the operation `sts:AssumeRole` instead of the
/// operation that needed them.
#[test]
fn assume_role_failure_names_operation() {
    let refused = refusal("AccessDenied", "not authorized to perform: sts:AssumeRole", 403);
    let identity = ConnectorError::other(CredentialsError::provider_error(refused).into(), None);
    let error: SdkError<AssumeRoleError, _> = SdkError::dispatch_failure(identity);
    let gap = gap_from_error("rds:DescribeDBClusters", &config("us-east-1"), &error);
    assert_eq!((gap.reason, gap.operation.as_str()), (GapReason::Denied, "sts:AssumeRole"));
}

/// The message for missing credentials lists how to provide them: a profile, an access key, a role or the demo.
#[test]
fn missing_credentials_message_lists_remedies() {
    let missing = CredentialsError::not_loaded("no providers in chain provided credentials");
    let error: SdkError<AssumeRoleError, HttpResponse> =
        SdkError::dispatch_failure(ConnectorError::other(missing.into(), None));
    let gap = gap_from_error("sts:GetCallerIdentity", &config("us-east-1"), &error);
    assert_eq!(gap.reason, GapReason::Denied);
    for way in ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "role", "tagledger demo"] {
        assert!(gap.message.contains(way), "{}", gap.message);
    }
}

/// A connection failure is a failed gap whose message names the service and the region and ends with the cause.
#[test]
fn connection_error_names_service_and_region() {
    let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection refused");
    let error: SdkError<AssumeRoleError, HttpResponse> = SdkError::dispatch_failure(ConnectorError::io(refused.into()));
    let gap = gap_from_error("s3:ListAllMyBuckets", &config("eu-west-3"), &error);
    assert_eq!(gap.reason, GapReason::Failed);
    assert!(gap.message.starts_with("no connection to s3 in eu-west-3: "), "{}", gap.message);
    assert!(gap.message.ends_with("Connection refused"), "{}", gap.message);
}

/// A gap message is a single line without control characters or encoded authorization details, and its length is
/// limited.
#[test]
fn gap_message_is_one_bounded_line() {
    let long = format!("You are\nnot\u{7} authorized. Encoded authorization failure message: {}", "x".repeat(5000));
    let gap =
        gap_from_error("ec2:DescribeVolumes", &config("us-east-1"), &refusal("UnauthorizedOperation", &long, 403));
    assert_eq!(gap.message, "You are not  authorized. (UnauthorizedOperation)");
    assert_eq!(to_one_line(&"é".repeat(400)).chars().count(), MAX_MESSAGE_CHARS + 1);
}
