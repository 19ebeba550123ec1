//! Limits on the rate and the concurrency of the requests of a caller.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum number of concurrent requests of a caller.
const MAX_CONCURRENT: usize = 128;

/// After this number of requests, idle callers are removed: with tokens there is a caller for each person.
const CLEANUP_INTERVAL: u64 = 4_096;

/// The rate and the concurrency of each caller.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    rate: DefaultKeyedRateLimiter<String>,
    permits: Mutex<HashMap<String, Arc<Semaphore>>>,
    admitted: AtomicU64,
}

/// A refusal, and when to retry.
pub(crate) struct RetryAfter {
    pub(crate) why: String,
    pub(crate) seconds: u64,
}

impl RateLimiter {
    /// Limits each caller to `requests_per_minute` requests per minute, with bursts of a sixth of that.
    pub(crate) fn new(requests_per_minute: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(requests_per_minute.get() / 6).unwrap_or(NonZeroU32::MIN);
        let rate = governor::RateLimiter::keyed(Quota::per_minute(requests_per_minute).allow_burst(burst));
        Self { rate, permits: Mutex::default(), admitted: AtomicU64::new(0) }
    }

    fn remove_idle(&self) {
        self.rate.retain_recent();
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        permits.retain(|_, permit| permit.available_permits() < MAX_CONCURRENT);
    }

    /// A permit for one request, which is held until the response is sent.
    pub(crate) fn admit(&self, caller: &String) -> Result<OwnedSemaphorePermit, RetryAfter> {
        self.rate.check_key(caller).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.rate.clock().now());
            let why = "this key has sent too many requests in a short time; wait a moment".to_owned();
            RetryAfter { why, seconds: (wait + Duration::from_millis(999)).as_secs().max(1) }
        })?;
        if self.admitted.fetch_add(1, Ordering::Relaxed) % CLEANUP_INTERVAL == CLEANUP_INTERVAL - 1 {
            self.remove_idle();
        }
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        let permit = permits.entry(caller.clone()).or_insert_with(|| Arc::new(Semaphore::new(MAX_CONCURRENT)));
        let busy = |_| RetryAfter {
            why: format!("{MAX_CONCURRENT} requests with this key are in progress already"),
            seconds: 1,
        };
        Arc::clone(permit).try_acquire_owned().map_err(busy)
    }
}
