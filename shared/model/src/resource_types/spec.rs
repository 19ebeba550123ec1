//! The facts of one resource type.

use crate::{
    api::{Operation, RateFamily},
    ids::Arn,
    resource_types::arn_shape::ArnShape,
};

/// Reads the tags of up to 100 resources of any type, if they ever had tags.
pub const GET_RESOURCES: Operation = Operation::new("tag:GetResources", RateFamily::new("tagging", 15, 15));

/// One row: everything that the program knows about a resource type, except its lister.
#[derive(Debug)]
pub struct TypeSpec {
    /// The name in AWS tag policies, such as `ec2:instance`.
    pub name: &'static str,
    /// The form of the ARNs.
    pub arn: ArnShape,
    /// How its tags are read, and their limits.
    pub tags: TagSpec,
    /// Operations that list the resources with their tags. A scan needs these IAM actions.
    pub list_operations: &'static [Operation],
    /// Operations that look up named resources. The server needs these IAM actions for live lookups.
    pub lookup_operations: &'static [Operation],
    /// Operations that replace others that are denied. The IAM policies do not include them.
    pub fallback_operations: &'static [Operation],
    /// The largest number of resources that one lookup request can name.
    pub lookup_batch: usize,
    /// CloudTrail events that record the creation of resources.
    pub created_by: &'static [CreationEvent],
    /// The cost on the bill.
    pub cost: CostSpec,
    /// The names in Terraform.
    pub terraform: TerraformSpec,
    /// The names in Cloud Custodian.
    pub custodian: CustodianSpec,
}

impl TypeSpec {
    /// All operations, each once for each use.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        [self.list_operations, self.lookup_operations, self.fallback_operations].into_iter().flatten().copied()
    }
}

/// How the tags of a resource type are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagSpec {
    /// Where the tags come from.
    pub source: TagSource,
    /// The largest number of characters of a tag key that the service accepts.
    pub max_key_length: usize,
}

/// The response that contains the tags of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagSource {
    /// The response that lists or describes the resource.
    Description,
    /// `tag:GetResources` for many resources, or one request of the service for each resource. A lookup reads only the tags,
    /// not the relationships.
    SeparateRequest,
}

/// A CloudTrail event that records the creation of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreationEvent {
    /// The event name, such as `CreateDBInstance`.
    pub name: &'static str,
    /// The service that emits the event, such as `rds.amazonaws.com`. Several services have events of the same name.
    pub source: &'static str,
    /// The JSON pointer to the ARN or the ID of the created resource. The segment `*` stands for every item of an array.
    pub resource: &'static str,
}

/// The cost of a resource type on the bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostSpec {
    /// The services that bill it, by their names in Cost Explorer. The usual one comes first.
    pub services: &'static [&'static str],
    /// Whether the cost of these services is attributed to this type. True for exactly one type of each service.
    pub represents_services: bool,
    /// How Cost Explorer names a resource in reports by resource.
    pub billed_as: BilledAs,
    /// What a share of a common sum depends on; none if the list does not contain it.
    pub driver: Option<CostDriver>,
}

/// The name of a resource in Cost Explorer reports by resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BilledAs {
    /// Its ARN.
    Arn,
    /// Its ID without region and account.
    Id,
    /// Its name, which is unique in the partition.
    UniqueName,
    /// The ARNs of the tasks that it ran, which do not say which service ran them.
    Tasks,
    /// The bill does not name it.
    Unnamed,
}

impl BilledAs {
    /// Whether the bill says what one resource costs.
    pub const fn names_resource(self) -> bool {
        matches!(self, Self::Arn | Self::Id | Self::UniqueName)
    }
}

/// The usage on which the cost of a resource depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostDriver {
    /// The service that bills the usage, by its name in Cost Explorer.
    pub service: &'static str,
    /// The unit of the usage.
    pub unit: UsageUnit,
    /// How to read the driver, such as `m5.large`, from a usage type, such as `EUW1-BoxUsage:m5.large`. The first rule that
    /// matches decides.
    pub usage_types: &'static [UsageTypeRule],
}

/// The unit in which usage is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageUnit {
    /// Hours in which the resource runs.
    Hours,
    /// Gigabytes for a month.
    GigabyteMonths,
}

/// A rule that reads a cost driver from a usage type. Usage types begin with a region code, which no rule contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageTypeRule {
    /// A usage type that contains this text is not billed for resources of this type.
    Exclude(&'static str),
    /// A usage type with this ending has a driver with a name of its own.
    Ending {
        /// The end of the usage type.
        ending: &'static str,
        /// The driver.
        driver: &'static str,
    },
    /// The driver is the text that follows the marker.
    After {
        /// The text before the driver.
        marker: &'static str,
        /// The driver must begin with this text.
        begins: &'static str,
        /// This text is put in front of the driver.
        prefix: &'static str,
    },
}

impl CostDriver {
    /// The driver of a usage type; none if the usage type is not billed for resources of this type.
    pub fn parse_usage_type(&self, usage_type: &str) -> Option<String> {
        for rule in self.usage_types {
            match rule {
                UsageTypeRule::Exclude(text) if usage_type.contains(text) => return None,
                UsageTypeRule::Ending { ending, driver } if usage_type.ends_with(ending) => {
                    return Some((*driver).to_owned());
                }
                UsageTypeRule::After { marker, begins, prefix } => {
                    let driver = usage_type.split_once(marker).map(|(_, rest)| rest);
                    if let Some(driver) = driver.filter(|driver| driver.starts_with(begins)) {
                        return Some(format!("{prefix}{driver}"));
                    }
                }
                UsageTypeRule::Exclude(_) | UsageTypeRule::Ending { .. } => {}
            }
        }
        None
    }

    /// The most common usage type of a driver, without its region code.
    pub fn usage_type(&self, driver: &str) -> String {
        let marker = self.usage_types.iter().find_map(|rule| match rule {
            UsageTypeRule::After { marker, prefix: "", .. } => Some(*marker),
            _ => None,
        });
        format!("{}{driver}", marker.unwrap_or_default())
    }
}

/// The part of an ARN by which another program names a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identifier {
    /// The whole ARN.
    Arn,
    /// The ID, such as `i-0abc`.
    Id,
}

impl Identifier {
    /// This part of an ARN.
    pub fn select(self, arn: &Arn) -> &str {
        match self {
            Self::Arn => arn.as_str(),
            Self::Id => arn.resource_id(),
        }
    }
}

/// The names of a resource type in Terraform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerraformSpec {
    /// The Terraform type, such as `aws_instance`.
    pub resource: &'static str,
    /// How a tag is written.
    pub tags: TerraformTags,
}

/// How Terraform writes a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerraformTags {
    /// In the `tags` argument of the resource.
    Argument,
    /// As a Terraform resource for each tag.
    Resource {
        /// The Terraform type, such as `aws_ec2_tag`.
        resource: &'static str,
        /// The argument that names the tagged resource.
        argument: &'static str,
        /// The value of that argument.
        identifier: Identifier,
    },
}

/// The names of a resource type in Cloud Custodian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustodianSpec {
    /// The resource, such as `aws.ec2`.
    pub resource: &'static str,
    /// The attribute that identifies one resource, such as `InstanceId`.
    pub attribute: &'static str,
    /// The value of that attribute.
    pub identifier: Identifier,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ResourceType;

    /// Every type is billed by at least one service, and the cost of each service is attributed to exactly one type.
    #[test]
    fn each_service_is_represented_by_one_type() {
        let mut types: BTreeMap<&str, usize> = BTreeMap::new();
        for cost in ResourceType::ALL.iter().map(|kind| &kind.spec().cost) {
            assert!(!cost.services.is_empty());
            for service in cost.services {
                *types.entry(service).or_default() += usize::from(cost.represents_services);
            }
        }
        assert!(types.values().all(|count| *count == 1), "{types:?}");
    }

    /// The service of a cost driver is a service of its type, and its usage types are those that it parses.
    #[test]
    fn cost_drivers_are_consistent() {
        for kind in ResourceType::ALL {
            let Some(driver) = kind.spec().cost.driver else { continue };
            assert!(kind.spec().cost.services.contains(&driver.service), "{kind}");
            let usage_type = format!("EUW1-{}", driver.usage_type("db.m5.large"));
            assert_eq!(driver.parse_usage_type(&usage_type).as_deref(), Some("db.m5.large"), "{kind}");
        }
    }

    /// Tags that need a separate request are read through the Tagging API first.
    #[test]
    fn separate_tag_requests_use_tagging_api() {
        for spec in ResourceType::ALL.iter().map(|kind| kind.spec()) {
            let separate = spec.tags.source == TagSource::SeparateRequest;
            let bulk = spec.list_operations.iter().any(|operation| operation.name == "tag:GetResources");
            assert_eq!(separate, bulk, "{}", spec.name);
        }
    }
}
