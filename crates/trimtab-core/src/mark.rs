//! Firewall marks for virtual servers.

/// The marks that virtual servers of ours may have: those made of some bits and no others. Everybody
/// who marks packets shares the 32 bits, and IPVS compares all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MarkRange {
    mask: u32,
}

impl MarkRange {
    /// Bits that neither kube-proxy (14 and 15), nor Calico (16 to 31 unless configured otherwise),
    /// nor Cilium (8 to 11 and 16 to 31) uses: 1023 marks.
    pub const DEFAULT: Self = Self { mask: 0x0000_30ff };

    /// The marks made of these bits; `None` without any.
    pub const fn of_bits(mask: u32) -> Option<Self> {
        if mask == 0 { None } else { Some(Self { mask }) }
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.mask
    }

    /// How many marks there are; 0 is none.
    pub const fn count(self) -> u32 {
        // 2^32 - 1 where all bits are allowed.
        u32::MAX >> (u32::BITS - self.mask.count_ones())
    }

    /// Whether a mark is one of them.
    pub const fn contains(self, mark: u32) -> bool {
        mark != 0 && mark & !self.mask == 0
    }

    /// The mark with this number, from 0 to [`Self::count`], that not included; greater ones start
    /// again.
    pub const fn nth(self, number: u32) -> u32 {
        let mut rest = number % self.count() + 1;
        let mut bits = self.mask;
        let mut mark = 0;
        while rest != 0 {
            let lowest = bits & bits.wrapping_neg();
            if rest & 1 != 0 {
                mark |= lowest;
            }
            bits ^= lowest;
            rest >>= 1;
        }
        mark
    }
}

impl Default for MarkRange {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_mark_of_its_own_made_of_the_allowed_bits() {
        for mask in [0x1, 0x8000_0000, 0x30ff, 0x0505_0000] {
            let range = MarkRange::of_bits(mask).unwrap();
            let marks: std::collections::BTreeSet<u32> =
                (0..range.count()).map(|number| range.nth(number)).collect();
            assert_eq!(marks.len(), (1 << mask.count_ones()) - 1);
            assert!(marks.iter().all(|mark| range.contains(*mark)));
            assert_eq!(range.nth(range.count()), range.nth(0), "they start again");
        }
        assert_eq!(MarkRange::of_bits(0), None);
        assert_eq!(MarkRange::of_bits(u32::MAX).unwrap().nth(4), 5);
        assert!(!MarkRange::DEFAULT.contains(0));
        assert!(!MarkRange::DEFAULT.contains(0x4001));
    }
}
