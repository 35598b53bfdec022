//! Chance that is the same for the same seed.

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 up to `most`.
    pub fn below(&mut self, most: usize) -> usize {
        (self.unit() * most as f64) as usize
    }

    /// As `keys::clock::jitter`: somewhere between half of `most` and `most`.
    pub fn jitter(&mut self, most: u64) -> u64 {
        (most as f64 * (0.5 + self.unit() / 2.0)) as u64
    }

    /// As `keys::clock::spread`: anywhere up to `most`.
    pub fn spread(&mut self, most: u64) -> u64 {
        (most as f64 * self.unit()) as u64
    }

    /// The time until the next of what happens so often a second, in nanoseconds.
    pub fn next_of(&mut self, rate: f64) -> u64 {
        (-(1.0 - self.unit()).ln() / rate * 1e9) as u64
    }

    /// One of `0..count`; beyond the k-th in one of k cases (Pareto with exponent 1).
    pub fn recent(&mut self, count: usize) -> usize {
        ((1.0 / (1.0 - self.unit())) as usize).clamp(1, count) - 1
    }

    /// One of `0..count`, the k-th about as often as 1/k (Zipf with exponent 1).
    pub fn zipf(&mut self, count: usize) -> usize {
        ((count as f64 + 1.0).powf(self.unit()) as usize).clamp(1, count) - 1
    }
}
