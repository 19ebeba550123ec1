//! The inventory of a scan: resources with their tags, and gaps where AWS could not be read.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccountId, Arn, Region},
    resource_types::ResourceType,
};

/// The limit of AWS for user tags on one resource. Tags with the prefix `aws:` do not count.
pub const MAX_USER_TAGS: usize = 50;

/// The unit of a scan: the list of one resource type in one region of one account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The account of the resources.
    pub account: AccountId,
    /// The region of the resources. Buckets are listed region by region, too.
    pub region: Region,
    /// The type of the resources.
    pub resource_type: ResourceType,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} of {}", self.resource_type, self.region, self.account)
    }
}

/// One resource in the inventory of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The canonical ARN: that of a function has no version, and that of an ECS service has its cluster.
    pub arn: Arn,
    /// The time of its creation; none if AWS does not report it.
    pub created_at: Option<Timestamp>,
    /// Its tags, or the reason why they are unknown.
    pub tags: Tags,
    /// Its usage that is billed by the hour or by the gigabyte; none if the list does not contain it.
    pub usage: Option<Usage>,
    /// Its relationships, as far as the list contains them.
    pub links: Relationships,
}

/// The relationships of a resource. A change of relationships starts no new state of the resource in the ledger: relationships are
/// evidence for its tags and no part of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relationships {
    /// The resource of which it is a part: the instance of a volume, the cluster of a database or service.
    pub parent: Option<Arn>,
    /// The resources that it shares with others, sorted.
    pub neighbours: Vec<RelatedResource>,
}

/// A resource that many resources use, such as a VPC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelatedResource {
    /// The kind of relationship.
    pub kind: RelationshipKind,
    /// Its ID or ARN, as AWS returns it.
    pub name: String,
}

/// The kinds of relationships, the most specific first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationshipKind {
    /// A security group.
    SecurityGroup,
    /// The IAM role or instance profile.
    Role,
    /// A subnet.
    Subnet,
    /// A VPC.
    Vpc,
}

impl RelationshipKind {
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

impl Relationships {
    /// Relationships from names by kind. Absent and empty names are omitted.
    pub fn to<'n>(parent: Option<Arn>, named: impl IntoIterator<Item = (RelationshipKind, Option<&'n str>)>) -> Self {
        let neighbour = |(kind, name): (RelationshipKind, Option<&str>)| {
            name.filter(|name| !name.is_empty()).map(|name| RelatedResource { kind, name: name.to_owned() })
        };
        let mut neighbours: Vec<RelatedResource> = named.into_iter().filter_map(neighbour).collect();
        neighbours.sort();
        neighbours.dedup();
        Self { parent, neighbours }
    }
}

/// The usage of a resource for which the bill has one sum for many resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The cost driver: `m5.large`, `gp3`, `db.m5.large`, `Multi-AZ db.m5.large`.
    pub driver: String,
    /// The quantity: 1 for an instance that runs, 0 for one that is stopped, the size in GiB for a volume.
    pub quantity: u32,
}

/// The tags of a resource. Unknown tags are not missing tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tags {
    /// The tags were read. An empty set means that the resource has no tags.
    Known(TagSet),
    /// The tags could not be read. This is never a violation.
    Unknown(Gap),
    /// The resource cannot have tags, such as an ECS service with a short ARN. This is never a violation.
    Untaggable,
}

/// A set of tags: pairs sorted by key, each key once, exactly as AWS returned them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<(String, String)>")]
pub struct TagSet(Vec<(String, String)>);

impl TagSet {
    /// All tags, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The tags that users set: all except those with the prefix `aws:` in any letter case.
    pub fn user(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(key, _)| !is_reserved(key))
    }

    /// The value of a key, compared exactly.
    pub fn get(&self, key: &str) -> Option<&str> {
        let index = self.0.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok()?;
        self.0.get(index).map(|(_, value)| value.as_str())
    }
}

/// Whether a tag key is reserved for AWS: it begins with `aws:` in any letter case.
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

/// The result of listing one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// All resources that were read, also those before a gap.
    pub resources: Vec<Resource>,
    /// None if the list was read to its last page; otherwise the reason why it ended.
    pub gap: Option<Gap>,
}

/// A part of AWS that could not be read, with the reason. A gap is data: it never fails a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct Gap {
    /// The kind of failure.
    pub reason: GapReason,
    /// The IAM action of the failed request, such as `s3:GetBucketTagging`.
    pub operation: String,
    /// The message of AWS, limited in length.
    pub message: String,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The caller has no permission, or its credentials are invalid.
    Denied,
    /// An explicit deny in a service control policy of the organization.
    DeniedByScp,
    /// The request was throttled, also after all retries.
    Throttled,
    /// The region or service is not enabled for the account.
    NotEnabled,
    /// Any other failure: a server error, a broken connection, a malformed response.
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

    /// Whether the request was refused on purpose. Another request of the same kind is then useless.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Denied | Self::DeniedByScp)
    }

    /// What an operator can do.
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

    /// Tags whose key begins with `aws:` in any letter case are excluded from the user tags, but a lookup by key still
    /// finds them.
    #[test]
    fn aws_prefix_in_any_case_is_not_user_tag() {
        let tags: TagSet = [("aws:createdBy", "x"), ("AWS:x", "y"), ("awsome", "z"), ("é:", "")].into_iter().collect();
        assert_eq!(tags.user().map(|(k, _)| k).collect::<Vec<_>>(), ["awsome", "é:"]);
        assert_eq!(tags.get("aws:createdBy"), Some("x"));
        assert_eq!(tags.get("absent"), None);
    }
}
