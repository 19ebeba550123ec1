//! Counts of requests and of throttling responses for each API operation.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use aws_credential_types::provider::{ProvideCredentials, future};
use jiff::{Timestamp, fmt::rfc2822};
use tagledger_cloud::OperationCalls;

use crate::rate_limits::RateLimits;

tokio::task_local! {
    /// The counters of the current call. The SDK sends its attempts in the task that awaits the call, so the HTTP connector
    /// finds them here.
    static CURRENT: Arc<Counters>;
}

/// Every throttling response contains one of these texts, in all protocols of AWS.
const THROTTLING_MARKERS: [&[u8]; 5] =
    [b"Throttl", b"RequestLimitExceeded", b"TooManyRequests", b"SlowDown", b"RequestThrottled"];

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    throttled: AtomicU64,
    /// The `Date` of the last response in seconds since the Unix epoch, 0 before the first response.
    last_date: AtomicI64,
}

/// The counters of all operations.
#[derive(Debug, Default)]
pub(crate) struct CallMetrics {
    operations: Mutex<BTreeMap<&'static str, Arc<Counters>>>,
}

impl CallMetrics {
    /// Counts a request.
    pub(crate) fn count(&self, operation: &'static str) {
        self.counters(operation).requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs a call. Throttling responses to it are counted.
    pub(crate) async fn track<T>(&self, operation: &'static str, call: impl Future<Output = T>) -> T {
        CURRENT.scope(self.counters(operation), call).await
    }

    fn counters(&self, operation: &'static str) -> Arc<Counters> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(operations.entry(operation).or_default())
    }

    /// Returns the `Date` header of the last response to this operation.
    pub(crate) fn last_response_date(&self, operation: &'static str) -> Option<Timestamp> {
        let seconds = self.counters(operation).last_date.load(Ordering::Relaxed);
        Timestamp::from_second(seconds).ok().filter(|at| *at != Timestamp::UNIX_EPOCH)
    }

    /// Returns the counts of all operations.
    pub(crate) fn operation_calls(&self) -> Vec<OperationCalls> {
        let operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |(operation, counters): (&&'static str, &Arc<Counters>)| OperationCalls {
            operation,
            requests: counters.requests.load(Ordering::Relaxed),
            throttled: counters.throttled.load(Ordering::Relaxed),
        };
        operations.iter().map(read).collect()
    }
}

/// Counts an error response if it is a throttling response. Lambda has the error code only in the header `error_type`.
pub(crate) fn record_failure(error_type: Option<&str>, body: &[u8]) {
    let has_marker =
        |text: &[u8]| THROTTLING_MARKERS.iter().any(|marker| text.windows(marker.len()).any(|part| part == *marker));
    let is_throttled = has_marker(body) || error_type.is_some_and(|name| has_marker(name.as_bytes()));
    // Requests of the SDK itself, such as those for credentials, have no counters.
    if let (true, Ok(counters)) = (is_throttled, CURRENT.try_with(Arc::clone)) {
        counters.throttled.fetch_add(1, Ordering::Relaxed);
    }
}

/// Records the `Date` header of a response.
pub(crate) fn record_date(date: Option<&str>) {
    let at = date.and_then(|date| rfc2822::parse(date).ok());
    if let (Some(at), Ok(counters)) = (at, CURRENT.try_with(Arc::clone)) {
        counters.last_date.store(at.timestamp().as_second(), Ordering::Relaxed);
    }
}

/// A credentials provider that counts every fetch as a request to `sts:AssumeRole`.
#[derive(Debug)]
pub(crate) struct RequestCounter<P> {
    pub(crate) provider: P,
    pub(crate) shared: Arc<Shared>,
}

impl<P: ProvideCredentials> ProvideCredentials for RequestCounter<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.shared.calls.count("sts:AssumeRole");
        self.provider.provide_credentials()
    }
}

/// The rate limits and the request counts that all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: RateLimits,
    pub(crate) calls: CallMetrics,
}

impl Shared {
    pub(crate) fn new(rate_percent: u32) -> Self {
        Self { limits: RateLimits::new(rate_percent), calls: CallMetrics::default() }
    }
}
