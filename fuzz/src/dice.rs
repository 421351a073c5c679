//! Chance that repeats by its seed, as libFuzzer asks of a mutator.

/// A row of numbers (SplitMix64).
pub struct Dice(u64);

impl Dice {
    /// The row of a seed.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// How often to do something: mostly a few times, now and then up to
    /// two to the power of `most`. Large inputs are slow, and few are needed.
    pub fn times(&mut self, most: usize) -> usize {
        1 << match self.below(8) {
            0 => self.below(most),
            _ => self.below(3),
        }
    }

    /// One of some.
    ///
    /// # Panics
    /// There are none.
    pub fn pick<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len())]
    }
}
