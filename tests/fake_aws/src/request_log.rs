//! The log of all requests that the fake has answered.

use std::collections::BTreeMap;

/// One request and its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The service name in the signature, such as `ec2`, `ecs`, `lambda` or `tagging`.
    pub service: String,
    /// The operation, such as `DescribeInstances`, or the method and path if the fake does not implement it.
    pub operation: String,
    /// The account of the caller's credentials.
    pub account: String,
    /// The region that the request was signed for.
    pub region: String,
    /// The HTTP status of the response.
    pub status: u16,
    /// The number of resources, accounts, regions or tags in the response.
    pub items: usize,
    /// The name of the injected fault. `rate limit` if a token bucket was empty.
    pub fault: Option<&'static str>,
    /// Whether the fake implements the operation. If not, the status is 501.
    pub supported: bool,
}

/// The requests so far, in the order of their responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLog {
    /// All requests.
    pub requests: Vec<Request>,
}

impl RequestLog {
    /// Returns the number of requests.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there were no requests.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Returns the number of requests to the operation of the service.
    pub fn count(&self, service: &str, operation: &str) -> usize {
        self.requests.iter().filter(|r| r.service == service && r.operation == operation).count()
    }

    /// Returns the number of requests to each operation, with keys such as `ec2:DescribeInstances`.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in &self.requests {
            *counts.entry(format!("{}:{}", request.service, request.operation)).or_insert(0) += 1;
        }
        counts
    }

    /// Returns the requests that failed because of a fault or a rate limit.
    pub fn faulted(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|request| request.fault.is_some())
    }

    /// Returns the requests for operations that the fake does not implement.
    pub fn unsupported(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|request| !request.supported)
    }
}
