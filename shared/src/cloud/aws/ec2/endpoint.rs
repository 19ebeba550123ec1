//! Where EC2 is: the rules of the SDK's own crate for it.

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::endpoint::{
    EndpointFuture, EndpointResolverParams, ResolveEndpoint, error::ResolveEndpointError,
};
use aws_smithy_types::endpoint::Endpoint;

use super::super::config;

/// The domains of one of AWS's partitions.
struct Domains {
    /// What the names of its regions begin with.
    regions: &'static str,
    plain: &'static str,
    /// Those that are also reached by IPv6.
    dual_stack: &'static str,
}

/// Every partition but the commercial one, to which all other regions belong. All have FIPS and dual-stack endpoints.
const PARTITIONS: [Domains; 7] = [
    Domains { regions: "cn-", plain: "amazonaws.com.cn", dual_stack: "api.amazonwebservices.com.cn" },
    Domains { regions: "eu-isoe-", plain: "cloud.adc-e.uk", dual_stack: "api.cloud-aws.adc-e.uk" },
    Domains { regions: "eusc-", plain: "amazonaws.eu", dual_stack: "api.amazonwebservices.eu" },
    Domains { regions: GOV_CLOUD, plain: COMMERCIAL.plain, dual_stack: COMMERCIAL.dual_stack },
    Domains { regions: "us-iso-", plain: "c2s.ic.gov", dual_stack: "api.aws.ic.gov" },
    Domains { regions: "us-isob-", plain: "sc2s.sgov.gov", dual_stack: "api.aws.scloud" },
    Domains { regions: "us-isof-", plain: "csp.hci.ic.gov", dual_stack: "api.aws.hci.ic.gov" },
];

const COMMERCIAL: Domains = Domains { regions: "", plain: "amazonaws.com", dual_stack: "api.aws" };

const GOV_CLOUD: &str = "us-gov-";

/// The one endpoint of a client, or why there is none.
#[derive(Debug)]
pub(super) struct Resolved(Result<Endpoint, &'static str>);

impl Resolved {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self(url(config).map(|url| Endpoint::builder().url(url).build()))
    }
}

impl ResolveEndpoint for Resolved {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        let endpoint = self.0.clone();
        EndpointFuture::ready(endpoint.map_err(|reason| ResolveEndpointError::message(reason).into()))
    }
}

fn url(config: &SdkConfig) -> Result<String, &'static str> {
    let fips = config.use_fips().unwrap_or_default();
    let dual_stack = config.use_dual_stack().unwrap_or_default();
    match config::endpoint(config, "ec2") {
        Some(_) if fips => Err("an endpoint of one's own cannot be a FIPS one: unset AWS_USE_FIPS_ENDPOINT or \
                                AWS_ENDPOINT_URL"),
        Some(_) if dual_stack => Err("an endpoint of one's own cannot be a dual-stack one: unset \
                                      AWS_USE_DUALSTACK_ENDPOINT or AWS_ENDPOINT_URL"),
        Some(url) => Ok(url),
        None => {
            let region = config.region().ok_or("no region is configured: set AWS_REGION")?;
            Ok(own(region.as_ref(), fips, dual_stack))
        }
    }
}

/// AWS's own endpoint.
fn own(region: &str, fips: bool, dual_stack: bool) -> String {
    let partition = PARTITIONS.iter().find(|partition| region.starts_with(partition.regions)).unwrap_or(&COMMERCIAL);
    // GovCloud's plain endpoints are FIPS ones already, and have no others.
    let host = if fips && (dual_stack || partition.regions != GOV_CLOUD) { "ec2-fips" } else { "ec2" };
    let domain = if dual_stack { partition.dual_stack } else { partition.plain };
    format!("https://{host}.{region}.{domain}")
}

#[cfg(test)]
mod tests {
    use aws_types::region::Region;

    use super::*;

    /// From the endpoint tests of the SDK's own crate for EC2.
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
        // Not among those tests; from the partition's domain.
        ("eusc-de-east-1", false, false, "https://ec2.eusc-de-east-1.amazonaws.eu"),
    ];

    #[test]
    fn every_partition_has_the_endpoints_that_aws_publishes() {
        for (region, fips, dual_stack, expected) in PUBLISHED {
            let config = SdkConfig::builder().region(Region::new(region)).use_fips(fips).use_dual_stack(dual_stack);
            assert_eq!(url(&config.build()).unwrap(), expected, "fips {fips}, dual-stack {dual_stack}");
        }
    }

    #[test]
    fn a_configured_endpoint_goes_first_and_alone() {
        let config = || SdkConfig::builder().region(Region::new("eu-west-1")).endpoint_url("http://127.0.0.1:5000/x");
        assert_eq!(url(&config().build()).unwrap(), "http://127.0.0.1:5000/x");
        assert!(url(&config().use_fips(true).build()).unwrap_err().contains("AWS_USE_FIPS_ENDPOINT"));
        assert!(url(&config().use_dual_stack(true).build()).unwrap_err().contains("AWS_USE_DUALSTACK_ENDPOINT"));
        assert_eq!(url(&config().use_fips(false).use_dual_stack(false).build()).unwrap(), "http://127.0.0.1:5000/x");
    }

    #[test]
    fn without_a_region_there_is_no_endpoint() {
        assert!(url(&SdkConfig::builder().build()).unwrap_err().contains("AWS_REGION"));
    }
}
