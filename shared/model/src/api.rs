//! Operations of the AWS API and the rates at which AWS accepts them.

/// Operations that share one token bucket of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RateFamily {
    /// A name, unique among the families.
    pub name: &'static str,
    /// The published rate of AWS, in requests per second, for an account and region.
    pub per_second: u32,
    /// The published burst of AWS, in requests.
    pub burst: u32,
}

impl RateFamily {
    /// A family with the rate and burst that AWS publishes.
    pub const fn new(name: &'static str, per_second: u32, burst: u32) -> Self {
        Self { name, per_second, burst }
    }
}

/// An operation of the AWS API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its IAM action, such as `s3:GetBucketTagging`.
    pub name: &'static str,
    /// The token bucket from which it takes.
    pub family: RateFamily,
}

impl Operation {
    /// The operation of an IAM action.
    pub const fn new(name: &'static str, family: RateFamily) -> Self {
        Self { name, family }
    }
}
