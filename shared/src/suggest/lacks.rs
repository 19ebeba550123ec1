//! What resources that lack a tag have otherwise: a lesson that has more than they would be too easy.

use std::collections::HashMap;

use super::features::{Feature, Source};

/// How many resources that lack a tag are alike in what else is known of them.
#[derive(Debug, Default)]
pub(crate) struct Lacks {
    patterns: Vec<(Pattern, u64)>,
    all: u64,
}

/// What is known of a resource that lacks a tag: it is easier to tell of one that has other tags, and whose kin has this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pattern {
    /// A bit for each tag of the policy that it has, in whatever spelling; the highest for any other tag.
    tags: u64,
    pub(crate) kin: Kin,
}

/// Others that were made together with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kin {
    /// There are none.
    None,
    /// Some have the tag.
    Tells,
    /// None has it.
    Silent,
}

const OTHER_TAGS: u64 = 1 << 63;

impl Lacks {
    /// Of so many resources by pattern.
    pub(crate) fn of(patterns: HashMap<Pattern, u64>) -> Self {
        let mut patterns: Vec<(Pattern, u64)> = patterns.into_iter().collect();
        patterns.sort_unstable();
        Self { all: patterns.iter().map(|(_, resources)| resources).sum(), patterns }
    }

    /// One of the patterns, each as often as it is in the estate.
    pub(crate) fn pick(&self, number: usize) -> Pattern {
        let mut left = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).checked_rem(self.all).unwrap_or_default();
        for (pattern, resources) in &self.patterns {
            match left.checked_sub(*resources) {
                Some(rest) => left = rest,
                None => return *pattern,
            }
        }
        Pattern::WHOLE
    }
}

impl Pattern {
    /// All is known.
    pub(crate) const WHOLE: Self = Self { tags: u64::MAX, kin: Kin::Tells };

    /// Of a resource with these features.
    pub(crate) fn of(features: &[Feature], kin: Kin) -> Self {
        let tags = features.iter().filter(|feature| feature.source == Source::Tag);
        Self { tags: tags.fold(0, |bits, feature| bits | bit(feature.of)), kin }
    }

    pub(crate) fn shows(self, feature: &Feature) -> bool {
        match feature.source {
            Source::Tag => self.tags & bit(feature.of) != 0,
            source => source > Source::Cluster || self.kin != Kin::None,
        }
    }
}

/// The bit of a tag of the policy, or of any other.
fn bit(key: Option<u8>) -> u64 {
    key.map_or(OTHER_TAGS, |key| 1_u64.checked_shl(u32::from(key)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_picked_as_often_as_they_are_in_the_estate() {
        let pattern = |tags| Pattern { tags, kin: Kin::None };
        let lacks = Lacks::of([(pattern(1), 30), (pattern(2), 10)].into());
        let picked = (0..4_000).filter(|number| lacks.pick(*number) == pattern(1)).count();
        assert!((2_900..3_100).contains(&picked), "{picked}");
        assert_eq!(Lacks::default().pick(5), Pattern::WHOLE);
    }

    #[test]
    fn a_pattern_hides_the_tags_and_the_kin_that_a_resource_lacks() {
        let feature = |source, of| Feature { source, hash: 1, of };
        let bare = Pattern::of(&[feature(Source::SecurityGroup, None)], Kin::None);
        let [other, own] = [feature(Source::Tag, None), feature(Source::Tag, Some(3))];
        assert!(!bare.shows(&other) && !bare.shows(&own) && !bare.shows(&feature(Source::Stack, None)));
        assert!(bare.shows(&feature(Source::Vpc, None)));
        let tagged = Pattern::of(&[own], Kin::Silent);
        assert!(tagged.shows(&own) && !tagged.shows(&other) && tagged.shows(&feature(Source::Stack, None)));
    }
}
