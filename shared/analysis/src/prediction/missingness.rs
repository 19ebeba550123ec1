//! The distribution of known features among resources with a missing tag.
//!
//! Training cases are masked by this distribution. Cases with more features than such resources have would be too easy.

use std::collections::HashMap;

use crate::prediction::features::{Feature, Source};

/// The numbers of resources with a missing tag, by missingness pattern.
#[derive(Debug, Default)]
pub struct Missingness {
    patterns: Vec<(MissingnessPattern, u64)>,
    total: u64,
}

/// The known features of a resource with a missing tag. Prediction is easier for a resource with other tags, and when
/// its peers have the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MissingnessPattern {
    /// A bit for each tag of the policy that the resource has, variants included; the highest bit for any other tag.
    tags: u64,
    /// Whether its peers have the tag.
    pub peers: PeerGroup,
}

/// The peers of a resource: those with the same stack, Auto Scaling group or cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerGroup {
    /// The resource has no peers.
    None,
    /// At least one peer has the tag.
    Labeled,
    /// No peer has the tag.
    Unlabeled,
}

const OTHER_TAG_BIT: u64 = 1 << 63;

impl Missingness {
    /// From the number of resources of each pattern.
    pub fn from_counts(patterns: HashMap<MissingnessPattern, u64>) -> Self {
        let mut patterns: Vec<(MissingnessPattern, u64)> = patterns.into_iter().collect();
        patterns.sort_unstable();
        Self { total: patterns.iter().map(|(_, resources)| resources).sum(), patterns }
    }

    /// A pattern for the sample of a number. Over many numbers, each pattern is as frequent as among the resources.
    pub fn sample(&self, number: usize) -> MissingnessPattern {
        let mut remaining =
            (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).checked_rem(self.total).unwrap_or_default();
        for (pattern, resources) in &self.patterns {
            match remaining.checked_sub(*resources) {
                Some(rest) => remaining = rest,
                None => return *pattern,
            }
        }
        MissingnessPattern::COMPLETE
    }
}

impl MissingnessPattern {
    /// All features are known.
    pub const COMPLETE: Self = Self { tags: u64::MAX, peers: PeerGroup::Labeled };

    /// The pattern of a resource with these features.
    pub fn from_features(features: &[Feature], peers: PeerGroup) -> Self {
        let tags = features.iter().filter(|feature| feature.source == Source::Tag);
        Self { tags: tags.fold(0, |bits, feature| bits | tag_bit(feature.policy_tag)), peers }
    }

    /// Whether a resource with this pattern has features of this kind.
    pub fn is_observed(self, feature: &Feature) -> bool {
        match feature.source {
            Source::Tag => self.tags & tag_bit(feature.policy_tag) != 0,
            source => source > Source::Cluster || self.peers != PeerGroup::None,
        }
    }
}

/// The bit of a tag of the policy, or of all other tags.
fn tag_bit(key: Option<u8>) -> u64 {
    key.map_or(OTHER_TAG_BIT, |key| 1_u64.checked_shl(u32::from(key)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::features::{Feature, Source};

    /// Missingness patterns are drawn in proportion to their frequency among resources. Without any patterns, the
    /// pattern that hides nothing is drawn.
    #[test]
    fn missingness_patterns_are_sampled_by_frequency() {
        let pattern = |tags| MissingnessPattern { tags, peers: PeerGroup::None };
        let missingness = Missingness::from_counts([(pattern(1), 30), (pattern(2), 10)].into());
        let picked = (0..4_000).filter(|number| missingness.sample(*number) == pattern(1)).count();
        assert!((2_900..3_100).contains(&picked), "{picked}");
        assert_eq!(Missingness::default().sample(5), MissingnessPattern::COMPLETE);
    }

    /// A missingness pattern masks the tags that the resource does not have, and masks features of peer groups when the
    /// resource has no peers. Other features remain visible.
    #[test]
    fn pattern_masks_absent_tags_and_peers() {
        let feature = |source, policy_tag| Feature { source, hash: 1, policy_tag };
        let bare = MissingnessPattern::from_features(&[feature(Source::SecurityGroup, None)], PeerGroup::None);
        let [other, own] = [feature(Source::Tag, None), feature(Source::Tag, Some(3))];
        assert!(
            !bare.is_observed(&other) && !bare.is_observed(&own) && !bare.is_observed(&feature(Source::Stack, None))
        );
        assert!(bare.is_observed(&feature(Source::Vpc, None)));
        let tagged = MissingnessPattern::from_features(&[own], PeerGroup::Unlabeled);
        assert!(
            tagged.is_observed(&own)
                && !tagged.is_observed(&other)
                && tagged.is_observed(&feature(Source::Stack, None))
        );
    }
}
