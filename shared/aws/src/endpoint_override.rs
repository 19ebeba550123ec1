//! A custom endpoint in place of the AWS endpoints, for tests and emulators.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// Returns the custom endpoint of a service, which is named by its IAM prefix. `None` if the AWS endpoint is used.
pub(crate) fn custom_endpoint(config: &SdkConfig, service: &str) -> Option<String> {
    let id = match service {
        "ce" => "Cost Explorer",
        "ec2" => "EC2",
        "ecs" => "ECS",
        "lambda" => "Lambda",
        "organizations" => "Organizations",
        "rds" => "RDS",
        "s3" => "S3",
        "sts" => "STS",
        "tag" => "Resource Groups Tagging API",
        _ => return config.endpoint_url().map(str::to_owned),
    };
    let key =
        ServiceConfigKey::builder().service_id(id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
    let service_endpoint = config.service_config().and_then(|configured| configured.load_config(key));
    service_endpoint.or_else(|| config.endpoint_url().map(str::to_owned))
}
