//! Request counts by API operation.

/// The number of requests to one API operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationCalls {
    /// The IAM action, such as `ec2:DescribeInstances`.
    pub operation: &'static str,
    /// The number of requests, without retries.
    pub requests: u64,
    /// The number of throttling responses, including those to retries.
    pub throttled: u64,
}
