use aws_smithy_runtime_api::client::{
    orchestrator::HttpResponse,
    result::{ConnectorError, SdkError},
};
use aws_smithy_types::{body::SdkBody, error::ErrorMetadata};
use aws_types::region::Region;

use super::*;

fn config(region: &str) -> SdkConfig {
    SdkConfig::builder().region(Region::new(region.to_owned())).build()
}

fn refusal(code: &str, message: &str, status: u16) -> SdkError<AssumeRoleError, HttpResponse> {
    let metadata = ErrorMetadata::builder().code(code).message(message).build();
    let answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
    SdkError::service_error(AssumeRoleError::generic(metadata), answer)
}

#[test]
fn aws_codes_and_words_map_to_reasons() {
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
        let gap = gap("ec2:DescribeVolumes", &config(region), &refusal(code, message, 400));
        assert_eq!(gap.reason, reason, "{code} in {region}: {message}");
        assert_eq!(gap.operation, "ec2:DescribeVolumes");
        assert!(gap.message.contains(code), "{}", gap.message);
    }
}

#[test]
fn an_unreadable_answer_is_judged_by_its_status() {
    for (status, reason) in [(403, GapReason::Denied), (429, GapReason::Throttled), (500, GapReason::Failed)] {
        let answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        let error: SdkError<AssumeRoleError, _> = SdkError::response_error("malformed JSON error body", answer);
        let gap = gap("ecs:ListClusters", &config("eu-west-1"), &error);
        assert_eq!(gap.reason, reason, "{status}");
        assert!(gap.message.contains("ecs in eu-west-1"), "{}", gap.message);
        assert!(gap.message.contains("malformed JSON"), "{}", gap.message);
    }
}

#[test]
fn a_role_that_could_not_be_assumed_is_a_gap_of_assume_role() {
    let refused = refusal("AccessDenied", "not authorized to perform: sts:AssumeRole", 403);
    let identity = ConnectorError::other(CredentialsError::provider_error(refused).into(), None);
    let error: SdkError<AssumeRoleError, _> = SdkError::dispatch_failure(identity);
    let gap = gap("rds:DescribeDBClusters", &config("us-east-1"), &error);
    assert_eq!((gap.reason, gap.operation.as_str()), (GapReason::Denied, "sts:AssumeRole"));
}

#[test]
fn missing_credentials_say_how_to_get_some() {
    let missing = CredentialsError::not_loaded("no providers in chain provided credentials");
    let error: SdkError<AssumeRoleError, HttpResponse> =
        SdkError::dispatch_failure(ConnectorError::other(missing.into(), None));
    let gap = gap("sts:GetCallerIdentity", &config("us-east-1"), &error);
    assert_eq!(gap.reason, GapReason::Denied);
    for way in ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "role", "tagledger demo"] {
        assert!(gap.message.contains(way), "{}", gap.message);
    }
}

#[test]
fn an_endpoint_out_of_reach_is_named() {
    let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection refused");
    let error: SdkError<AssumeRoleError, HttpResponse> = SdkError::dispatch_failure(ConnectorError::io(refused.into()));
    let gap = gap("s3:ListAllMyBuckets", &config("eu-west-3"), &error);
    assert_eq!(gap.reason, GapReason::Failed);
    assert!(gap.message.starts_with("no connection to s3 in eu-west-3: "), "{}", gap.message);
    assert!(gap.message.ends_with("Connection refused"), "{}", gap.message);
}

#[test]
fn messages_are_one_short_line() {
    let long = format!("You are\nnot\u{7} authorized. Encoded authorization failure message: {}", "x".repeat(5000));
    let gap = gap("ec2:DescribeVolumes", &config("us-east-1"), &refusal("UnauthorizedOperation", &long, 403));
    assert_eq!(gap.message, "You are not  authorized. (UnauthorizedOperation)");
    assert_eq!(one_line(&"é".repeat(400)).chars().count(), MAX_MESSAGE + 1);
}
