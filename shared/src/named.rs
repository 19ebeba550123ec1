//! Resources as people name them: an ARN of a type that TagLedger inventories, in the form in which the ledger has it.

use crate::{Arn, ResourceType};

/// A resource that can be looked at by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Named {
    /// Its canonical name: a function's without version or alias.
    pub arn: Arn,
    /// Its type, which the name tells.
    pub resource_type: ResourceType,
}

/// Why a text names no such resource. The words are ours: none of the text stands in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misnamed {
    /// No ARN.
    #[error("not an ARN; one looks like arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc")]
    Malformed,
    /// A pattern.
    #[error("a pattern; name single resources, or ask find_untagged_resources for many")]
    Wildcard,
    /// Of a regional type, without region or account.
    #[error("the ARN lacks its region or its account")]
    Homeless,
    /// An ECS service by the name from before services were named with their cluster.
    #[error("the old form of a service's ARN, without its cluster: write service/CLUSTER/NAME")]
    WithoutCluster,
    /// A thing inside a bucket.
    #[error("an object of a bucket; name the bucket itself")]
    Object,
    /// Another type.
    #[error("a type of resource that is not supported; get_tagging_policy lists those that are")]
    Unsupported,
}

impl Named {
    /// Reads an ARN.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Misnamed> {
        let arn: Arn = text.trim().parse().map_err(|_| Misnamed::Malformed)?;
        if arn.resource().contains(['*', '?']) {
            return Err(Misnamed::Wildcard);
        }
        let (resource_type, canonical) = typed(&arn)?;
        let homeless = arn.region().is_none() || arn.account().is_none();
        if homeless && resource_type != ResourceType::S3Bucket {
            return Err(Misnamed::Homeless);
        }
        if !well_formed(resource_type, canonical.resource_id()) {
            return Err(Misnamed::Malformed);
        }
        Ok(Self { arn: canonical, resource_type })
    }
}

/// Whether an id has only characters that its service takes: one that has others makes it refuse a whole request.
fn well_formed(resource_type: ResourceType, id: &str) -> bool {
    let only = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    match resource_type {
        ResourceType::Ec2Instance => id.strip_prefix("i-").is_some_and(|rest| only(rest, "-")),
        ResourceType::Ec2Volume => id.strip_prefix("vol-").is_some_and(|rest| only(rest, "-")),
        ResourceType::EcsCluster => only(id, "-_"),
        ResourceType::EcsService => id.split('/').all(|part| only(part, "-_")),
        ResourceType::LambdaFunction => only(id, "-_"),
        ResourceType::RdsCluster | ResourceType::RdsDb => {
            id.starts_with(|c: char| c.is_ascii_alphabetic()) && only(id, "-")
        }
        ResourceType::S3Bucket => only(id, "-._"),
    }
}

fn typed(arn: &Arn) -> Result<(ResourceType, Arn), Misnamed> {
    let resource = arn.resource();
    let mark = resource.chars().find(|c| matches!(c, ':' | '/'));
    let (kind, id) = resource.split_once([':', '/']).unwrap_or(("", resource));
    let parts = id.split('/').count();
    let as_it_is = |resource_type| Ok((resource_type, arn.clone()));
    match (arn.service(), kind, mark, parts) {
        _ if id.is_empty() || id.split('/').any(str::is_empty) => Err(Misnamed::Malformed),
        ("ec2", "instance", Some('/'), 1) => as_it_is(ResourceType::Ec2Instance),
        ("ec2", "volume", Some('/'), 1) => as_it_is(ResourceType::Ec2Volume),
        ("ecs", "cluster", Some('/'), 1) => as_it_is(ResourceType::EcsCluster),
        ("ecs", "service", Some('/'), 1) => Err(Misnamed::WithoutCluster),
        ("ecs", "service", Some('/'), 2) => as_it_is(ResourceType::EcsService),
        ("lambda", "function", Some(':'), 1) => Ok((ResourceType::LambdaFunction, unqualified(arn)?)),
        ("rds", "cluster", Some(':'), 1) => Ok((ResourceType::RdsCluster, lower(arn)?)),
        ("rds", "db", Some(':'), 1) => Ok((ResourceType::RdsDb, lower(arn)?)),
        // The kind with another mark behind it.
        ("ec2", "instance" | "volume", ..) | ("ecs", "cluster" | "service", ..) => Err(Misnamed::Malformed),
        ("lambda", "function", ..) | ("rds", "cluster" | "db", ..) => Err(Misnamed::Malformed),
        ("s3", "", _, 1) if arn.region().is_none() && arn.account().is_none() => as_it_is(ResourceType::S3Bucket),
        ("s3", ..) if arn.region().is_none() && resource.contains('/') => Err(Misnamed::Object),
        _ => Err(Misnamed::Unsupported),
    }
}

/// RDS keeps identifiers in small letters, and takes them in any.
fn lower(arn: &Arn) -> Result<Arn, Misnamed> {
    arn.as_str().to_ascii_lowercase().parse().map_err(|_| Misnamed::Malformed)
}

/// Versions and aliases have no tags of their own: `function:pay:3` is `function:pay`.
fn unqualified(arn: &Arn) -> Result<Arn, Misnamed> {
    let name: Vec<&str> = arn.as_str().split(':').take(7).collect();
    name.join(":").parse().map_err(|_| Misnamed::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(text: &str) -> &'static str {
        Named::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).resource_type.as_str()
    }

    #[test]
    fn every_supported_type_is_known_by_its_arn_in_any_partition() {
        let home = "eu-west-1:123456789012";
        assert_eq!(is(&format!("arn:aws:ec2:{home}:instance/i-0abc")), "ec2:instance");
        assert_eq!(is("arn:aws-cn:ec2:cn-north-1:123456789012:volume/vol-0abc"), "ec2:volume");
        assert_eq!(is("arn:aws-us-gov:ecs:us-gov-west-1:123456789012:cluster/web"), "ecs:cluster");
        assert_eq!(is(&format!("arn:aws:ecs:{home}:service/web/checkout")), "ecs:service");
        assert_eq!(is(&format!("arn:aws:lambda:{home}:function:pay")), "lambda:function");
        assert_eq!(is(&format!("arn:aws:rds:{home}:cluster:orders")), "rds:cluster");
        assert_eq!(is(&format!("  arn:aws:rds:{home}:db:orders\n")), "rds:db");
        assert_eq!(is("arn:aws:s3:::logs.example.com"), "s3:bucket");
    }

    #[test]
    fn a_version_of_a_function_is_its_function() {
        for given in ["pay", "pay:3", "pay:prod", "pay:$LATEST"] {
            let named = Named::parse(&format!("arn:aws:lambda:eu-west-1:123456789012:function:{given}")).unwrap();
            assert_eq!(named.arn.resource(), "function:pay");
        }
    }

    #[test]
    fn a_database_is_known_in_letters_of_any_case() {
        let named = Named::parse("arn:aws:rds:eu-west-1:123456789012:db:Orders").unwrap();
        assert_eq!(named.arn.resource(), "db:orders");
    }

    #[test]
    fn what_names_no_resource_is_told_apart() {
        let home = "eu-west-1:123456789012";
        for (text, why) in [
            (String::new(), Misnamed::Malformed),
            ("i-0abc".to_owned(), Misnamed::Malformed),
            (format!("arn:aws:ec2:{home}:instance/"), Misnamed::Malformed),
            (format!("arn:aws:ec2:{home}:instance/i-0 abc"), Misnamed::Malformed),
            (format!("arn:aws:ec2:{home}:instance/{}", "x".repeat(10_000)), Misnamed::Malformed),
            (format!("arn:aws:ec2:{home}:instance:i-0abc"), Misnamed::Malformed),
            (format!("arn:aws:rds:{home}:db/orders"), Misnamed::Malformed),
            (format!("arn:aws:rds:{home}:db:my_orders"), Misnamed::Malformed),
            (format!("arn:aws:ecs:{home}:cluster/a.b"), Misnamed::Malformed),
            (format!("arn:aws:ec2:{home}:instance/*"), Misnamed::Wildcard),
            ("arn:aws:s3:::logs-?".to_owned(), Misnamed::Wildcard),
            ("arn:aws:ec2:::instance/i-0abc".to_owned(), Misnamed::Homeless),
            (format!("arn:aws:ecs:{home}:service/checkout"), Misnamed::WithoutCluster),
            ("arn:aws:s3:::logs/2026/x.gz".to_owned(), Misnamed::Object),
            (format!("arn:aws:sns:{home}:topic"), Misnamed::Unsupported),
            (format!("arn:aws:ec2:{home}:snapshot/snap-0abc"), Misnamed::Unsupported),
            (format!("arn:aws:rds:{home}:snapshot:orders"), Misnamed::Unsupported),
        ] {
            assert_eq!(Named::parse(&text), Err(why), "{text}");
        }
    }
}
