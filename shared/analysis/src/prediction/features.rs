//! Features: properties that a resource shares with other resources.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tagledger_model::{
    AccountId, ResourceType,
    inventory::{RelatedResource, RelationshipKind, TagSet, is_reserved},
    resource_types::arn_shape::IdSource,
};
use tagledger_policy::Policy;

use crate::prediction::tokenize::tokenize;

/// The source of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The CloudFormation stack.
    Stack,
    /// The Auto Scaling group.
    ScalingGroup,
    /// The cluster or environment.
    Cluster,
    /// The parent resource.
    Parent,
    /// A security group.
    SecurityGroup,
    /// The IAM role.
    Role,
    /// The subnet.
    Subnet,
    /// The VPC.
    Vpc,
    /// Another tag.
    Tag,
    /// A word of the name.
    Name,
    /// The account.
    Account,
    /// The creator, or the role of the creator.
    Creator,
}

impl Source {
    /// All sources, in the order of their indexes.
    pub const ALL: [Self; 12] = [
        Self::Stack,
        Self::ScalingGroup,
        Self::Cluster,
        Self::Parent,
        Self::SecurityGroup,
        Self::Role,
        Self::Subnet,
        Self::Vpc,
        Self::Tag,
        Self::Name,
        Self::Account,
        Self::Creator,
    ];

    /// The stable name, such as `security_group`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::ScalingGroup => "scaling_group",
            Self::Cluster => "cluster",
            Self::Parent => "parent",
            Self::SecurityGroup => "security_group",
            Self::Role => "role",
            Self::Subnet => "subnet",
            Self::Vpc => "vpc",
            Self::Tag => "tag",
            Self::Name => "name",
            Self::Account => "account",
            Self::Creator => "creator",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The minimum number of resources that share a feature of this source. Words and tags that only two resources
    /// share are chance.
    pub const fn min_resources(self) -> u64 {
        match self {
            Self::Tag | Self::Name => 3,
            Self::Creator => 2,
            _ => 1,
        }
    }
}

/// A property that resources can share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Feature {
    /// The source.
    pub source: Source,
    /// A hash of 63 bits that is the same in every ledger. The lowest four bits are the index of the source.
    pub hash: i64,
    /// The index of the policy tag that this tag is or is a variant of. The feature is no evidence for that tag.
    pub policy_tag: Option<u8>,
}

impl Feature {
    /// Whether the feature is evidence for the policy tag with this index.
    pub fn is_evidence_for(&self, key: usize) -> bool {
        self.policy_tag.is_none_or(|policy_tag| usize::from(policy_tag) != key)
    }

    fn new(source: Source, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        let first = hash.finalize().iter().take(8).fold(0_i64, |bits, byte| (bits << 8) | i64::from(*byte));
        let index = i64::try_from(source.index()).unwrap_or_default();
        Self { source, hash: (first & i64::MAX & !0xf) | index, policy_tag: None }
    }

    /// The source of the feature with this hash.
    pub fn source_from_hash(hash: i64) -> Option<Source> {
        Source::ALL.iter().copied().find(|source| i64::try_from(source.index()) == Ok(hash & 0xf))
    }
}

/// The hash of the feature that all resources share.
pub fn estate_feature() -> i64 {
    0xf
}

/// The feature of the account.
pub fn account_feature(account: &AccountId) -> Feature {
    Feature::new(Source::Account, &[account.as_str()])
}

/// The features of a name: one for each word, and one for the first two words together.
pub fn name_features(name: &str) -> Vec<Feature> {
    FeatureHasher::default().features(name)
}

/// Computes the features of many names. It caches the feature of each word, because most words repeat.
#[derive(Debug, Default)]
pub struct FeatureHasher(HashMap<String, Feature>);

impl FeatureHasher {
    /// The same features as [`name_features`].
    pub fn features(&mut self, name: &str) -> Vec<Feature> {
        let mut words = tokenize(name);
        if let [first, second, ..] = words.as_slice() {
            words.push(format!("{first} {second}"));
        }
        words.into_iter().map(|word| self.feature(word)).collect()
    }

    fn feature(&mut self, word: String) -> Feature {
        if let Some(feature) = self.0.get(&word) {
            return *feature;
        }
        let feature = Feature::new(Source::Name, &[&word]);
        self.0.insert(word, feature);
        feature
    }
}

/// The name that people gave it: its Name tag, or its id where that is a name.
pub fn display_name<'a>(resource_type: ResourceType, tag: Option<&'a str>, id: &'a str) -> Option<&'a str> {
    match resource_type.spec().arn.id {
        IdSource::Aws => tag,
        IdSource::User => Some(id),
    }
}

/// The features of related resources.
pub fn relationship_features(related: &[RelatedResource]) -> Vec<Feature> {
    let source = |kind| match kind {
        RelationshipKind::SecurityGroup => Source::SecurityGroup,
        RelationshipKind::Role => Source::Role,
        RelationshipKind::Subnet => Source::Subnet,
        RelationshipKind::Vpc => Source::Vpc,
    };
    related.iter().map(|resource| Feature::new(source(resource.kind), &[&resource.name])).collect()
}

/// The features of the creator by the ARN of the principal. An assumed-role session also gives the feature of its role,
/// which many sessions share.
pub fn creator_features(principal: &str) -> Vec<Feature> {
    let role = principal.contains(":assumed-role/").then(|| principal.rsplit_once('/')).flatten();
    let arns = [Some(principal), role.map(|(role, _)| role)];
    arns.into_iter().flatten().map(|arn| Feature::new(Source::Creator, &[arn])).collect()
}

/// Tags by which AWS services and tools mark resources of one group.
const GROUP_TAGS: [(&str, Source); 8] = [
    ("aws:cloudformation:stack-name", Source::Stack),
    ("aws:autoscaling:groupName", Source::ScalingGroup),
    ("aws:ecs:clusterName", Source::Cluster),
    ("aws:eks:cluster-name", Source::Cluster),
    ("eks:cluster-name", Source::Cluster),
    ("eks:nodegroup-name", Source::ScalingGroup),
    ("elasticbeanstalk:environment-name", Source::Cluster),
    ("aws:servicecatalog:provisionedProductArn", Source::Stack),
];

/// The maximum length of a tag value that is a feature, in bytes. Longer values are descriptions.
const MAX_VALUE_LENGTH: usize = 128;

/// The features of the tags.
pub fn tag_features(tags: &TagSet, policy: &Policy) -> Vec<Feature> {
    dedup_features(
        tags.iter().filter_map(|(key, value)| tag_feature(key, value, policy.find_intended_tag(key))).collect(),
    )
}

/// Removes duplicate features. The same cluster often has two tags.
pub fn dedup_features(mut features: Vec<Feature>) -> Vec<Feature> {
    let mut seen = Vec::with_capacity(features.len());
    features.retain(|feature| {
        !seen.contains(&feature.hash) && {
            seen.push(feature.hash);
            true
        }
    });
    features
}

/// The feature of one tag; none for a tag that other resources do not share. `policy_tag` is the index of the policy
/// tag whose key this is, or of which it is a variant.
pub fn tag_feature(key: &str, value: &str, policy_tag: Option<usize>) -> Option<Feature> {
    if let Some((_, source)) = GROUP_TAGS.iter().find(|(tag, _)| *tag == key) {
        return Some(Feature::new(*source, &[value]));
    }
    if is_reserved(key) || key == "Name" || value.is_empty() || value.len() > MAX_VALUE_LENGTH {
        return None;
    }
    let policy_tag = policy_tag.and_then(|index| u8::try_from(index).ok());
    Some(Feature { policy_tag, ..Feature::new(Source::Tag, &[key, value]) })
}

/// The hash of the feature that defines the peers of a resource: its stack, Auto Scaling group or cluster.
pub fn group_feature(features: &[Feature]) -> Option<i64> {
    let groups = features.iter().filter(|feature| feature.source <= Source::Cluster);
    groups.min_by_key(|feature| feature.source).map(|feature| feature.hash)
}

#[cfg(test)]
mod tests {
    use tagledger_policy::Policy;

    use super::*;

    /// A feature hash is not negative and encodes its source. Parts with the same characters but other boundaries give
    /// different hashes.
    #[test]
    fn feature_hash_encodes_source() {
        for source in Source::ALL {
            let feature = Feature::new(source, &["web"]);
            assert_eq!(Feature::source_from_hash(feature.hash), Some(source));
            assert!(feature.hash >= 0);
        }
        assert_ne!(Feature::new(Source::Tag, &["ab", "c"]).hash, Feature::new(Source::Tag, &["a", "bc"]).hash);
        assert_eq!(Feature::source_from_hash(estate_feature()), None);
    }

    /// A variant spelling of a policy key is a feature that does not predict that same key. CloudFormation stack tags
    /// give a stack feature, other `aws:` tags give none, and a cluster named by two tags counts once.
    #[test]
    fn key_variant_is_not_feature_of_itself() {
        let policy = r#"{"version": "1", "last_updated": "2026-01-01T00:00:00Z",
            "required_tags": [{"name": "Owner"}, {"name": "CostCenter"}]}"#;
        let policy = Policy::parse(policy).unwrap();
        let tags = [("cost-center", "x"), ("Team", "y"), ("aws:cloudformation:stack-name", "z"), ("aws:other", "w")];
        let features = tag_features(&tags.into_iter().collect(), &policy);
        let found: Vec<_> = features.iter().map(|feature| (feature.source, feature.policy_tag)).collect();
        assert_eq!(found, [(Source::Tag, None), (Source::Stack, None), (Source::Tag, Some(1))]);
        let twice = [("aws:eks:cluster-name", "prod"), ("eks:cluster-name", "prod")];
        assert_eq!(tag_features(&twice.into_iter().collect(), &policy).len(), 1, "one cluster with two tags");
        assert_eq!(group_feature(&features), features.iter().find(|f| f.source == Source::Stack).map(|f| f.hash));
    }
}
