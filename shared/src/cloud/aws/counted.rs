//! Credentials that are fetched by a request, and counted as one.

use std::sync::Arc;

use aws_credential_types::provider::{ProvideCredentials, future};

use super::session::Shared;

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
        self.shared.count();
        self.provider.provide_credentials()
    }
}
