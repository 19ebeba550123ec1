//! EC2 and EBS.

use crate::{
    api::{Operation, RateFamily},
    resource_types::{
        arn_shape::{ArnScope, ArnShape, CanonicalForm, IdChars, IdSource},
        spec::{
            BilledAs, CostDriver, CostSpec, CreationEvent, CustodianSpec, Identifier, TagSource, TagSpec,
            TerraformSpec, TerraformTags, TypeSpec, UsageTypeRule, UsageUnit,
        },
    },
};

/// Lists and looks up instances. EC2 limits each operation separately; this is the bucket of requests with pages or filters.
pub const DESCRIBE_INSTANCES: Operation =
    Operation::new("ec2:DescribeInstances", RateFamily::new("ec2 instances", 20, 100));

/// Lists and looks up volumes.
pub const DESCRIBE_VOLUMES: Operation = Operation::new("ec2:DescribeVolumes", RateFamily::new("ec2 volumes", 20, 100));

/// EC2 accepts one character less in a key than other services.
const TAGS: TagSpec = TagSpec { source: TagSource::Description, max_key_length: 127 };

const TERRAFORM_TAGS: TerraformTags =
    TerraformTags::Resource { resource: "aws_ec2_tag", argument: "resource_id", identifier: Identifier::Id };

/// Lookups use a filter, because it ignores IDs that do not exist. A request with a list of IDs fails because of one such ID.
const MAX_FILTER_VALUES: usize = 100;

const fn arn(resource: &'static str) -> ArnShape {
    ArnShape {
        service: "ec2",
        resource,
        scope: ArnScope::Regional,
        id: IdSource::Aws,
        id_chars: IdChars::with("-"),
        canonical: CanonicalForm::Unchanged,
        mistakes: &[],
    }
}

const fn hours_after(marker: &'static str) -> UsageTypeRule {
    UsageTypeRule::After { marker, begins: "", prefix: "" }
}

/// `ec2:instance`
pub const INSTANCE: TypeSpec = TypeSpec {
    name: "ec2:instance",
    arn: arn("instance/i-{instance}"),
    tags: TAGS,
    list_operations: &[DESCRIBE_INSTANCES],
    lookup_operations: &[DESCRIBE_INSTANCES],
    fallback_operations: &[],
    lookup_batch: MAX_FILTER_VALUES,
    created_by: &[CreationEvent {
        name: "RunInstances",
        source: "ec2.amazonaws.com",
        resource: "/responseElements/instancesSet/items/*/instanceId",
    }],
    cost: CostSpec {
        services: &["Amazon Elastic Compute Cloud - Compute"],
        represents_services: true,
        billed_as: BilledAs::Id,
        driver: Some(CostDriver {
            service: "Amazon Elastic Compute Cloud - Compute",
            unit: UsageUnit::Hours,
            usage_types: &[
                // A dedicated host is billed as a whole. Instances on it cost nothing more.
                UsageTypeRule::Exclude("HostBoxUsage"),
                UsageTypeRule::Exclude("HostUsage"),
                hours_after("BoxUsage:"),
                hours_after("SpotUsage:"),
                hours_after("DedicatedUsage:"),
            ],
        }),
    },
    terraform: TerraformSpec { resource: "aws_instance", tags: TERRAFORM_TAGS },
    custodian: CustodianSpec { resource: "aws.ec2", attribute: "InstanceId", identifier: Identifier::Id },
};

/// `ec2:volume`
pub const VOLUME: TypeSpec = TypeSpec {
    name: "ec2:volume",
    arn: arn("volume/vol-{volume}"),
    tags: TAGS,
    list_operations: &[DESCRIBE_VOLUMES],
    lookup_operations: &[DESCRIBE_VOLUMES],
    fallback_operations: &[],
    lookup_batch: MAX_FILTER_VALUES,
    // A volume that was created with an instance has no event of its own.
    created_by: &[CreationEvent {
        name: "CreateVolume",
        source: "ec2.amazonaws.com",
        resource: "/responseElements/volumeId",
    }],
    cost: CostSpec {
        services: &["EC2 - Other"],
        represents_services: true,
        billed_as: BilledAs::Id,
        driver: Some(CostDriver {
            service: "EC2 - Other",
            unit: UsageUnit::GigabyteMonths,
            usage_types: &[
                UsageTypeRule::Ending { ending: "EBS:VolumeUsage", driver: "standard" },
                UsageTypeRule::Ending { ending: "EBS:VolumeUsage.piops", driver: "io1" },
                UsageTypeRule::After { marker: "EBS:VolumeUsage.", begins: "", prefix: "" },
            ],
        }),
    },
    terraform: TerraformSpec { resource: "aws_ebs_volume", tags: TERRAFORM_TAGS },
    custodian: CustodianSpec { resource: "aws.ebs", attribute: "VolumeId", identifier: Identifier::Id },
};
