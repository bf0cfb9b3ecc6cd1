//! A hash that is the same in every process and every version, which a hash map's hasher is not.

/// FNV-1a, 64 bits (RFC 9923).
#[derive(Clone, Copy, Debug)]
pub struct StableHash(u64);

impl Default for StableHash {
    fn default() -> Self {
        Self::new()
    }
}

impl StableHash {
    /// Of nothing yet.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Continues from a seed.
    pub const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// Takes a piece in; its end counts too, so that `ab`, `c` differs from `a`, `bc`.
    #[must_use]
    pub fn take(self, bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: u64| (hash ^ byte).wrapping_mul(0x100_0000_01b3);
        Self(step(bytes.iter().fold(self.0, |hash, byte| step(hash, u64::from(*byte))), 0x100))
    }

    /// FNV's last step mixes the low bits only; the first of the two rounds with which MurmurHash3 ends
    /// spreads them. What it gives is known to other versions, so the second round is not to be added.
    pub const fn finish(self) -> u64 {
        let mut hash = self.0;
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^ (hash >> 33)
    }

    /// The upper half.
    pub const fn finish_u32(self) -> u32 {
        (self.finish() >> 32) as u32
    }
}
