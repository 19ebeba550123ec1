//! The log of all requests that the fake has answered.

use std::collections::BTreeMap;

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The service by the name that requests are signed with: `ec2`, `ecs`, `lambda`, `tagging`, ...
    pub service: String,
    /// Such as `DescribeInstances`; method and path where no operation of that path is known.
    pub operation: String,
    /// The account of the caller's credentials.
    pub account: String,
    /// The region that the request was signed for.
    pub region: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// Resources in the answer; accounts, regions or tags where those are what was asked for.
    pub items: usize,
    /// The fault that hit it, by the name of its effect; `rate limit` for the token buckets.
    pub fault: Option<&'static str>,
    /// Whether the fake serves the operation at all; an unknown one was answered 501.
    pub known: bool,
}

/// The requests so far, in the order of their answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLog {
    /// Each request.
    pub requests: Vec<Request>,
}

impl RequestLog {
    /// How many requests there were.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// How many requests called the operation of the service.
    pub fn count(&self, service: &str, operation: &str) -> usize {
        self.requests.iter().filter(|r| r.service == service && r.operation == operation).count()
    }

    /// The number of requests by `service:Operation`.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in &self.requests {
            *counts.entry(format!("{}:{}", request.service, request.operation)).or_insert(0) += 1;
        }
        counts
    }

    /// Requests that a fault or a rate limit hit.
    pub fn faulted(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|request| request.fault.is_some())
    }

    /// Requests for operations that the fake does not serve.
    pub fn unknown(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|request| !request.known)
    }
}
