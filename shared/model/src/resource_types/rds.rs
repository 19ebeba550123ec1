//! RDS, with Aurora, Neptune and DocumentDB.

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

const RATE: RateFamily = RateFamily::new("rds", 12, 300);

/// Lists and looks up clusters.
pub const DESCRIBE_DB_CLUSTERS: Operation = Operation::new("rds:DescribeDBClusters", RATE);

/// Lists and looks up instances.
pub const DESCRIBE_DB_INSTANCES: Operation = Operation::new("rds:DescribeDBInstances", RATE);

const TAGS: TagSpec = TagSpec { source: TagSource::Description, max_key_length: 128 };

/// Neptune and DocumentDB resources have ARNs of RDS and bills of their own.
const SERVICES: &[&str] =
    &["Amazon Relational Database Service", "Amazon Neptune", "Amazon DocumentDB (with MongoDB compatibility)"];

/// Lookups use a filter, because it ignores IDs that do not exist. A request with a list of IDs fails because of one such ID.
const MAX_FILTER_VALUES: usize = 100;

const fn arn(resource: &'static str) -> ArnShape {
    ArnShape {
        service: "rds",
        resource,
        scope: ArnScope::Regional,
        id: IdSource::User,
        id_chars: IdChars { punctuation: "-", begins_with_letter: true },
        canonical: CanonicalForm::LowerCase,
        mistakes: &[],
    }
}

/// `rds:cluster`
pub const CLUSTER: TypeSpec = TypeSpec {
    name: "rds:cluster",
    arn: arn("cluster:{cluster}"),
    tags: TAGS,
    list_operations: &[DESCRIBE_DB_CLUSTERS],
    lookup_operations: &[DESCRIBE_DB_CLUSTERS],
    fallback_operations: &[],
    lookup_batch: MAX_FILTER_VALUES,
    created_by: &[CreationEvent {
        name: "CreateDBCluster",
        source: "rds.amazonaws.com",
        resource: "/responseElements/dBClusterArn",
    }],
    cost: CostSpec { services: SERVICES, represents_services: false, billed_as: BilledAs::Arn, driver: None },
    terraform: TerraformSpec { resource: "aws_rds_cluster", tags: TerraformTags::Argument },
    custodian: CustodianSpec {
        resource: "aws.rds-cluster",
        attribute: "DBClusterIdentifier",
        identifier: Identifier::Id,
    },
};

/// `rds:db`
pub const DB: TypeSpec = TypeSpec {
    name: "rds:db",
    arn: arn("db:{db}"),
    tags: TAGS,
    list_operations: &[DESCRIBE_DB_INSTANCES],
    lookup_operations: &[DESCRIBE_DB_INSTANCES],
    fallback_operations: &[],
    lookup_batch: MAX_FILTER_VALUES,
    created_by: &[CreationEvent {
        name: "CreateDBInstance",
        source: "rds.amazonaws.com",
        resource: "/responseElements/dBInstanceArn",
    }],
    cost: CostSpec {
        services: SERVICES,
        represents_services: true,
        billed_as: BilledAs::Arn,
        driver: Some(CostDriver {
            service: "Amazon Relational Database Service",
            unit: UsageUnit::Hours,
            usage_types: &[
                UsageTypeRule::After { marker: "Multi-AZUsage:", begins: "db.", prefix: "Multi-AZ " },
                UsageTypeRule::After { marker: "InstanceUsage:", begins: "db.", prefix: "" },
            ],
        }),
    },
    terraform: TerraformSpec { resource: "aws_db_instance", tags: TerraformTags::Argument },
    custodian: CustodianSpec { resource: "aws.rds", attribute: "DBInstanceIdentifier", identifier: Identifier::Id },
};
