//! Counts of what is sent, by operation, and of what came back as too much.

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

use super::session::Shared;
use crate::cloud::OperationCalls;

tokio::task_local! {
    /// Whose attempt it is that the connector carries: the SDK makes attempts in the task that awaits the call.
    static CURRENT: Arc<Calls>;
}

/// Words of which one stands in every answer that says to slow down, whatever the protocol.
const THROTTLED: [&[u8]; 5] =
    [b"Throttl", b"RequestLimitExceeded", b"TooManyRequests", b"SlowDown", b"RequestThrottled"];

#[derive(Debug, Default)]
struct Calls {
    requests: AtomicU64,
    throttled: AtomicU64,
    /// What time it was for AWS in its last answer, seconds since 1970; 0 before the first.
    dated: AtomicI64,
}

/// All counts.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    operations: Mutex<BTreeMap<&'static str, Arc<Calls>>>,
}

impl Ledger {
    /// Counts a request.
    pub(super) fn count(&self, operation: &'static str) {
        self.of(operation).requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes a call whose throttled attempts are counted.
    pub(super) async fn follow<T>(&self, operation: &'static str, call: impl Future<Output = T>) -> T {
        CURRENT.scope(self.of(operation), call).await
    }

    fn of(&self, operation: &'static str) -> Arc<Calls> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(operations.entry(operation).or_default())
    }

    /// What time it was for AWS when it last answered to an operation.
    pub(super) fn dated(&self, operation: &'static str) -> Option<Timestamp> {
        let seconds = self.of(operation).dated.load(Ordering::Relaxed);
        Timestamp::from_second(seconds).ok().filter(|at| *at != Timestamp::UNIX_EPOCH)
    }

    pub(super) fn calls(&self) -> Vec<OperationCalls> {
        let operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |(operation, calls): (&&'static str, &Arc<Calls>)| OperationCalls {
            operation,
            requests: calls.requests.load(Ordering::Relaxed),
            throttled: calls.throttled.load(Ordering::Relaxed),
        };
        operations.iter().map(read).collect()
    }
}

/// Notes an attempt that failed with this answer. Lambda names the error in a header only.
pub(super) fn note_failure(kind: Option<&str>, body: &[u8]) {
    let named = |text: &[u8]| THROTTLED.iter().any(|word| text.windows(word.len()).any(|part| part == *word));
    let slow_down = named(body) || kind.is_some_and(|kind| named(kind.as_bytes()));
    // Outside of a call of ours, such as when credentials are fetched, nobody counts.
    if let (true, Ok(calls)) = (slow_down, CURRENT.try_with(Arc::clone)) {
        calls.throttled.fetch_add(1, Ordering::Relaxed);
    }
}

/// Notes the `Date` of an answer.
pub(super) fn note_date(date: Option<&str>) {
    let at = date.and_then(|date| rfc2822::parse(date).ok());
    if let (Some(at), Ok(calls)) = (at, CURRENT.try_with(Arc::clone)) {
        calls.dated.store(at.timestamp().as_second(), Ordering::Relaxed);
    }
}

/// A provider whose every fetch counts as a request: assuming a role is one to STS.
#[derive(Debug)]
pub(super) struct Counted<P> {
    pub(super) provider: P,
    pub(super) shared: Arc<Shared>,
}

impl<P: ProvideCredentials> ProvideCredentials for Counted<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.shared.calls.count("sts:AssumeRole");
        self.provider.provide_credentials()
    }
}
