//! The sizes, costs and billing IDs of resources, computed from their indexes.

use crate::account_region::{AccountRegion, Kind};

const INSTANCE_TYPES: [&str; 7] =
    ["t3.micro", "t3.small", "t3.medium", "m5.large", "m5.xlarge", "c5.large", "r5.large"];

const CLASSES: [&str; 3] = ["db.t3.micro", "db.m5.large", "db.r5.large"];

/// The type of an instance; all of a type cost the same.
pub(crate) fn instance_type(index: usize) -> &'static str {
    INSTANCE_TYPES.get(index % 7).copied().unwrap_or_default()
}

/// The class of a database; all of a class cost the same.
pub(crate) fn class(index: usize) -> &'static str {
    CLASSES.get(index % 3).copied().unwrap_or_default()
}

/// The gigabytes of a volume; each costs the same.
pub fn volume_size(index: usize) -> u32 {
    8 + 10 * u32::try_from(index % 5).unwrap_or_default()
}

/// What a resource that runs costs a day, in thousand-millionths of a dollar.
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

/// The service on whose bill a resource stands.
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

/// What is used, in thousand-millionths: hours a day, and gigabytes that are there.
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

/// As a bill calls what a resource uses.
pub(crate) fn usage_type(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> String {
    // AWS's own abbreviations: the first regions have odd ones.
    let region = match account_region.region {
        "us-east-1" => String::new(),
        "eu-west-1" => "EU-".to_owned(),
        other => format!("{}-", other.replace('-', "").to_uppercase()),
    };
    match kind {
        Kind::Instance => format!("{region}BoxUsage:{}", instance_type(index)),
        Kind::Volume => format!("{region}EBS:VolumeUsage.gp3"),
        // All databases have a second one in another zone.
        Kind::DbInstance => format!("{region}Multi-AZUsage:{}", class(index)),
        Kind::DbCluster => format!("{region}Aurora:StorageUsage"),
        Kind::Bucket => format!("{region}TimedStorage-ByteHrs"),
        Kind::Function => format!("{region}Lambda-GB-Second"),
        Kind::Service | Kind::Cluster => format!("{region}Fargate-vCPU-Hours:perCPU"),
    }
}

/// As a bill names a resource: EC2 by ids, S3 by buckets, containers by tasks, a cluster's storage by an id of its own.
pub(crate) fn billed_resource_id(account_region: &AccountRegion<'_>, kind: Kind, index: usize) -> String {
    match kind {
        Kind::Instance | Kind::Volume | Kind::Bucket => account_region.id(kind, index),
        Kind::Function | Kind::DbInstance => account_region.arn(kind, index),
        Kind::DbCluster => account_region.arn(kind, index).replace(":cluster:", ":cluster:cluster-"),
        Kind::Service => account_region.arn(kind, index).replace(":service/", ":task/"),
        Kind::Cluster => "NoResourceId".to_owned(),
    }
}
