//! Chance that is the same for everyone: a SplitMix64 stream per resource.

/// A stream of numbers that depends on nothing but what it was made of.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, scope: &str, number: u32) -> Self {
        let folded = scope.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // Mixed, because streams whose states differ by the increment are one stream shifted.
        let mut stream = Self(folded ^ u64::from(number).wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(stream.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `bound - 1`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound.max(1))).unwrap_or_default()
    }

    /// True in so many of a hundred.
    pub(crate) fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    /// One of several; the list is never empty.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.below(u32::try_from(of.len()).ok()?)).ok()?)
    }
}
