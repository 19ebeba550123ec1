//! AWS for those who may never ask it: connected when the first question comes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::OnceCell;

use super::{Aws, AwsSettings};
use crate::{
    Arn,
    cloud::{Cloud, Look, Looked, Pending},
    inventory::{Gap, GapReason, Scope},
};

/// For how long a failure to connect is told again without another try: credentials may take a while to be refused.
const FAILURE_MEMORY: Duration = Duration::from_secs(10);

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// AWS, as one caller sees it, once somebody asks.
#[derive(Debug)]
pub struct OnDemand {
    settings: AwsSettings,
    aws: OnceCell<Aws>,
    failed: Mutex<Option<(Instant, Gap)>>,
}

impl OnDemand {
    /// Nothing is asked yet, and no credentials are needed.
    pub fn new(settings: AwsSettings) -> Self {
        Self { settings, aws: OnceCell::new(), failed: Mutex::default() }
    }

    async fn connected(&self) -> Result<&Aws, Gap> {
        if let Some(gap) = self.failed_lately() {
            return Err(gap);
        }
        let connected = self.aws.get_or_try_init(|| self.connect()).await;
        connected.inspect_err(|gap| {
            tracing::warn!(%gap, "AWS cannot be asked");
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), gap.clone()));
        })
    }

    async fn connect(&self) -> Result<Aws, Gap> {
        let connecting = Box::pin(Aws::connect(self.settings.clone()));
        tokio::time::timeout(PATIENCE, connecting).await.unwrap_or_else(|_| {
            let message = format!("STS did not answer within {} seconds", PATIENCE.as_secs());
            Err(Gap { reason: GapReason::Failed, operation: "sts:GetCallerIdentity".to_owned(), message })
        })
    }

    fn failed_lately(&self) -> Option<Gap> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_MEMORY).map(|(_, gap)| gap.clone())
    }
}

impl Look for OnDemand {
    fn look<'a>(&'a self, scope: &'a Scope, arns: &'a [Arn], patience: Duration) -> Pending<'a, Vec<Looked>> {
        Box::pin(async move {
            match self.connected().await {
                Ok(aws) => Cloud::look(aws, scope, arns, patience).await,
                Err(gap) => vec![Looked::Unread(gap); arns.len()],
            }
        })
    }

    fn locate<'a>(&'a self, buckets: &'a [Arn]) -> Pending<'a, Result<Vec<(Arn, Scope)>, Gap>> {
        Box::pin(async move { Cloud::locate(self.connected().await?, buckets).await })
    }
}
