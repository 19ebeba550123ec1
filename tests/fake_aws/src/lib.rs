//! A fake AWS endpoint for TagLedger's tests.
//!
//! It implements the wire protocols of the operations that TagLedger calls, with AWS's page sizes, limits and error codes. The
//! resources of an [`Estate`] are computed, not stored, so a test knows the expected result of a scan. [`Faults`] make
//! requests fail, and a [`RequestLog`] records all requests.
//!
//! ```
//! use fake_aws::{AccountEstate, Counts, Effect, Estate, FakeAws, Faults, Recipe, Rule};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let home = AccountEstate::new("111122223333").with_region("eu-west-1", Counts { functions: 120, ..Counts::default() });
//! let estate = Estate::new("111122223333").with_account(home).with_recipe(Recipe::of(&[("Owner", "payments")]));
//! let second_page = Rule::new(Effect::Throttle).service("lambda").operation("ListFunctions").nth(2);
//! let fake = FakeAws::start(estate, Faults::none().with(second_page)).await?;
//! // Point the SDK at `fake.endpoint()` with any static key, scan, and compare with `fake.estate().resources()`.
//! assert_eq!(fake.estate().resources().count(), 120);
//! assert_eq!(fake.request_log().count("lambda", "ListFunctions"), 0);
//! assert_eq!(fake.request_log().unsupported().count(), 0);
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The service and the region of a request come from its signature. Its account is the home account, unless the access key
//! comes from AssumeRole. Signatures are not verified.

mod account_region;
mod cloud_trail;
mod costs;
mod ec2;
mod ecs;
mod errors;
mod estate;
mod expected_resources;
mod faults;
mod lambda;
mod organizations;
mod pagination;
mod prices;
mod protocol;
mod rate_limits;
mod rds;
mod request_log;
mod response_details;
mod s3;
mod sample_estates;
mod server;
mod sts;
mod tagging;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use axum::{Router, serve::ListenerExt as _};
use tokio::{net::TcpListener, sync::oneshot};

pub use crate::{
    costs::{Billing, ExtraLine},
    estate::{AccountEstate, Counts, Estate, OptIn, Recipe, RegionEstate, Traps, Trust},
    expected_resources::ExpectedResource,
    faults::{Effect, Faults, Rule},
    prices::{daily_nano, service_of, volume_size},
    request_log::{Request, RequestLog},
};
use crate::{faults::Plan, server::Fake};

/// A running fake AWS endpoint. It stops when it is dropped.
pub struct FakeAws {
    fake: Arc<Fake>,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl FakeAws {
    /// Starts a fake on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If the port cannot be bound.
    pub async fn start(estate: Estate, faults: Faults) -> io::Result<Self> {
        Self::start_on(0, estate, faults).await
    }

    /// Starts a fake on this port of 127.0.0.1; 0 takes a free one.
    ///
    /// # Errors
    /// If the port cannot be bound.
    pub async fn start_on(port: u16, estate: Estate, faults: Faults) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| {
            stream.set_nodelay(true).ok();
        });
        let fake = Arc::new(Fake::new(estate, Plan::new(faults)));
        let router = Router::new().fallback(server::handle).with_state(Arc::clone(&fake));
        let (stop, stopped) = oneshot::channel::<()>();
        let served = axum::serve(listener, router).with_graceful_shutdown(async {
            stopped.await.ok();
        });
        tokio::spawn(served.into_future());
        Ok(Self { fake, address, _stop: stop })
    }

    /// Turns on token buckets with the rates that AWS publishes.
    #[must_use]
    pub fn with_rate_limits(self) -> Self {
        self.fake.limited.store(true, Ordering::Relaxed);
        self
    }

    /// The URL of the endpoint, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The estate that it serves.
    pub fn estate(&self) -> &Estate {
        &self.fake.estate
    }

    /// The requests answered so far.
    pub fn request_log(&self) -> RequestLog {
        self.fake.request_log()
    }

    /// Clears the request log.
    pub fn clear_request_log(&self) {
        self.fake.clear_request_log();
    }

    /// Replaces the fault plan and resets its counters.
    pub fn set_faults(&self, faults: Faults) {
        *self.fake.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Plan::new(faults));
    }

    /// The number of times that each rule of the current plan was applied, in the order of the rules.
    pub fn fault_hits(&self) -> Vec<u64> {
        self.fake.plan().hits()
    }
}
