//! What the lines of a bill are: which service sells which resources, and which charges no tag can attribute.

use crate::ResourceType;

/// Instances by the hour.
pub(super) const EC2: &str = "Amazon Elastic Compute Cloud - Compute";

/// Volumes, and what else EC2 sells.
pub(super) const EC2_OTHER: &str = "EC2 - Other";

/// Databases, but for those with services of their own.
pub(super) const RDS: &str = "Amazon Relational Database Service";

/// Services as Cost Explorer names them, and the resource types that they sell, that which carries the cost first.
const SERVICES: &[(&str, &[ResourceType])] = &[
    (EC2, &[ResourceType::Ec2Instance]),
    (EC2_OTHER, &[ResourceType::Ec2Volume]),
    (RDS, &[ResourceType::RdsDb, ResourceType::RdsCluster]),
    ("Amazon Neptune", &[ResourceType::RdsDb, ResourceType::RdsCluster]),
    ("Amazon DocumentDB (with MongoDB compatibility)", &[ResourceType::RdsDb, ResourceType::RdsCluster]),
    ("Amazon Simple Storage Service", &[ResourceType::S3Bucket]),
    ("AWS Lambda", &[ResourceType::LambdaFunction]),
    ("Amazon Elastic Container Service", &[ResourceType::EcsService, ResourceType::EcsCluster]),
];

/// Services that bill an account or a call, and no resource that carries a tag.
const UNTAGGABLE: &[&str] = &[
    "AWS CloudTrail",
    "AWS Config",
    "AWS Cost Explorer",
    "AWS Data Transfer",
    "AWS Security Hub",
    "AWS X-Ray",
    "Amazon Comprehend",
    "Amazon GuardDuty",
    "Amazon Inspector",
    "Amazon Macie",
    "Amazon Polly",
    "Amazon Registrar",
    "Amazon Rekognition",
    "Amazon Textract",
    "Amazon Transcribe",
    "Amazon Translate",
];

const SUPPORT: &[&str] = &["AWS Support", "AWS Premium Support"];

/// Kinds of charge that are for something used. Everything else is a fee, a correction or a tax.
pub(super) const USAGE: &[&str] = &["Usage", "DiscountedUsage", "SavingsPlanCoveredUsage"];

const COMMITMENTS: &[&str] = &[
    "RIFee",
    "Recurring",
    "Upfront",
    "Fee",
    "SavingsPlanRecurringFee",
    "SavingsPlanUpfrontFee",
    "SavingsPlanNegation",
];

/// How AWS's own services begin; everything else on a bill is sold by others.
const OWN_NAMES: &[&str] = &[
    "Amazon",
    "AWS",
    "CloudWatch Events",
    "CodeBuild",
    "Contact Center Telecommunications",
    "Contact Lens for Amazon Connect",
    "DynamoDB Accelerator",
    "EC2 - Other",
    "Savings Plans for ",
];

/// What a line of a bill is; every line is exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Charge {
    /// Use of a service whose resources carry tags.
    Usage,
    /// Use of a service that sells nothing that carries a tag.
    Untaggable,
    /// Sold by others than AWS.
    Marketplace,
    /// What reservations and savings plans cost beyond what they covered.
    Commitment,
    /// AWS Support.
    Support,
    /// Taxes.
    Tax,
    /// Credits, refunds and discounts; mostly negative.
    Credit,
    /// A kind of charge that this build does not know.
    Other,
}

/// What a line of this service and record type is.
pub fn charge(service: &str, record_type: &str) -> Charge {
    match record_type {
        "Tax" => Charge::Tax,
        "Credit" | "Refund" => Charge::Credit,
        discount if discount.contains("Discount") && !USAGE.contains(&discount) => Charge::Credit,
        _ if record_type == "Support" || SUPPORT.iter().any(|start| service.starts_with(start)) => Charge::Support,
        fee if COMMITMENTS.contains(&fee) => Charge::Commitment,
        usage if USAGE.contains(&usage) => usage_of(service),
        _ => Charge::Other,
    }
}

fn usage_of(service: &str) -> Charge {
    // Models of others are sold through an AWS service, and say so at the end of their names.
    let own =
        OWN_NAMES.iter().any(|start| service.starts_with(start)) && !service.ends_with("(Amazon Bedrock Edition)");
    if UNTAGGABLE.contains(&service) {
        Charge::Untaggable
    } else if own {
        Charge::Usage
    } else {
        Charge::Marketplace
    }
}

/// All that decides what lines are: another build may decide otherwise.
pub(super) fn tables() -> impl std::fmt::Debug {
    (SERVICES, UNTAGGABLE, USAGE, COMMITMENTS, SUPPORT, OWN_NAMES)
}

/// Services that sell inventoried resources.
pub(super) fn services() -> impl Iterator<Item = &'static str> {
    SERVICES.iter().map(|(name, _)| *name)
}

/// The resource types that a service sells, that which carries its cost first; none of a service that is not inventoried.
pub fn types_of(service: &str) -> &'static [ResourceType] {
    SERVICES.iter().find(|(name, _)| *name == service).map_or(&[], |(_, types)| types)
}

/// The services that sell a resource type.
pub fn service_of(resource_type: ResourceType) -> impl Iterator<Item = &'static str> {
    SERVICES.iter().filter(move |(_, types)| types.contains(&resource_type)).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_type_is_sold_by_some_service() {
        for resource_type in ResourceType::ALL {
            assert!(service_of(*resource_type).next().is_some(), "{resource_type}");
        }
    }

    #[test]
    fn every_line_is_one_kind_of_charge() {
        for (service, record_type, expected) in [
            ("Amazon Elastic Compute Cloud - Compute", "Usage", Charge::Usage),
            ("Amazon Elastic Compute Cloud - Compute", "SavingsPlanCoveredUsage", Charge::Usage),
            ("Amazon Elastic Compute Cloud - Compute", "DiscountedUsage", Charge::Usage),
            ("Amazon Elastic Compute Cloud - Compute", "SavingsPlanNegation", Charge::Commitment),
            ("Amazon Elastic Compute Cloud - Compute", "RIFee", Charge::Commitment),
            ("Amazon Elastic Compute Cloud - Compute", "Credit", Charge::Credit),
            ("Amazon Elastic Compute Cloud - Compute", "Tax", Charge::Tax),
            ("Amazon DynamoDB", "Enterprise Discount Program Discount", Charge::Credit),
            ("Savings Plans for AWS Compute usage", "SavingsPlanRecurringFee", Charge::Commitment),
            ("AWS Support (Business)", "Usage", Charge::Support),
            ("AWS Support (Enterprise)", "Support", Charge::Support),
            ("Tax", "Tax", Charge::Tax),
            ("AWS Cost Explorer", "Usage", Charge::Untaggable),
            ("AmazonCloudWatch", "Usage", Charge::Usage),
            ("Datadog Pro", "Usage", Charge::Marketplace),
            ("Claude Opus (Amazon Bedrock Edition)", "Usage", Charge::Marketplace),
            ("Amazon Elastic Compute Cloud - Compute", "Other out-of-cycle charges", Charge::Other),
        ] {
            assert_eq!(charge(service, record_type), expected, "{service} {record_type}");
        }
    }
}
