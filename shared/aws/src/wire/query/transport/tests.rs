use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use aws_types::region::Region;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    http::ConnectionPool,
    wire::query::{
        Client, Request,
        client::Response,
        xml::{Page, Volume},
    },
};

const VOLUMES: &str = "<DescribeVolumesResponse><volumeSet><item><volumeId>vol-1</volumeId></item></volumeSet>\
                       </DescribeVolumesResponse>";

const ATTEMPTS: u32 = 3;

/// An HTTP server that sends these responses in turn, one on each connection. After the last one it accepts no connection.
struct Endpoint {
    url: String,
    served: tokio::task::JoinHandle<Vec<String>>,
}

impl Endpoint {
    async fn start(responses: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let mut requests = Vec::new();
            for response in responses {
                let (mut stream, _) = listener.accept().await.unwrap();
                requests.push(read_request(&mut stream).await);
                stream.write_all(response.as_bytes()).await.unwrap();
            }
            requests
        });
        Self { url, served }
    }

    fn config(&self) -> aws_types::sdk_config::Builder {
        let keys = Credentials::new("AKIDEXAMPLE", "secret", Some("a-token".to_owned()), None, "test");
        let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(1));
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .endpoint_url(&self.url)
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .http_client(ConnectionPool::default())
            .retry_config(retries.with_max_attempts(ATTEMPTS))
    }

    async fn describe_volumes(&self) -> Response<Page<Volume>> {
        describe_volumes(&self.config().build()).await
    }

    /// Waits until all responses are sent, and returns the requests.
    async fn requests(self) -> Vec<String> {
        tokio::time::timeout(Duration::from_secs(10), self.served).await.unwrap().unwrap()
    }
}

async fn describe_volumes(config: &SdkConfig) -> Response<Page<Volume>> {
    let retries = RetryPartition::custom("test").token_bucket(TokenBucket::unlimited()).build();
    Client::new(config, retries).describe_volumes(Request::default().max_results(7)).await
}

/// Reads one request to the end of its form data.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("MaxResults=7") {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    text
}

fn http_response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn error_response(status: &str, code: &str) -> String {
    http_response(status, &format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>"))
}

/// A request is a form-encoded POST that is signed with Signature Version 4 and carries the session token, the attempt
/// number and the application name in the user agent.
#[tokio::test]
async fn request_is_signed_form_with_user_agent() {
    let endpoint = Endpoint::start(vec![http_response("200 OK", VOLUMES)]).await;
    let config = endpoint.config().app_name(aws_config::AppName::new("tagledger").unwrap()).build();
    let page = describe_volumes(&config).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let request = endpoint.requests().await.remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "Action=DescribeVolumes&Version=2016-11-15&MaxResults=7");
    assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
    for part in [
        "content-type: application/x-www-form-urlencoded\r\n",
        "/eu-west-1/ec2/aws4_request, SignedHeaders=",
        "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/",
        "x-amz-security-token: a-token",
        "amz-sdk-request: attempt=1; max=3",
        "app/tagledger",
        "api/ec2/",
    ] {
        assert!(head.contains(part), "{part} in {head}");
    }
}

/// Throttling, timeouts, server errors, truncated responses and closed connections are retried, and the second attempt
/// succeeds.
#[tokio::test]
async fn transient_errors_are_retried() {
    let truncated = http_response("200 OK", VOLUMES).replace("</volumeSet>", "");
    for failure in [
        error_response("503 Service Unavailable", "RequestLimitExceeded"),
        error_response("400 Bad Request", "RequestLimitExceeded"),
        error_response("400 Bad Request", "EC2ThrottledException"),
        error_response("400 Bad Request", "RequestTimeout"),
        error_response("500 Internal Server Error", "InternalError"),
        http_response("502 Bad Gateway", "<html>Bad Gateway</html>"),
        truncated,
        String::new(),
    ] {
        let endpoint = Endpoint::start(vec![failure.clone(), http_response("200 OK", VOLUMES)]).await;
        let page = endpoint.describe_volumes().await.unwrap_or_else(|error| panic!("{error:?} after {failure}"));
        assert_eq!(page.items.len(), 1);
        let requests = endpoint.requests().await;
        assert!(requests[1].contains("attempt=2; max=3"), "{}", requests[1]);
    }
}

/// Continuous throttling ends after three attempts with the throttling error code.
#[tokio::test]
async fn throttling_fails_after_max_attempts() {
    let throttled = error_response("503 Service Unavailable", "RequestLimitExceeded");
    let endpoint = Endpoint::start(vec![throttled; ATTEMPTS as usize]).await;
    let error = endpoint.describe_volumes().await.unwrap_err();
    assert_eq!(error.code(), Some("RequestLimitExceeded"));
    assert_eq!(endpoint.requests().await.len(), 3);
}

/// An authorization error is returned after a single attempt with its code.
#[tokio::test]
async fn permanent_error_is_not_retried() {
    let endpoint = Endpoint::start(vec![error_response("403 Forbidden", "UnauthorizedOperation")]).await;
    let error = endpoint.describe_volumes().await.unwrap_err();
    assert!(matches!(error, SdkError::ServiceError(_)), "{error:?}");
    assert_eq!(error.code(), Some("UnauthorizedOperation"));
    assert_eq!(endpoint.requests().await.len(), 1);
}

/// A response with status 200 whose body is not the expected complete document is a service error without a code.
#[tokio::test]
async fn malformed_success_is_service_error() {
    let truncated = VOLUMES.replace("</volumeSet></DescribeVolumesResponse>", "");
    for body in [truncated.as_str(), "", "<html></html>", "<DescribeRegionsResponse/>"] {
        let endpoint = Endpoint::start(vec![http_response("200 OK", body)]).await;
        let error = endpoint.describe_volumes().await.unwrap_err();
        assert!(matches!(error, SdkError::ServiceError(_)), "{body}: {error:?}");
        assert_eq!(error.code(), None);
    }
}

/// Requests to an endpoint that never responds end with a timeout error after all attempts.
#[tokio::test]
async fn silent_endpoint_times_out() {
    let endpoint = Endpoint::start(Vec::new()).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(50)).build();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let config = endpoint.config().endpoint_url(url).timeout_config(timeouts).build();
    let start = Instant::now();
    let error = describe_volumes(&config).await.unwrap_err();
    assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
    assert!(start.elapsed() >= Duration::from_millis(150) && start.elapsed() < Duration::from_secs(5));
}
