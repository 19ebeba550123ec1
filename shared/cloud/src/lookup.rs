//! Lookups of resources by ARN through a trait object.

use std::{future::Future, pin::Pin, time::Duration};

use tagledger_model::{
    Arn,
    inventory::{Gap, Scope},
};

use crate::{interface::Cloud, lookup_result::LookupResult};

/// A future of a trait that is used as a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The lookups of [`Cloud`] as a trait object. It can neither list resources nor query costs.
pub trait Lookup: Send + Sync + 'static {
    /// See [`Cloud::look_up`].
    fn look_up<'a>(&'a self, scope: &'a Scope, arns: &'a [Arn], timeout: Duration) -> BoxFuture<'a, Vec<LookupResult>>;

    /// See [`Cloud::locate_buckets`].
    fn locate_buckets<'a>(&'a self, buckets: &'a [Arn]) -> BoxFuture<'a, Result<Vec<(Arn, Scope)>, Gap>>;
}

impl<C: Cloud> Lookup for C {
    fn look_up<'a>(&'a self, scope: &'a Scope, arns: &'a [Arn], timeout: Duration) -> BoxFuture<'a, Vec<LookupResult>> {
        Box::pin(Cloud::look_up(self, scope, arns, timeout))
    }

    fn locate_buckets<'a>(&'a self, buckets: &'a [Arn]) -> BoxFuture<'a, Result<Vec<(Arn, Scope)>, Gap>> {
        Box::pin(Cloud::locate_buckets(self, buckets))
    }
}
