//! What a scan saw: resources with their tags, and what could not be read.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AccountId, Arn, Region, ResourceType};

/// AWS's limit of user tags on one resource; tags of AWS's own do not count.
pub const MAX_USER_TAGS: usize = 50;

/// The unit of a scan: one list of one type in one region of one account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Whose resources.
    pub account: AccountId,
    /// Where. Buckets too are listed region by region.
    pub region: Region,
    /// Of which type.
    pub resource_type: ResourceType,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} of {}", self.resource_type, self.region, self.account)
    }
}

/// One resource as a scan saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its canonical name: without a function's version, with an ECS service's cluster.
    pub arn: Arn,
    /// When AWS says it was made; none where AWS does not say.
    pub created_at: Option<Timestamp>,
    /// Its tags, or why they are not known.
    pub tags: Tags,
    /// What of it is billed by the hour or by the gigabyte; none where the list does not say.
    pub usage: Option<Usage>,
    /// What it belongs to and stands in, as far as the list says.
    pub links: Links,
}

/// What a resource belongs to and stands in. It opens no version: it says who may know the resource's tags, not which they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// The resource that it is a part of: a volume's instance, a database's or service's cluster.
    pub parent: Option<Arn>,
    /// What it shares with others, in order.
    pub neighbours: Vec<Neighbour>,
}

/// Something that many resources stand in or use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Neighbour {
    /// Of which kind it is.
    pub kind: NeighbourKind,
    /// Its id or ARN, as AWS gives it.
    pub name: String,
}

/// Kinds of what many resources stand in or use, the narrowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeighbourKind {
    /// A security group.
    SecurityGroup,
    /// The role or instance profile that it runs as.
    Role,
    /// A subnet.
    Subnet,
    /// A VPC.
    Vpc,
}

impl NeighbourKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::SecurityGroup, Self::Role, Self::Subnet, Self::Vpc];

    /// The stable name, such as `security_group`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecurityGroup => "security_group",
            Self::Role => "role",
            Self::Subnet => "subnet",
            Self::Vpc => "vpc",
        }
    }
}

impl Links {
    /// Neighbours by kind; names that are not given are left out.
    pub fn to<'n>(parent: Option<Arn>, named: impl IntoIterator<Item = (NeighbourKind, Option<&'n str>)>) -> Self {
        let neighbour = |(kind, name): (NeighbourKind, Option<&str>)| {
            name.filter(|name| !name.is_empty()).map(|name| Neighbour { kind, name: name.to_owned() })
        };
        let mut neighbours: Vec<Neighbour> = named.into_iter().filter_map(neighbour).collect();
        neighbours.sort();
        neighbours.dedup();
        Self { parent, neighbours }
    }
}

/// What a resource takes of something that many resources take, and that the bill has one sum for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// What: `m5.large`, `gp3`, `db.m5.large`, `Multi-AZ db.m5.large`.
    pub driver: String,
    /// How much: 1 for a machine that runs, 0 for one that is stopped; the size of a volume in GiB.
    pub quantity: u32,
}

/// Unknown is not untagged: a resource's tags are known (perhaps to be none), unknown, or impossible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tags {
    /// Read from AWS; empty means that the resource has none.
    Known(TagSet),
    /// They could not be read. Never a violation.
    Unknown(Gap),
    /// The resource cannot carry tags, such as an ECS service with a short ARN. Never a violation.
    Untaggable,
}

/// The tags of a resource: pairs in the order of their keys, each key once, to the letter as AWS gave them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<(String, String)>")]
pub struct TagSet(Vec<(String, String)>);

impl TagSet {
    /// All tags in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The tags that people and their tools set: all but `aws:` ones, in whatever letter case.
    pub fn user(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(key, _)| !is_reserved(key))
    }

    /// The value of exactly this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let index = self.0.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok()?;
        self.0.get(index).map(|(_, value)| value.as_str())
    }
}

/// Whether a tag key is of AWS's own namespace, `aws:` in any letter case.
pub fn is_reserved(key: &str) -> bool {
    key.as_bytes().get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"aws:"))
}

impl From<Vec<(String, String)>> for TagSet {
    fn from(pairs: Vec<(String, String)>) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for TagSet {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut tags: Vec<_> = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        tags.sort();
        tags.dedup_by(|later, earlier| later.0 == earlier.0);
        Self(tags)
    }
}

/// What one scope's list gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// All that was seen, also before a gap.
    pub resources: Vec<Resource>,
    /// None when the list was read to its last page; else what stopped it.
    pub gap: Option<Gap>,
}

/// Something that could not be read, and why. A gap is data: it never fails a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct Gap {
    /// The kind of failure.
    pub reason: GapReason,
    /// The call that failed as IAM names it, such as `s3:GetBucketTagging`.
    pub operation: String,
    /// AWS's own words, cut to a sensible length.
    pub message: String,
}

/// The kinds of failure that any cloud could have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The caller lacks a permission, or its credentials are not valid.
    Denied,
    /// An explicit deny in a service control policy of the organization.
    DeniedByScp,
    /// Still throttled after all retries.
    Throttled,
    /// The region or service is not enabled for the account.
    NotEnabled,
    /// Anything else: a server error, a broken connection, an answer that makes no sense.
    Failed,
}

impl GapReason {
    /// Every reason.
    pub const ALL: &'static [Self] =
        &[Self::Denied, Self::DeniedByScp, Self::Throttled, Self::NotEnabled, Self::Failed];

    /// The stable name, such as `denied_by_scp`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::DeniedByScp => "denied_by_scp",
            Self::Throttled => "throttled",
            Self::NotEnabled => "not_enabled",
            Self::Failed => "failed",
        }
    }

    /// Whether somebody has decided that the caller may not: another call of the same kind need not be tried.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Denied | Self::DeniedByScp)
    }

    /// What a person can do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Denied => "grant the scanner's role this action",
            Self::DeniedByScp => "leave the region out of TAGLEDGER_REGIONS, or exempt the scanner's role in the SCP",
            Self::Throttled => "scan again, or lower TAGLEDGER_RATE_PERCENT",
            Self::NotEnabled => "enable the region for the account, or leave it out of TAGLEDGER_REGIONS",
            Self::Failed => "scan again; if it stays, the message says what AWS answered",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_aws_in_any_letter_case_are_not_user_tags() {
        let tags: TagSet = [("aws:createdBy", "x"), ("AWS:x", "y"), ("awsome", "z"), ("é:", "")].into_iter().collect();
        assert_eq!(tags.user().map(|(k, _)| k).collect::<Vec<_>>(), ["awsome", "é:"]);
        assert_eq!(tags.get("aws:createdBy"), Some("x"));
        assert_eq!(tags.get("absent"), None);
    }
}
