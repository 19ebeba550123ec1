//! A fake AWS endpoint for TagLedger's tests.
//!
//! It speaks the wire protocols of the calls that TagLedger makes, with AWS's page sizes, limits and error codes, over
//! an [`Estate`] that is computed rather than stored, so that the truth is known beforehand. [`Faults`] make calls go
//! wrong; a [`Ledger`] keeps what was asked.

mod cell;
mod ec2;
mod ecs;
mod errors;
mod estate;
mod faults;
mod lambda;
mod ledger;
mod limits;
mod organizations;
mod page;
mod rds;
mod s3;
mod samples;
mod server;
mod sts;
mod tagging;
#[cfg(test)]
mod tests;
mod truth;
mod wire;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use axum::{Router, serve::ListenerExt as _};
use tokio::{net::TcpListener, sync::oneshot};

pub use crate::{
    estate::{AccountEstate, Counts, Estate, OptIn, Recipe, RegionEstate, Traps, Trust},
    faults::{Effect, Faults, Rule},
    ledger::{Ledger, Request},
    truth::TruthResource,
};
use crate::{faults::Plan, server::Fake};

/// A running fake. Dropping it stops it.
pub struct FakeAws {
    fake: Arc<Fake>,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl FakeAws {
    /// Starts a fake on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(estate: Estate, faults: Faults) -> io::Result<Self> {
        Self::start_on(0, estate, faults).await
    }

    /// Starts a fake on this port of 127.0.0.1; 0 takes a free one.
    ///
    /// # Errors
    /// When the port cannot be bound.
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

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it holds.
    pub fn estate(&self) -> &Estate {
        &self.fake.estate
    }

    /// The requests answered so far.
    pub fn ledger(&self) -> Ledger {
        self.fake.ledger()
    }

    /// Forgets the requests so far.
    pub fn clear_ledger(&self) {
        self.fake.clear_ledger();
    }

    /// Replaces the fault plan; its counters start anew.
    pub fn set_faults(&self, faults: Faults) {
        *self.fake.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Plan::new(faults));
    }

    /// How often each rule of the current plan took effect, in the order of the rules.
    pub fn fault_hits(&self) -> Vec<u64> {
        self.fake.plan().hits()
    }
}
