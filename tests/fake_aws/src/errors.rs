//! The error codes of each AWS service, and the error bodies of each protocol.

use axum::{
    body::Body,
    http::{Response, header::CONTENT_TYPE},
};
use serde_json::json;

use crate::{
    faults::Effect,
    protocol::{Call, Service, escape},
};

/// The request ID in all documents. The headers contain a unique ID.
pub(crate) const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// Further XML elements of S3 errors. `Region` is also the value of the header `x-amz-bucket-region`.
    pub(crate) details: Vec<(&'static str, String)>,
    /// Whether the fake implements the operation.
    pub(crate) supported: bool,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), details: Vec::new(), supported: true }
    }

    pub(crate) fn with(mut self, element: &'static str, text: &str) -> Self {
        self.details.push((element, text.to_owned()));
        self
    }

    /// Returns the error for an operation that the fake does not implement. No SDK retries the status 501.
    pub(crate) fn unsupported(call: &Call) -> Self {
        let message = format!("The fake does not implement {}:{}.", call.service.name(), call.operation);
        Self { supported: false, ..Self::new(501, "NotImplemented", message) }
    }
}

/// Returns the error of an effect. `None` for effects that change a successful response.
pub(crate) fn from_effect(effect: &Effect, call: &Call) -> Option<ApiError> {
    Some(match effect {
        Effect::Throttle => throttle(call.service),
        Effect::Deny => deny(call, "because no identity-based policy allows the"),
        Effect::DenyByScp => denied_by_scp(call),
        Effect::ServerError => server_error(call.service),
        Effect::ExpiredToken => expired(call.service),
        Effect::NotEnabled => not_enabled(call.service),
        _ => return None,
    })
}

fn throttle(service: Service) -> ApiError {
    let (status, code, message) = match service {
        Service::Ec2 => (503, "RequestLimitExceeded", "Request limit exceeded."),
        Service::S3 => (503, "SlowDown", "Please reduce your request rate."),
        Service::Lambda => (429, "TooManyRequestsException", "Rate exceeded"),
        Service::Tagging => (400, "ThrottledException", "Rate exceeded"),
        Service::Organizations => {
            (400, "TooManyRequestsException", "You have sent too many requests in too short a period of time.")
        }
        Service::CostExplorer => (400, "LimitExceededException", "You made too many calls in a short period of time."),
        Service::CloudTrail | Service::Ecs | Service::Other => (400, "ThrottlingException", "Rate exceeded"),
        Service::Rds | Service::Sts => (400, "Throttling", "Rate exceeded"),
    };
    ApiError::new(status, code, message)
}

fn denied(service: Service, message: String) -> ApiError {
    let (status, code) = match service {
        Service::Ec2 => (403, "UnauthorizedOperation"),
        Service::Rds | Service::Sts | Service::S3 => (403, "AccessDenied"),
        Service::Lambda => (403, "AccessDeniedException"),
        Service::CloudTrail
        | Service::CostExplorer
        | Service::Ecs
        | Service::Tagging
        | Service::Organizations
        | Service::Other => (400, "AccessDeniedException"),
    };
    ApiError::new(status, code, message)
}

/// Returns the error of IAM for a denied call.
pub(crate) fn deny(call: &Call, reason: &str) -> ApiError {
    let action = call.action();
    denied(call.service, format!("{} {reason} {action} action", not_authorized(call)))
}

fn denied_by_scp(call: &Call) -> ApiError {
    denied(call.service, format!("{} with an explicit deny in a service control policy", not_authorized(call)))
}

fn not_authorized(call: &Call) -> String {
    let opening =
        if call.service == Service::Ec2 { "You are not authorized to perform this operation. User" } else { "User" };
    format!("{opening}: {} is not authorized to perform: {}", call.caller_arn(), call.action())
}

fn server_error(service: Service) -> ApiError {
    let code = match service {
        Service::Ec2 | Service::S3 => "InternalError",
        Service::CloudTrail | Service::Rds | Service::Sts | Service::CostExplorer | Service::Other => "InternalFailure",
        Service::Lambda | Service::Organizations => "ServiceException",
        Service::Ecs => "ServerException",
        Service::Tagging => "InternalServiceException",
    };
    ApiError::new(500, code, "An internal error has occurred")
}

fn expired(service: Service) -> ApiError {
    let (status, code) = match service {
        Service::Ec2 => (400, "RequestExpired"),
        Service::S3 => (400, "ExpiredToken"),
        Service::Rds | Service::Sts => (403, "ExpiredToken"),
        Service::Lambda => (403, "ExpiredTokenException"),
        Service::CloudTrail
        | Service::CostExplorer
        | Service::Ecs
        | Service::Tagging
        | Service::Organizations
        | Service::Other => (400, "ExpiredTokenException"),
    };
    ApiError::new(status, code, "The security token included in the request is expired")
}

/// Returns the error of a service in a region that the account has not enabled.
pub(crate) fn not_enabled(service: Service) -> ApiError {
    let invalid = "The security token included in the request is invalid.";
    match service {
        Service::Ec2 => ApiError::new(403, "OptInRequired", "You are not subscribed to this service."),
        Service::Rds | Service::Sts => ApiError::new(403, "InvalidClientTokenId", invalid),
        Service::S3 => ApiError::new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist."),
        Service::Lambda => ApiError::new(403, "UnrecognizedClientException", invalid),
        _ => ApiError::new(400, "UnrecognizedClientException", invalid),
    }
}

/// Renders an error in the protocol of the service.
pub(crate) fn render(error: &ApiError, service: Service) -> Response<Body> {
    let mut response = Response::builder().status(error.status);
    let body = match service {
        Service::Ec2 => ec2_body(error),
        Service::Rds | Service::Sts => query_body(error),
        Service::S3 => s3_body(error),
        Service::Lambda => {
            response = response.header("x-amzn-errortype", &error.code);
            json!({"Type": if error.status < 500 { "User" } else { "Service" }, "message": error.message}).to_string()
        }
        _ => json!({"__type": error.code, "message": error.message}).to_string(),
    };
    if let Some((_, region)) = error.details.iter().find(|(name, _)| *name == "Region") {
        response = response.header("x-amz-bucket-region", region);
    }
    let response = response.header(CONTENT_TYPE, service.content_type()).body(Body::from(body));
    response.unwrap_or_else(|_| Response::new(Body::empty()))
}

fn ec2_body(error: &ApiError) -> String {
    let ApiError { code, message, .. } = error;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error>\
         </Errors><RequestID>{REQUEST_ID}</RequestID></Response>",
        escape(code),
        escape(message)
    )
}

fn query_body(error: &ApiError) -> String {
    let side = if error.status < 500 { "Sender" } else { "Receiver" };
    format!(
        "<ErrorResponse><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message></Error>\
         <RequestId>{REQUEST_ID}</RequestId></ErrorResponse>",
        escape(&error.code),
        escape(&error.message)
    )
}

fn s3_body(error: &ApiError) -> String {
    let details: String =
        error.details.iter().map(|(name, text)| format!("<{name}>{}</{name}>", escape(text))).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>{details}\
         <RequestId>0000000000000000</RequestId><HostId>fake</HostId></Error>",
        escape(&error.code),
        escape(&error.message)
    )
}
