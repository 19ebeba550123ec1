//! The fault plan: the requests that fail, and their errors.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How a call goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The service's own throttling code and status.
    Throttle,
    /// The identity lacks the permission.
    Deny,
    /// A service control policy denies the action.
    DenyByScp,
    /// The service failed.
    ServerError,
    /// The caller's session is over.
    ExpiredToken,
    /// What the service answers in a region that the account has not enabled.
    NotEnabled,
    /// The right answer, late.
    Slow(Duration),
    /// The connection is closed in the middle of a body whose length was declared.
    Cut,
    /// A complete HTTP answer whose document (XML or JSON) ends in the middle.
    TruncatedXml,
    /// A page without items but with a token; the token leads on to the items.
    EmptyPageWithToken,
    /// The page's token is the one that asked for it.
    RepeatedToken,
    /// GetResources also returns resources that were deleted.
    Ghosts,
}

impl Effect {
    /// The name under which the ledger lists it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Deny => "deny",
            Self::DenyByScp => "deny by SCP",
            Self::ServerError => "server error",
            Self::ExpiredToken => "expired token",
            Self::NotEnabled => "not enabled",
            Self::Slow(_) => "slow",
            Self::Cut => "cut",
            Self::TruncatedXml => "truncated document",
            Self::EmptyPageWithToken => "empty page",
            Self::RepeatedToken => "repeated token",
            Self::Ghosts => "deleted_resources",
        }
    }
}

/// Which of the matching calls a rule hits; the first call is number one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Nth(u64),
    First(u64),
    Every(u64),
}

impl When {
    fn hits(self, nth: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(n) => nth == n,
            Self::First(n) => nth <= n,
            Self::Every(k) => nth.checked_rem(k) == Some(0),
        }
    }
}

/// One line of the plan: an effect, the calls it is about, and which of them it hits.
///
/// A new rule is about every call and hits all of them; each method narrows it.
#[derive(Debug, Clone)]
pub struct Rule {
    effect: Effect,
    service: Option<String>,
    operation: Option<String>,
    account: Option<String>,
    region: Option<String>,
    resource: Option<String>,
    when: When,
}

impl Rule {
    /// A rule that hits every call.
    pub fn new(effect: Effect) -> Self {
        Self { effect, service: None, operation: None, account: None, region: None, resource: None, when: When::Always }
    }

    /// Only calls to the service with this signing name (`ec2`, `rds`, `s3`, `lambda`, `ecs`, `tagging`, `sts`,
    /// `organizations`).
    #[must_use]
    pub fn service(mut self, name: &str) -> Self {
        self.service = Some(name.to_owned());
        self
    }

    /// Only calls of this operation, such as `DescribeInstances`.
    #[must_use]
    pub fn operation(mut self, name: &str) -> Self {
        self.operation = Some(name.to_owned());
        self
    }

    /// Only calls with credentials of this account.
    #[must_use]
    pub fn account(mut self, id: &str) -> Self {
        self.account = Some(id.to_owned());
        self
    }

    /// Only calls signed for this region.
    #[must_use]
    pub fn region(mut self, name: &str) -> Self {
        self.region = Some(name.to_owned());
        self
    }

    /// Only calls whose path, query or body contains this text, such as a bucket's name or an ARN.
    #[must_use]
    pub fn resource(mut self, text: &str) -> Self {
        self.resource = Some(text.to_owned());
        self
    }

    /// Only the n-th matching call, counted from one.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Nth(n);
        self
    }

    /// Only the first n matching calls.
    #[must_use]
    pub fn first(mut self, n: u64) -> Self {
        self.when = When::First(n);
        self
    }

    /// Only every k-th matching call.
    #[must_use]
    pub fn every(mut self, k: u64) -> Self {
        self.when = When::Every(k);
        self
    }

    fn matches(&self, target: &Target<'_>) -> bool {
        let same = |wanted: &Option<String>, given: &str| wanted.as_deref().is_none_or(|wanted| wanted == given);
        same(&self.service, target.service)
            && same(&self.operation, target.operation)
            && same(&self.account, target.account)
            && same(&self.region, target.region)
            && self.resource.as_deref().is_none_or(|wanted| target.text.contains(wanted))
    }
}

/// The plan. Where several rules hit a call, the first of them takes effect.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a rule.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }
}

/// What rules are matched against.
pub(crate) struct Target<'a> {
    pub(crate) service: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) text: &'a str,
}

/// A plan with its counters.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    rules: Vec<(Rule, AtomicU64, AtomicU64)>,
}

impl Plan {
    pub(crate) fn new(faults: Faults) -> Self {
        let counted = |rule| (rule, AtomicU64::new(0), AtomicU64::new(0));
        Self { rules: faults.rules.into_iter().map(counted).collect() }
    }

    /// Counts the call with every rule about it, and returns the effect that hits it.
    pub(crate) fn next_effect(&self, target: &Target<'_>) -> Option<Effect> {
        let mut struck = None;
        for (rule, seen, hits) in self.rules.iter().filter(|(rule, ..)| rule.matches(target)) {
            let nth = seen.fetch_add(1, Ordering::Relaxed) + 1;
            if struck.is_none() && rule.when.hits(nth) {
                hits.fetch_add(1, Ordering::Relaxed);
                struck = Some(rule.effect.clone());
            }
        }
        struck
    }

    /// How often each rule took effect.
    pub(crate) fn hits(&self) -> Vec<u64> {
        self.rules.iter().map(|(.., hits)| hits.load(Ordering::Relaxed)).collect()
    }
}
