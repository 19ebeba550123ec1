//! The fault plan: the requests that fail, and their errors.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The effect of a fault on a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The throttling error of the service.
    Throttle,
    /// The caller does not have the permission.
    Deny,
    /// A service control policy denies the action.
    DenyByScp,
    /// An internal error of the service.
    ServerError,
    /// The credentials of the caller have expired.
    ExpiredToken,
    /// The error of the service in a region that the account has not enabled.
    NotEnabled,
    /// The correct response after a delay.
    Slow(Duration),
    /// The connection is closed before the body reaches its declared length.
    Cut,
    /// A complete HTTP response with a truncated XML or JSON document.
    TruncatedXml,
    /// A page without items, whose token returns the page with the items.
    EmptyPageWithToken,
    /// A page whose next token is the token of the page itself.
    RepeatedToken,
    /// `GetResources` also returns deleted resources.
    Ghosts,
}

impl Effect {
    /// Returns the name of the effect in the request log.
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
            Self::Ghosts => "deleted resources",
        }
    }
}

/// Which of the matching calls a rule applies to. The first call has the number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occurrence {
    Always,
    Nth(u64),
    First(u64),
    Every(u64),
}

impl Occurrence {
    fn includes(self, nth: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(n) => nth == n,
            Self::First(n) => nth <= n,
            Self::Every(k) => nth.checked_rem(k) == Some(0),
        }
    }
}

/// A rule of the fault plan: an effect, and the calls that it applies to.
///
/// A new rule applies to all calls. Each method restricts it.
#[derive(Debug, Clone)]
pub struct Rule {
    effect: Effect,
    service: Option<String>,
    operation: Option<String>,
    account: Option<String>,
    region: Option<String>,
    resource: Option<String>,
    occurrence: Occurrence,
}

impl Rule {
    /// Creates a rule that applies to all calls.
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            service: None,
            operation: None,
            account: None,
            region: None,
            resource: None,
            occurrence: Occurrence::Always,
        }
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
        self.occurrence = Occurrence::Nth(n);
        self
    }

    /// Only the first n matching calls.
    #[must_use]
    pub fn first(mut self, n: u64) -> Self {
        self.occurrence = Occurrence::First(n);
        self
    }

    /// Only every k-th matching call.
    #[must_use]
    pub fn every(mut self, k: u64) -> Self {
        self.occurrence = Occurrence::Every(k);
        self
    }

    fn matches(&self, target: &Target<'_>) -> bool {
        let equals =
            |selected: &Option<String>, value: &str| selected.as_deref().is_none_or(|selected| selected == value);
        equals(&self.service, target.service)
            && equals(&self.operation, target.operation)
            && equals(&self.account, target.account)
            && equals(&self.region, target.region)
            && self.resource.as_deref().is_none_or(|text| target.text.contains(text))
    }
}

/// The fault plan. If several rules apply to a call, the first of them takes effect.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    /// Creates a plan without faults.
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

/// The properties of a call that rules are matched against.
pub(crate) struct Target<'a> {
    pub(crate) service: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) text: &'a str,
}

/// A fault plan with the counters of its rules: matching calls, and calls that the rule was applied to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    rules: Vec<(Rule, AtomicU64, AtomicU64)>,
}

impl Plan {
    pub(crate) fn new(faults: Faults) -> Self {
        let with_counters = |rule| (rule, AtomicU64::new(0), AtomicU64::new(0));
        Self { rules: faults.rules.into_iter().map(with_counters).collect() }
    }

    /// Counts the call for every matching rule, and returns the effect of the first rule that applies.
    pub(crate) fn next_effect(&self, target: &Target<'_>) -> Option<Effect> {
        let mut effect = None;
        for (rule, matched, hits) in self.rules.iter().filter(|(rule, ..)| rule.matches(target)) {
            let nth = matched.fetch_add(1, Ordering::Relaxed) + 1;
            if effect.is_none() && rule.occurrence.includes(nth) {
                hits.fetch_add(1, Ordering::Relaxed);
                effect = Some(rule.effect.clone());
            }
        }
        effect
    }

    /// Returns the number of times that each rule was applied.
    pub(crate) fn hits(&self) -> Vec<u64> {
        self.rules.iter().map(|(.., hits)| hits.load(Ordering::Relaxed)).collect()
    }
}
