//! Deterministic pseudorandom numbers: one SplitMix64 stream for each resource.

/// A pseudorandom number generator that is determined by its inputs.
pub(crate) struct Rng(u64);

impl Rng {
    /// Creates a generator for the resource with this number in this scope.
    pub(crate) fn new(seed: u64, scope: &str, number: u32) -> Self {
        let folded = scope.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // The state is mixed, because two streams whose states differ by the increment are one shifted stream.
        let mut stream = Self(folded ^ u64::from(number).wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(stream.next_u64())
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to `bound - 1`.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next_u64() % u64::from(bound.max(1))).unwrap_or_default()
    }

    /// Returns true with a probability of `percent` percent.
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// Picks one element, or `None` if there are none.
    pub(crate) fn pick<'a, T>(&mut self, elements: &'a [T]) -> Option<&'a T> {
        elements.get(usize::try_from(self.below(u32::try_from(elements.len()).ok()?)).ok()?)
    }
}
