//! The sizes, costs and billing IDs of resources, computed from their indexes.

use crate::account_region::{AccountRegion, Kind};

const INSTANCE_TYPES: [&str; 7] =
    ["t3.micro", "t3.small", "t3.medium", "m5.large", "m5.xlarge", "c5.large", "r5.large"];

const CLASSES: [&str; 3] = ["db.t3.micro", "db.m5.large", "db.r5.large"];

/// Returns the type of an instance. All instances of a type have the same cost.
pub(crate) fn instance_type(index: usize) -> &'static str {
    INSTANCE_TYPES.get(index % 7).copied().unwrap_or_default()
}

/// Returns the class of a database. All databases of a class have the same cost.
pub(crate) fn instance_class(index: usize) -> &'static str {
    CLASSES.get(index % 3).copied().unwrap_or_default()
}

/// Returns the size of a volume in gigabytes. Each gigabyte has the same cost.
pub fn volume_size(index: usize) -> u32 {
    8 + 10 * u32::try_from(index % 5).unwrap_or_default()
}

/// Returns the cost of a running resource per day, in billionths of a dollar.
pub fn daily_nano(resource_type: &str, index: usize) -> i64 {
    let number = i64::try_from(index % 1_000).unwrap_or_default();
    match resource_type {
        "ec2:instance" => 1_000_000_001 + number % 7 * 250_000_333,
        "ec2:volume" => i64::from(volume_size(index)) * 2_666_671,
        "rds:db" => 4_100_000_007 + number % 3 * 77_777_777,
        "rds:cluster" => 950_000_011,
        "s3:bucket" => 400_000_003 + number * 1_009,
        "lambda:function" => 10_000_019 + number * 101,
        "ecs:service" => 590_000_023 + number % 4 * 13,
        _ => 0,
    }
}

/// Returns the service of the costs of a resource type.
pub fn service_of(resource_type: &str) -> &'static str {
    match resource_type {
        "ec2:instance" => "Amazon Elastic Compute Cloud - Compute",
        "ec2:volume" => "EC2 - Other",
        "rds:db" | "rds:cluster" => "Amazon Relational Database Service",
        "s3:bucket" => "Amazon Simple Storage Service",
        "lambda:function" => "AWS Lambda",
        _ => "Amazon Elastic Container Service",
    }
}

/// The used quantities in billionths: hours per day, and stored gigabytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) hours: i64,
    pub(crate) gigabytes: i64,
}

impl Used {
    pub(crate) fn daily(kind: Kind, index: usize) -> Self {
        match kind {
            Kind::Instance | Kind::DbInstance => Self { hours: 24_000_000_000, gigabytes: 0 },
            Kind::Volume => Self { hours: 0, gigabytes: i64::from(volume_size(index)) * 1_000_000_000 },
            _ => Self::default(),
        }
    }
}

/// Returns the usage type of a resource on the bill.
pub(crate) fn usage_type(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> String {
    // AWS abbreviates the names of regions in usage types. The oldest regions have special abbreviations.
    let region = match account_region.region {
        "us-east-1" => String::new(),
        "eu-west-1" => "EU-".to_owned(),
        other => format!("{}-", other.replace('-', "").to_uppercase()),
    };
    match kind {
        Kind::Instance => format!("{region}BoxUsage:{}", instance_type(index)),
        Kind::Volume => format!("{region}EBS:VolumeUsage.gp3"),
        // All databases are Multi-AZ deployments.
        Kind::DbInstance => format!("{region}Multi-AZUsage:{}", instance_class(index)),
        Kind::DbCluster => format!("{region}Aurora:StorageUsage"),
        Kind::Bucket => format!("{region}TimedStorage-ByteHrs"),
        Kind::Function => format!("{region}Lambda-GB-Second"),
        Kind::Service | Kind::Cluster => format!("{region}Fargate-vCPU-Hours:perCPU"),
    }
}

/// Returns the resource ID on the bill: the ID for EC2, the name for S3, the ARN of a task for ECS, and a separate ID for the
/// storage of a DB cluster.
pub(crate) fn billed_resource_id(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> String {
    match kind {
        Kind::Instance | Kind::Volume | Kind::Bucket => account_region.id(kind, index),
        Kind::Function | Kind::DbInstance => account_region.arn(kind, index),
        Kind::DbCluster => account_region.arn(kind, index).replace(":cluster:", ":cluster:cluster-"),
        Kind::Service => account_region.arn(kind, index).replace(":service/", ":task/"),
        Kind::Cluster => "NoResourceId".to_owned(),
    }
}
