use std::time::{Duration, Instant};

use aws_config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_runtime::client::retries::TokenBucket;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use aws_types::region::Region;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    super::{super::http::Pool, Answered, Client, Volume},
    *,
};

const VOLUMES: &str = "<DescribeVolumesResponse><volumeSet><item><volumeId>vol-1</volumeId></item></volumeSet>\
                       </DescribeVolumesResponse>";

const ATTEMPTS: u32 = 3;

/// An endpoint that gives these answers in turn, one on a connection; then it says nothing more.
struct Endpoint {
    url: String,
    served: tokio::task::JoinHandle<Vec<String>>,
}

impl Endpoint {
    async fn answering(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                requests.push(request(&mut stream).await);
                stream.write_all(answer.as_bytes()).await.unwrap();
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
            .http_client(Pool::default())
            .retry_config(retries.with_max_attempts(ATTEMPTS))
    }

    async fn volumes(&self) -> Answered<Page<Volume>> {
        volumes(&self.config().build()).await
    }

    /// The requests that were served, once there is no answer left.
    async fn requests(self) -> Vec<String> {
        tokio::time::timeout(Duration::from_secs(10), self.served).await.unwrap().unwrap()
    }
}

async fn volumes(config: &SdkConfig) -> Answered<Page<Volume>> {
    let retries = RetryPartition::custom("test").token_bucket(TokenBucket::unlimited()).build();
    Client::new(config, retries).describe_volumes(Request::default().max_results(7)).await
}

/// Reads one request, whose body is shorter than its head.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("MaxResults=7") {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).await.unwrap();
        assert_ne!(count, 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    text
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn refusal(status: &str, code: &str) -> String {
    http(status, &format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>"))
}

#[tokio::test]
async fn a_request_is_a_signed_form_that_names_its_sender() {
    let endpoint = Endpoint::answering(vec![http("200 OK", VOLUMES)]).await;
    let config = endpoint.config().app_name(aws_config::AppName::new("tagledger").unwrap()).build();
    let page = volumes(&config).await.unwrap();
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

#[tokio::test]
async fn what_passes_is_tried_again() {
    let cut_off = http("200 OK", VOLUMES).replace("</volumeSet>", "");
    for failure in [
        refusal("503 Service Unavailable", "RequestLimitExceeded"),
        refusal("400 Bad Request", "RequestLimitExceeded"),
        refusal("400 Bad Request", "EC2ThrottledException"),
        refusal("400 Bad Request", "RequestTimeout"),
        refusal("500 Internal Server Error", "InternalError"),
        http("502 Bad Gateway", "<html>Bad Gateway</html>"),
        cut_off,
        String::new(),
    ] {
        let endpoint = Endpoint::answering(vec![failure.clone(), http("200 OK", VOLUMES)]).await;
        let page = endpoint.volumes().await.unwrap_or_else(|error| panic!("{error:?} after {failure}"));
        assert_eq!(page.items.len(), 1);
        let requests = endpoint.requests().await;
        assert!(requests[1].contains("attempt=2; max=3"), "{}", requests[1]);
    }
}

#[tokio::test]
async fn throttling_without_end_is_given_up_with_its_code() {
    let throttled = refusal("503 Service Unavailable", "RequestLimitExceeded");
    let endpoint = Endpoint::answering(vec![throttled; ATTEMPTS as usize]).await;
    let error = endpoint.volumes().await.unwrap_err();
    assert_eq!(error.code(), Some("RequestLimitExceeded"));
    assert_eq!(endpoint.requests().await.len(), 3);
}

#[tokio::test]
async fn a_refusal_for_good_is_not_tried_again() {
    let endpoint = Endpoint::answering(vec![refusal("403 Forbidden", "UnauthorizedOperation")]).await;
    let error = endpoint.volumes().await.unwrap_err();
    assert!(matches!(error, SdkError::ServiceError(_)), "{error:?}");
    assert_eq!(error.code(), Some("UnauthorizedOperation"));
    assert_eq!(endpoint.requests().await.len(), 1);
}

#[tokio::test]
async fn a_success_that_is_no_answer_is_an_error() {
    let cut_off = VOLUMES.replace("</volumeSet></DescribeVolumesResponse>", "");
    for body in [cut_off.as_str(), "", "<html></html>", "<DescribeRegionsResponse/>"] {
        let endpoint = Endpoint::answering(vec![http("200 OK", body)]).await;
        let error = endpoint.volumes().await.unwrap_err();
        assert!(matches!(error, SdkError::ServiceError(_)), "{body}: {error:?}");
        assert_eq!(error.code(), None);
    }
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_is_given_up_in_time() {
    let endpoint = Endpoint::answering(Vec::new()).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(50)).build();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let config = endpoint.config().endpoint_url(url).timeout_config(timeouts).build();
    let start = Instant::now();
    let error = volumes(&config).await.unwrap_err();
    assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
    assert!(start.elapsed() >= Duration::from_millis(150) && start.elapsed() < Duration::from_secs(5));
}
