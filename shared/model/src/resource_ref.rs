//! A resource that a user names by its ARN.

pub use crate::resource_ref_error::InvalidResourceRef;
use crate::{
    ids::Arn,
    resource_types::{ResourceType, arn_shape::ShapeMatch},
};

/// A resource of a supported type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceRef {
    /// The canonical ARN, as the ledger contains it. That of a function has no version or alias.
    pub arn: Arn,
    /// The type of the resource, which follows from the ARN.
    pub resource_type: ResourceType,
}

impl ResourceRef {
    /// Parses an ARN. White space around it is ignored.
    ///
    /// # Errors
    /// The text is not the ARN of a resource of a supported type.
    pub fn parse(text: &str) -> Result<Self, InvalidResourceRef> {
        let arn: Arn = text.trim().parse().map_err(|_| InvalidResourceRef::Malformed)?;
        if arn.resource().contains(['*', '?']) {
            return Err(InvalidResourceRef::Wildcard);
        }
        let mut mistake = None;
        for resource_type in ResourceType::ALL.iter().copied() {
            match resource_type.spec().arn.match_arn(&arn) {
                ShapeMatch::Full(arn) => return Ok(Self { arn, resource_type }),
                ShapeMatch::Mistaken(error) => mistake = Some(error),
                ShapeMatch::None => {}
            }
        }
        Err(mistake.unwrap_or(InvalidResourceRef::Unsupported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(text: &str) -> &'static str {
        ResourceRef::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).resource_type.as_str()
    }

    /// The ARN of every supported resource type is recognized, in any AWS partition and with surrounding white space.
    #[test]
    fn arn_gives_resource_type_in_any_partition() {
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

    /// The ARN of a Lambda version or alias identifies the function itself.
    #[test]
    fn function_version_arn_names_function() {
        for given in ["pay", "pay:3", "pay:prod", "pay:$LATEST"] {
            let named = ResourceRef::parse(&format!("arn:aws:lambda:eu-west-1:123456789012:function:{given}")).unwrap();
            assert_eq!(named.arn.resource(), "function:pay");
        }
    }

    /// The name of an RDS database is converted to lower case, because RDS identifiers are case-insensitive.
    #[test]
    fn rds_name_is_lowercased() {
        let named = ResourceRef::parse("arn:aws:rds:eu-west-1:123456789012:db:Orders").unwrap();
        assert_eq!(named.arn.resource(), "db:orders");
    }

    /// ARNs that name no supported resource are rejected with distinct errors for malformed text, wildcards, a missing
    /// region and account, a missing ECS cluster, S3 objects and unsupported types.
    #[test]
    fn arn_errors_are_distinguished() {
        let home = "eu-west-1:123456789012";
        for (text, why) in [
            (String::new(), InvalidResourceRef::Malformed),
            ("i-0abc".to_owned(), InvalidResourceRef::Malformed),
            (format!("arn:aws:ec2:{home}:instance/"), InvalidResourceRef::Malformed),
            (format!("arn:aws:ec2:{home}:instance/i-0 abc"), InvalidResourceRef::Malformed),
            (format!("arn:aws:ec2:{home}:instance/{}", "x".repeat(10_000)), InvalidResourceRef::Malformed),
            (format!("arn:aws:ec2:{home}:instance:i-0abc"), InvalidResourceRef::Malformed),
            (format!("arn:aws:rds:{home}:db/orders"), InvalidResourceRef::Malformed),
            (format!("arn:aws:rds:{home}:db:my_orders"), InvalidResourceRef::Malformed),
            (format!("arn:aws:ecs:{home}:cluster/a.b"), InvalidResourceRef::Malformed),
            (format!("arn:aws:ec2:{home}:instance/*"), InvalidResourceRef::Wildcard),
            ("arn:aws:s3:::logs-?".to_owned(), InvalidResourceRef::Wildcard),
            ("arn:aws:ec2:::instance/i-0abc".to_owned(), InvalidResourceRef::MissingRegionOrAccount),
            (format!("arn:aws:ecs:{home}:service/checkout"), InvalidResourceRef::MissingCluster),
            ("arn:aws:s3:::logs/2026/x.gz".to_owned(), InvalidResourceRef::Object),
            (format!("arn:aws:sns:{home}:topic"), InvalidResourceRef::Unsupported),
            (format!("arn:aws:ec2:{home}:snapshot/snap-0abc"), InvalidResourceRef::Unsupported),
            (format!("arn:aws:rds:{home}:snapshot:orders"), InvalidResourceRef::Unsupported),
        ] {
            assert_eq!(ResourceRef::parse(&text), Err(why), "{text}");
        }
    }
}
