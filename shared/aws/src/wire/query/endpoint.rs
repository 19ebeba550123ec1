//! The endpoints of EC2, by the rules of the SDK's crate for EC2.

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::endpoint::{
    EndpointFuture, EndpointResolverParams, ResolveEndpoint, error::ResolveEndpointError,
};
use aws_smithy_types::endpoint::Endpoint;

use crate::endpoint_override;

/// The DNS suffixes of one partition.
struct PartitionDomains {
    /// The prefix of the names of its regions.
    region_prefix: &'static str,
    ipv4: &'static str,
    /// The suffix of endpoints that support IPv4 and IPv6.
    dual_stack: &'static str,
}

/// All partitions except the commercial one, which has all other regions. All have FIPS and dual-stack endpoints.
const PARTITIONS: [PartitionDomains; 7] = [
    PartitionDomains { region_prefix: "cn-", ipv4: "amazonaws.com.cn", dual_stack: "api.amazonwebservices.com.cn" },
    PartitionDomains { region_prefix: "eu-isoe-", ipv4: "cloud.adc-e.uk", dual_stack: "api.cloud-aws.adc-e.uk" },
    PartitionDomains { region_prefix: "eusc-", ipv4: "amazonaws.eu", dual_stack: "api.amazonwebservices.eu" },
    PartitionDomains { region_prefix: GOV_CLOUD, ipv4: COMMERCIAL.ipv4, dual_stack: COMMERCIAL.dual_stack },
    PartitionDomains { region_prefix: "us-iso-", ipv4: "c2s.ic.gov", dual_stack: "api.aws.ic.gov" },
    PartitionDomains { region_prefix: "us-isob-", ipv4: "sc2s.sgov.gov", dual_stack: "api.aws.scloud" },
    PartitionDomains { region_prefix: "us-isof-", ipv4: "csp.hci.ic.gov", dual_stack: "api.aws.hci.ic.gov" },
];

const COMMERCIAL: PartitionDomains =
    PartitionDomains { region_prefix: "", ipv4: "amazonaws.com", dual_stack: "api.aws" };

const GOV_CLOUD: &str = "us-gov-";

/// A resolver with the one endpoint of a client, or the reason why there is none.
#[derive(Debug)]
pub(crate) struct EndpointResolver(Result<Endpoint, &'static str>);

impl EndpointResolver {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self(endpoint_url(config).map(|url| Endpoint::builder().url(url).build()))
    }
}

impl ResolveEndpoint for EndpointResolver {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        let endpoint = self.0.clone();
        EndpointFuture::ready(endpoint.map_err(|reason| ResolveEndpointError::message(reason).into()))
    }
}

fn endpoint_url(config: &SdkConfig) -> Result<String, &'static str> {
    let fips = config.use_fips().unwrap_or_default();
    let dual_stack = config.use_dual_stack().unwrap_or_default();
    match endpoint_override::custom_endpoint(config, "ec2") {
        Some(_) if fips => {
            Err("a custom endpoint cannot be combined with FIPS endpoints: unset AWS_USE_FIPS_ENDPOINT or \
                                AWS_ENDPOINT_URL")
        }
        Some(_) if dual_stack => Err("a custom endpoint cannot be combined with dual-stack endpoints: unset \
                                      AWS_USE_DUALSTACK_ENDPOINT or AWS_ENDPOINT_URL"),
        Some(url) => Ok(url),
        None => {
            let region = config.region().ok_or("no region is configured: set AWS_REGION")?;
            Ok(aws_endpoint(region.as_ref(), fips, dual_stack))
        }
    }
}

/// Returns the AWS endpoint of a region.
fn aws_endpoint(region: &str, fips: bool, dual_stack: bool) -> String {
    let partition =
        PARTITIONS.iter().find(|partition| region.starts_with(partition.region_prefix)).unwrap_or(&COMMERCIAL);
    // The IPv4 endpoints of GovCloud are FIPS endpoints, so there are no others.
    let host = if fips && (dual_stack || partition.region_prefix != GOV_CLOUD) { "ec2-fips" } else { "ec2" };
    let domain = if dual_stack { partition.dual_stack } else { partition.ipv4 };
    format!("https://{host}.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use aws_types::region::Region;

    use super::*;

    /// The endpoints in the tests of the SDK's crate for EC2.
    const PUBLISHED: [(&str, bool, bool, &str); 23] = [
        ("us-east-1", false, false, "https://ec2.us-east-1.amazonaws.com"),
        ("us-east-1", true, false, "https://ec2-fips.us-east-1.amazonaws.com"),
        ("us-east-1", false, true, "https://ec2.us-east-1.api.aws"),
        ("us-east-1", true, true, "https://ec2-fips.us-east-1.api.aws"),
        ("af-south-1", false, false, "https://ec2.af-south-1.amazonaws.com"),
        ("eu-west-1", false, true, "https://ec2.eu-west-1.api.aws"),
        ("ca-central-1", true, false, "https://ec2-fips.ca-central-1.amazonaws.com"),
        ("cn-north-1", false, false, "https://ec2.cn-north-1.amazonaws.com.cn"),
        ("cn-northwest-1", false, false, "https://ec2.cn-northwest-1.amazonaws.com.cn"),
        ("cn-north-1", true, false, "https://ec2-fips.cn-north-1.amazonaws.com.cn"),
        ("cn-north-1", false, true, "https://ec2.cn-north-1.api.amazonwebservices.com.cn"),
        ("cn-north-1", true, true, "https://ec2-fips.cn-north-1.api.amazonwebservices.com.cn"),
        ("us-gov-east-1", false, false, "https://ec2.us-gov-east-1.amazonaws.com"),
        ("us-gov-west-1", false, false, "https://ec2.us-gov-west-1.amazonaws.com"),
        ("us-gov-east-1", true, false, "https://ec2.us-gov-east-1.amazonaws.com"),
        ("us-gov-east-1", false, true, "https://ec2.us-gov-east-1.api.aws"),
        ("us-gov-east-1", true, true, "https://ec2-fips.us-gov-east-1.api.aws"),
        ("us-iso-east-1", false, false, "https://ec2.us-iso-east-1.c2s.ic.gov"),
        ("us-iso-west-1", false, false, "https://ec2.us-iso-west-1.c2s.ic.gov"),
        ("us-iso-east-1", true, false, "https://ec2-fips.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", false, false, "https://ec2.us-isob-east-1.sc2s.sgov.gov"),
        ("us-isob-east-1", true, false, "https://ec2-fips.us-isob-east-1.sc2s.sgov.gov"),
        // This one is not in those tests. It follows from the domain of the partition.
        ("eusc-de-east-1", false, false, "https://ec2.eusc-de-east-1.amazonaws.eu"),
    ];

    /// The EC2 endpoint of each partition, with and without FIPS and dual-stack, equals the one that AWS publishes.
    #[test]
    fn endpoints_match_aws_in_every_partition() {
        for (region, fips, dual_stack, expected) in PUBLISHED {
            let config = SdkConfig::builder().region(Region::new(region)).use_fips(fips).use_dual_stack(dual_stack);
            assert_eq!(endpoint_url(&config.build()).unwrap(), expected, "fips {fips}, dual-stack {dual_stack}");
        }
    }

    /// A configured endpoint URL takes precedence over the derived one. It cannot be combined with FIPS or dual-stack
    /// endpoints.
    #[test]
    fn custom_endpoint_excludes_fips_and_dual_stack() {
        let config = || SdkConfig::builder().region(Region::new("eu-west-1")).endpoint_url("http://127.0.0.1:5000/x");
        assert_eq!(endpoint_url(&config().build()).unwrap(), "http://127.0.0.1:5000/x");
        assert!(endpoint_url(&config().use_fips(true).build()).unwrap_err().contains("AWS_USE_FIPS_ENDPOINT"));
        assert!(
            endpoint_url(&config().use_dual_stack(true).build()).unwrap_err().contains("AWS_USE_DUALSTACK_ENDPOINT")
        );
        assert_eq!(
            endpoint_url(&config().use_fips(false).use_dual_stack(false).build()).unwrap(),
            "http://127.0.0.1:5000/x"
        );
    }

    /// Without a region there is no endpoint, and the error names `AWS_REGION`.
    #[test]
    fn missing_region_is_endpoint_error() {
        assert!(endpoint_url(&SdkConfig::builder().build()).unwrap_err().contains("AWS_REGION"));
    }
}
