//! The EC2 client.

use aws_config::SdkConfig;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};

use crate::wire::query::{
    error::Error,
    request::Request,
    transport::{Call, Transport},
    xml::{Instance, Page, Region, Volume},
};

/// The result of one call.
pub(crate) type Response<T> = Result<T, SdkError<Error, HttpResponse>>;

/// A client for one account and region.
#[derive(Debug)]
pub(crate) struct Client {
    instances: Call<Page<Instance>>,
    regions: Call<Page<Region>>,
    volumes: Call<Page<Volume>>,
}

impl Client {
    /// Creates a client with this SDK configuration.
    pub(crate) fn new(config: &SdkConfig, retries: RetryPartition) -> Self {
        let transport = Transport::new(config, retries);
        Self { instances: transport.call(), regions: transport.call(), volumes: transport.call() }
    }

    /// Sends `DescribeInstances`.
    pub(crate) async fn describe_instances(&self, request: Request) -> Response<Page<Instance>> {
        self.instances.invoke(request).await
    }

    /// Sends `DescribeRegions`, whose response has one page.
    pub(crate) async fn describe_regions(&self, request: Request) -> Response<Page<Region>> {
        self.regions.invoke(request).await
    }

    /// Sends `DescribeVolumes`.
    pub(crate) async fn describe_volumes(&self, request: Request) -> Response<Page<Volume>> {
        self.volumes.invoke(request).await
    }
}
