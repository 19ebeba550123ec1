//! The three calls of EC2 that are made, over the same runtime as the generated clients.
//!
//! The SDK's own crate for EC2 has 700 operations in 1.2 million lines, and takes more memory to compile than all else
//! together. What is left of it here is what is specific to a service: where it is ([`endpoint`]), what is asked
//! ([`Request`]), what the answer means ([`answer`]) and how a refusal looks ([`error`]). Credentials, signatures,
//! retries, timeouts and connections are the SDK's ([`transport`]).

use aws_config::SdkConfig;
use aws_smithy_query::QueryWriter;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};

use self::transport::{Call, Transport};
pub(super) use self::{
    answer::{Instance, Page, Region, Volume},
    error::Error,
};

mod answer;
mod endpoint;
mod error;
mod transport;

/// The version of EC2's API that requests and answers are of.
const API_VERSION: &str = "2016-11-15";

type Answered<T> = Result<T, SdkError<Error, HttpResponse>>;

/// A client for one account in one region.
#[derive(Debug)]
pub(super) struct Client {
    instances: Call<Page<Instance>>,
    regions: Call<Page<Region>>,
    volumes: Call<Page<Volume>>,
}

impl Client {
    pub(super) fn new(config: &SdkConfig, retries: RetryPartition) -> Self {
        let transport = Transport::new(config, retries);
        Self { instances: transport.call(), regions: transport.call(), volumes: transport.call() }
    }

    /// Sends `DescribeInstances`.
    pub(super) async fn describe_instances(&self, request: Request) -> Answered<Page<Instance>> {
        self.instances.invoke(request).await
    }

    /// Sends `DescribeRegions`, which has one page.
    pub(super) async fn describe_regions(&self, request: Request) -> Answered<Page<Region>> {
        self.regions.invoke(request).await
    }

    /// Sends `DescribeVolumes`.
    pub(super) async fn describe_volumes(&self, request: Request) -> Answered<Page<Volume>> {
        self.volumes.invoke(request).await
    }
}

/// The parameters of a call, in the order in which they were set.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    parameters: Vec<(String, String)>,
    filters: usize,
}

impl Request {
    /// Also names the regions that the account has not enabled.
    pub(super) fn all_regions(self) -> Self {
        self.with("AllRegions", "true")
    }

    /// Keeps what has one of these values.
    pub(super) fn filter(mut self, name: &str, values: &[&str]) -> Self {
        self.filters += 1;
        let filter = format!("Filter.{}", self.filters);
        let named = self.with(&format!("{filter}.Name"), name);
        let values = values.iter().zip(1..);
        values.fold(named, |request, (value, index): (_, u32)| request.with(&format!("{filter}.Value.{index}"), value))
    }

    /// Also lists what AWS services keep in the account.
    pub(super) fn include_managed_resources(self) -> Self {
        self.with("IncludeManagedResources", "true")
    }

    /// At most this many items on a page.
    pub(super) fn max_results(self, most: u32) -> Self {
        self.with("MaxResults", &most.to_string())
    }

    /// The page of that token, the first when none.
    pub(super) fn next_token(self, token: Option<String>) -> Self {
        match token {
            Some(token) => self.with("NextToken", &token),
            None => self,
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The form that is posted.
    fn form(&self, action: &str) -> String {
        let mut form = String::new();
        let mut writer = QueryWriter::new(&mut form, action, API_VERSION);
        for (name, value) in &self.parameters {
            writer.prefix(name).string(value);
        }
        writer.finish();
        form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_form_encoded() {
        let request = Request::default()
            .filter("instance-state-name", &["pending", "stopped"])
            .filter("tag:Cost Center", &["a&b=c/é+ü"])
            .max_results(1000)
            .include_managed_resources()
            .next_token(Some("eyJ2==/+".to_owned()));
        assert_eq!(
            request.form("DescribeInstances"),
            "Action=DescribeInstances&Version=2016-11-15\
             &Filter.1.Name=instance-state-name&Filter.1.Value.1=pending&Filter.1.Value.2=stopped\
             &Filter.2.Name=tag%3ACost%20Center&Filter.2.Value.1=a%26b%3Dc%2F%C3%A9%2B%C3%BC\
             &MaxResults=1000&IncludeManagedResources=true&NextToken=eyJ2%3D%3D%2F%2B"
        );
    }

    #[test]
    fn a_call_without_parameters_has_its_action_and_version() {
        let form = Request::default().next_token(None).form("DescribeRegions");
        assert_eq!(form, "Action=DescribeRegions&Version=2016-11-15");
        let all = Request::default().all_regions().form("DescribeRegions");
        assert_eq!(all, "Action=DescribeRegions&Version=2016-11-15&AllRegions=true");
    }
}
