//! What a resource shares with others.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::words::words;
use crate::{
    AccountId, ResourceType,
    inventory::{Neighbour, NeighbourKind, TagSet, is_reserved},
    policy::Policy,
};

/// Where evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The CloudFormation stack that made it.
    Stack,
    /// Its Auto Scaling group.
    ScalingGroup,
    /// The cluster or environment that runs it.
    Cluster,
    /// The resource that it is a part of.
    Parent,
    /// A security group of its.
    SecurityGroup,
    /// The role that it runs as.
    Role,
    /// Its subnet.
    Subnet,
    /// Its VPC.
    Vpc,
    /// Another tag that it has.
    Tag,
    /// A word of its name.
    Name,
    /// Its account.
    Account,
    /// Who created it, and the role that they had.
    Creator,
}

impl Source {
    /// Every source, in the order of their places.
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

    pub(super) const fn place(self) -> usize {
        self as usize
    }

    /// Resources that must share it before it says anything: words and tags that only two have are chance.
    pub const fn fewest(self) -> u64 {
        match self {
            Self::Tag | Self::Name => 3,
            Self::Creator => 2,
            _ => 1,
        }
    }
}

/// Something that a resource shares with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Feature {
    /// Where it comes from.
    pub source: Source,
    /// 63 bits of a hash of what it is, the same in every ledger; the lowest four are the source's place.
    pub hash: i64,
    /// The place of the policy's tag that it is a spelling of: it says nothing of that one.
    pub of: Option<u8>,
}

impl Feature {
    /// Whether it says something of the policy's tag at that place.
    pub fn tells(&self, key: usize) -> bool {
        self.of.is_none_or(|of| usize::from(of) != key)
    }
}

impl Feature {
    fn new(source: Source, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
        let first = hash.finalize().iter().take(8).fold(0_i64, |bits, byte| (bits << 8) | i64::from(*byte));
        let place = i64::try_from(source.place()).unwrap_or_default();
        Self { source, hash: (first & i64::MAX & !0xf) | place, of: None }
    }

    /// The source of a hash.
    pub fn source_of(hash: i64) -> Option<Source> {
        Source::ALL.iter().copied().find(|source| i64::try_from(source.place()) == Ok(hash & 0xf))
    }
}

/// What all resources share.
pub fn estate() -> i64 {
    0xf
}

/// Of its account.
pub fn of_account(account: &AccountId) -> Feature {
    Feature::new(Source::Account, &[account.as_str()])
}

/// Of the words of its name, and of the first two together.
pub fn of_name(name: &str) -> Vec<Feature> {
    Namer::default().features(name)
}

/// Gives the features of many names: most words repeat.
#[derive(Debug, Default)]
pub struct Namer(HashMap<String, Feature>);

impl Namer {
    /// As [`of_name`].
    pub fn features(&mut self, name: &str) -> Vec<Feature> {
        let mut words = words(name);
        if let [first, second, ..] = words.as_slice() {
            words.push(format!("{first} {second}"));
        }
        words.into_iter().map(|word| self.feature(word)).collect()
    }

    fn feature(&mut self, word: String) -> Feature {
        if let Some(known) = self.0.get(&word) {
            return *known;
        }
        let feature = Feature::new(Source::Name, &[&word]);
        self.0.insert(word, feature);
        feature
    }
}

/// The name that people gave it: its Name tag, or its id where that is a name.
pub fn name<'a>(resource_type: ResourceType, tag: Option<&'a str>, id: &'a str) -> Option<&'a str> {
    match resource_type {
        ResourceType::Ec2Instance | ResourceType::Ec2Volume => tag,
        _ => Some(id),
    }
}

/// Of what it stands in.
pub fn of_neighbours(neighbours: &[Neighbour]) -> Vec<Feature> {
    let source = |kind| match kind {
        NeighbourKind::SecurityGroup => Source::SecurityGroup,
        NeighbourKind::Role => Source::Role,
        NeighbourKind::Subnet => Source::Subnet,
        NeighbourKind::Vpc => Source::Vpc,
    };
    neighbours.iter().map(|neighbour| Feature::new(source(neighbour.kind), &[&neighbour.name])).collect()
}

/// Of who created it, by the ARN of the principal. A session is a person or a machine, and has the role of many.
pub fn of_creator(principal: &str) -> Vec<Feature> {
    let role = principal.contains(":assumed-role/").then(|| principal.rsplit_once('/')).flatten();
    let all = [Some(principal), role.map(|(role, _)| role)];
    all.into_iter().flatten().map(|arn| Feature::new(Source::Creator, &[arn])).collect()
}

/// Keys by which AWS and others mark what belongs together.
const MARKS: [(&str, Source); 8] = [
    ("aws:cloudformation:stack-name", Source::Stack),
    ("aws:autoscaling:groupName", Source::ScalingGroup),
    ("aws:ecs:clusterName", Source::Cluster),
    ("aws:eks:cluster-name", Source::Cluster),
    ("eks:cluster-name", Source::Cluster),
    ("eks:nodegroup-name", Source::ScalingGroup),
    ("elasticbeanstalk:environment-name", Source::Cluster),
    ("aws:servicecatalog:provisionedProductArn", Source::Stack),
];

/// Longest value that says something of others; longer ones are descriptions.
const LONGEST_VALUE: usize = 128;

/// Of its tags.
pub fn of_tags(tags: &TagSet, policy: &Policy) -> Vec<Feature> {
    each_once(tags.iter().filter_map(|(key, value)| of_tag(key, value, policy.meant(key))).collect())
}

/// Each feature once: the same cluster is often marked by two tags.
pub fn each_once(mut features: Vec<Feature>) -> Vec<Feature> {
    let mut seen = Vec::with_capacity(features.len());
    features.retain(|feature| {
        !seen.contains(&feature.hash) && {
            seen.push(feature.hash);
            true
        }
    });
    features
}

/// Of one tag, whose key is a spelling of the policy's tag at a place or of none; none of a tag that says nothing of others.
pub fn of_tag(key: &str, value: &str, meant: Option<usize>) -> Option<Feature> {
    if let Some((_, source)) = MARKS.iter().find(|(mark, _)| *mark == key) {
        return Some(Feature::new(*source, &[value]));
    }
    if is_reserved(key) || key == "Name" || value.is_empty() || value.len() > LONGEST_VALUE {
        return None;
    }
    let of = meant.and_then(|place| u8::try_from(place).ok());
    Some(Feature { of, ..Feature::new(Source::Tag, &[key, value]) })
}

/// What it belongs together with, from its tags: a stack, a group or a cluster.
pub fn group(features: &[Feature]) -> Option<i64> {
    let marks = features.iter().filter(|feature| feature.source <= Source::Cluster);
    marks.min_by_key(|feature| feature.source).map(|feature| feature.hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tells_its_source_and_another_source_has_another() {
        for source in Source::ALL {
            let feature = Feature::new(source, &["web"]);
            assert_eq!(Feature::source_of(feature.hash), Some(source));
            assert!(feature.hash >= 0);
        }
        assert_ne!(Feature::new(Source::Tag, &["ab", "c"]).hash, Feature::new(Source::Tag, &["a", "bc"]).hash);
        assert_eq!(Feature::source_of(estate()), None);
    }

    #[test]
    fn a_tag_says_nothing_of_itself_in_another_spelling() {
        let policy = r#"{"version": "1", "last_updated": "2026-01-01T00:00:00Z",
            "required_tags": [{"name": "Owner"}, {"name": "CostCenter"}]}"#;
        let policy = Policy::parse(policy).unwrap();
        let tags = [("cost-center", "x"), ("Team", "y"), ("aws:cloudformation:stack-name", "z"), ("aws:other", "w")];
        let features = of_tags(&tags.into_iter().collect(), &policy);
        let told: Vec<_> = features.iter().map(|feature| (feature.source, feature.of)).collect();
        assert_eq!(told, [(Source::Tag, None), (Source::Stack, None), (Source::Tag, Some(1))]);
        let twice = [("aws:eks:cluster-name", "prod"), ("eks:cluster-name", "prod")];
        assert_eq!(of_tags(&twice.into_iter().collect(), &policy).len(), 1, "one cluster, marked twice");
        assert_eq!(group(&features), features.iter().find(|f| f.source == Source::Stack).map(|f| f.hash));
    }
}
