//! Why a text does not name a resource.

/// Why a text does not name a resource of a supported type. The messages contain no part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResourceRef {
    /// The text is no ARN, or no ARN that its service accepts.
    #[error("not an ARN; one looks like arn:aws:ec2:eu-west-1:123456789012:instance/i-0abc")]
    Malformed,
    /// The text is a pattern.
    #[error("a pattern; name single resources, or ask find_untagged_resources for many")]
    Wildcard,
    /// The ARN of a regional type has no region or no account.
    #[error("the ARN lacks its region or its account")]
    MissingRegionOrAccount,
    /// The ARN of an ECS service has the old form without the cluster.
    #[error("the old form of a service's ARN, without its cluster: write service/CLUSTER/NAME")]
    MissingCluster,
    /// The ARN names an object in a bucket.
    #[error("an object of a bucket; name the bucket itself")]
    Object,
    /// The ARN names a resource of another type.
    #[error("a type of resource that is not supported; get_tagging_policy lists those that are")]
    Unsupported,
}
