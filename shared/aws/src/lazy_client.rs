//! An AWS client that connects on its first use. A server without lookups needs no credentials.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tagledger_cloud::{BoxFuture, Cloud, Lookup, LookupResult};
use tagledger_model::{
    Arn,
    inventory::{Gap, GapReason, Scope},
};
use tokio::sync::OnceCell;

use crate::{client::Aws, settings::AwsSettings};

/// A failure to connect is returned for this time without another attempt, because an attempt may take seconds.
const FAILURE_TTL: Duration = Duration::from_secs(10);

/// The time limit of one attempt to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An [`Aws`] client that is created on the first lookup.
#[derive(Debug)]
pub struct LazyAws {
    settings: AwsSettings,
    aws: OnceCell<Aws>,
    last_failure: Mutex<Option<(Instant, Gap)>>,
}

impl LazyAws {
    /// Creates the client. It sends no request and loads no credentials.
    pub fn new(settings: AwsSettings) -> Self {
        Self { settings, aws: OnceCell::new(), last_failure: Mutex::default() }
    }

    async fn connected(&self) -> Result<&Aws, Gap> {
        if let Some(gap) = self.recent_failure() {
            return Err(gap);
        }
        let connected = self.aws.get_or_try_init(|| self.connect()).await;
        connected.inspect_err(|gap| {
            tracing::warn!(%gap, "the connection to AWS failed");
            *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), gap.clone()));
        })
    }

    async fn connect(&self) -> Result<Aws, Gap> {
        let connecting = Box::pin(Aws::connect(self.settings.clone()));
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| {
            let message = format!("STS did not respond within {} seconds", CONNECT_TIMEOUT.as_secs());
            Err(Gap { reason: GapReason::Failed, operation: "sts:GetCallerIdentity".to_owned(), message })
        })
    }

    fn recent_failure(&self) -> Option<Gap> {
        let failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_TTL).map(|(_, gap)| gap.clone())
    }
}

impl Lookup for LazyAws {
    fn look_up<'a>(&'a self, scope: &'a Scope, arns: &'a [Arn], timeout: Duration) -> BoxFuture<'a, Vec<LookupResult>> {
        Box::pin(async move {
            match self.connected().await {
                Ok(aws) => Cloud::look_up(aws, scope, arns, timeout).await,
                Err(gap) => vec![LookupResult::Failed(gap); arns.len()],
            }
        })
    }

    fn locate_buckets<'a>(&'a self, buckets: &'a [Arn]) -> BoxFuture<'a, Result<Vec<(Arn, Scope)>, Gap>> {
        Box::pin(async move { Cloud::locate_buckets(self.connected().await?, buckets).await })
    }
}
