//! How much one caller may ask at once and over time.

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

/// Requests of one caller that may be in hand.
const AT_ONCE: usize = 128;

/// After so many requests, callers that have not asked for long are forgotten: tokens name as many as there are people.
const SWEEP: u64 = 4_096;

/// What each caller has left.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    rate: DefaultKeyedRateLimiter<String>,
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    admitted: AtomicU64,
}

/// Why a caller must wait.
pub(crate) struct RetryAfter {
    pub(crate) why: String,
    pub(crate) seconds: u64,
}

impl RateLimiter {
    /// So many requests a minute and caller, a sixth of them at once.
    pub(crate) fn new(a_minute: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(a_minute.get() / 6).unwrap_or(NonZeroU32::MIN);
        let rate = governor::RateLimiter::keyed(Quota::per_minute(a_minute).allow_burst(burst));
        Self { rate, places: Mutex::default(), admitted: AtomicU64::new(0) }
    }

    fn sweep(&self) {
        self.rate.retain_recent();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, place| place.available_permits() < AT_ONCE);
    }

    /// A place for a request of the caller's, held until it is answered.
    pub(crate) fn admit(&self, caller: &String) -> Result<OwnedSemaphorePermit, RetryAfter> {
        self.rate.check_key(caller).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.rate.clock().now());
            let why = "this key has asked too much in a short time; wait a moment".to_owned();
            RetryAfter { why, seconds: (wait + Duration::from_millis(999)).as_secs().max(1) }
        })?;
        if self.admitted.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.sweep();
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(caller.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
        let busy = |_| RetryAfter { why: format!("{AT_ONCE} requests with this key are in hand already"), seconds: 1 };
        Arc::clone(place).try_acquire_owned().map_err(busy)
    }
}
