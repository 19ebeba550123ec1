//! Classifies charges of a bill by service and record type, and maps services to resource types.

use tagledger_model::ResourceType;

/// Services that bill an account or a call, and no resource that carries a tag.
const UNTAGGABLE_SERVICES: &[&str] = &[
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

const SUPPORT_PREFIXES: &[&str] = &["AWS Support", "AWS Premium Support"];

/// The record types of usage. All others are fees, corrections or taxes.
pub(crate) const USAGE_RECORD_TYPES: &[&str] = &["Usage", "DiscountedUsage", "SavingsPlanCoveredUsage"];

const COMMITMENT_RECORD_TYPES: &[&str] = &[
    "RIFee",
    "Recurring",
    "Upfront",
    "Fee",
    "SavingsPlanRecurringFee",
    "SavingsPlanUpfrontFee",
    "SavingsPlanNegation",
];

/// Prefixes of the names of AWS services. All other services on a bill are products of other sellers.
const AWS_NAME_PREFIXES: &[&str] = &[
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

/// The category of a charge. Every charge has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChargeCategory {
    /// Usage of a service whose resources can have tags.
    Usage,
    /// Usage of a service without resources that can have tags.
    Untaggable,
    /// A product of another seller than AWS.
    Marketplace,
    /// Fees of reservations and Savings Plans beyond the usage that they covered.
    Commitment,
    /// AWS Support.
    Support,
    /// Taxes.
    Tax,
    /// Credits, refunds and discounts, which are usually negative.
    Credit,
    /// A record type that this version does not know.
    Other,
}

/// The category of a charge of this service and record type.
pub fn charge_category(service: &str, record_type: &str) -> ChargeCategory {
    match record_type {
        "Tax" => ChargeCategory::Tax,
        "Credit" | "Refund" => ChargeCategory::Credit,
        discount if discount.contains("Discount") && !USAGE_RECORD_TYPES.contains(&discount) => ChargeCategory::Credit,
        _ if record_type == "Support" || SUPPORT_PREFIXES.iter().any(|prefix| service.starts_with(prefix)) => {
            ChargeCategory::Support
        }
        fee if COMMITMENT_RECORD_TYPES.contains(&fee) => ChargeCategory::Commitment,
        usage if USAGE_RECORD_TYPES.contains(&usage) => usage_category(service),
        _ => ChargeCategory::Other,
    }
}

fn usage_category(service: &str) -> ChargeCategory {
    // Models of other vendors are sold through Amazon Bedrock. Their names have a suffix.
    let is_aws = AWS_NAME_PREFIXES.iter().any(|prefix| service.starts_with(prefix))
        && !service.ends_with("(Amazon Bedrock Edition)");
    if UNTAGGABLE_SERVICES.contains(&service) {
        ChargeCategory::Untaggable
    } else if is_aws {
        ChargeCategory::Usage
    } else {
        ChargeCategory::Marketplace
    }
}

/// All tables that decide the category of a line. Another version of the program may have others.
pub(crate) fn classification_tables() -> impl std::fmt::Debug {
    let costs: Vec<_> = ResourceType::ALL.iter().map(|kind| (kind.as_str(), kind.spec().cost)).collect();
    (costs, UNTAGGABLE_SERVICES, USAGE_RECORD_TYPES, COMMITMENT_RECORD_TYPES, SUPPORT_PREFIXES, AWS_NAME_PREFIXES)
}

/// The services that bill inventoried resources.
pub(crate) fn inventoried_services() -> impl Iterator<Item = &'static str> {
    let represented = ResourceType::ALL.iter().map(|kind| &kind.spec().cost).filter(|cost| cost.represents_services);
    represented.flat_map(|cost| cost.services).copied()
}

/// The resource types that a service bills, that to which its cost is attributed first. None if the service is not
/// inventoried.
pub fn resource_types_of(service: &str) -> impl Iterator<Item = ResourceType> {
    let billed = move |kind: &ResourceType| kind.spec().cost.services.contains(&service);
    let (first, others): (Vec<_>, Vec<_>) =
        ResourceType::ALL.iter().copied().filter(billed).partition(|kind| kind.spec().cost.represents_services);
    first.into_iter().chain(others)
}

/// The services that bill a resource type, the usual one first.
pub fn services_of(resource_type: ResourceType) -> impl Iterator<Item = &'static str> {
    resource_type.spec().cost.services.iter().copied()
}

#[cfg(test)]
mod tests {
    use tagledger_model::ResourceType;

    use super::*;

    /// Every supported resource type belongs to at least one service name of the AWS bill.
    #[test]
    fn every_resource_type_has_billing_service() {
        for resource_type in ResourceType::ALL {
            assert!(services_of(*resource_type).next().is_some(), "{resource_type}");
        }
    }

    /// Each pair of service and record type maps to the expected charge category, such as usage, commitment, credit,
    /// tax, support or marketplace.
    #[test]
    fn service_and_record_type_give_category() {
        for (service, record_type, expected) in [
            ("Amazon Elastic Compute Cloud - Compute", "Usage", ChargeCategory::Usage),
            ("Amazon Elastic Compute Cloud - Compute", "SavingsPlanCoveredUsage", ChargeCategory::Usage),
            ("Amazon Elastic Compute Cloud - Compute", "DiscountedUsage", ChargeCategory::Usage),
            ("Amazon Elastic Compute Cloud - Compute", "SavingsPlanNegation", ChargeCategory::Commitment),
            ("Amazon Elastic Compute Cloud - Compute", "RIFee", ChargeCategory::Commitment),
            ("Amazon Elastic Compute Cloud - Compute", "Credit", ChargeCategory::Credit),
            ("Amazon Elastic Compute Cloud - Compute", "Tax", ChargeCategory::Tax),
            ("Amazon DynamoDB", "Enterprise Discount Program Discount", ChargeCategory::Credit),
            ("Savings Plans for AWS Compute usage", "SavingsPlanRecurringFee", ChargeCategory::Commitment),
            ("AWS Support (Business)", "Usage", ChargeCategory::Support),
            ("AWS Support (Enterprise)", "Support", ChargeCategory::Support),
            ("Tax", "Tax", ChargeCategory::Tax),
            ("AWS Cost Explorer", "Usage", ChargeCategory::Untaggable),
            ("AmazonCloudWatch", "Usage", ChargeCategory::Usage),
            ("Datadog Pro", "Usage", ChargeCategory::Marketplace),
            ("Claude Opus (Amazon Bedrock Edition)", "Usage", ChargeCategory::Marketplace),
            ("Amazon Elastic Compute Cloud - Compute", "Other out-of-cycle charges", ChargeCategory::Other),
        ] {
            assert_eq!(charge_category(service, record_type), expected, "{service} {record_type}");
        }
    }
}
