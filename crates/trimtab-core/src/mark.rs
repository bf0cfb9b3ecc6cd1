//! Firewall marks for virtual servers.

/// The marks that virtual servers of ours may have, made of certain bits of the packet mark and no
/// others. Everybody who marks packets shares its 32 bits, and IPVS compares all of them.
///
/// Of the range's bits, the second highest is in every mark, so that none is a small number such as
/// administrators mark packets with by hand: IPVS takes whatever has the mark of a virtual server.
/// The highest bit is in no mark: the packet filter uses it between the steps in which it decides
/// whether a packet gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MarkRange {
    bits: u32,
}

impl MarkRange {
    /// Bits that neither kube-proxy (14 and 15), nor Calico (16 to 31 unless configured otherwise),
    /// nor Cilium (8 to 11 and 16 to 31) uses: 256 marks, 0x1000 to 0x10ff. Bit 13 is the `portmap`
    /// plug-in's, which masquerades what leaves with it: ours never does.
    pub const DEFAULT: Self = Self { bits: 0x0000_30ff };

    /// The marks made of these bits; `None` for fewer than three.
    pub const fn of_bits(bits: u32) -> Option<Self> {
        if bits.count_ones() < 3 { None } else { Some(Self { bits }) }
    }

    /// Without these bits; `None` where too few are left.
    pub const fn without(self, bits: u32) -> Option<Self> {
        Self::of_bits(self.bits & !bits)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// The bit that no mark has.
    pub const fn gate(self) -> u32 {
        highest(self.bits)
    }

    /// The bit that every mark has.
    pub const fn tag(self) -> u32 {
        highest(self.bits ^ self.gate())
    }

    /// The bits that tell marks apart.
    pub const fn free_bits(self) -> u32 {
        self.bits ^ self.gate() ^ self.tag()
    }

    /// How many marks there are.
    pub const fn count(self) -> u32 {
        1 << self.free_bits().count_ones()
    }

    /// Whether a mark is one of them.
    pub const fn contains(self, mark: u32) -> bool {
        mark & !self.free_bits() == self.tag()
    }

    /// The mark with this number, from 0 to [`Self::count`], that not included; greater ones start
    /// again.
    pub const fn nth(self, number: u32) -> u32 {
        let mut rest = number % self.count();
        let mut bits = self.free_bits();
        let mut mark = self.tag();
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

const fn highest(bits: u32) -> u32 {
    1 << (u32::BITS - 1 - bits.leading_zeros())
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
        for bits in [0x7, 0xc000_0001, 0x30ff, 0x0505_0000] {
            let range = MarkRange::of_bits(bits).unwrap();
            let marks: std::collections::BTreeSet<u32> =
                (0..range.count()).map(|number| range.nth(number)).collect();
            assert_eq!(marks.len(), 1 << (bits.count_ones() - 2));
            assert!(marks.iter().all(|mark| range.contains(*mark)));
            assert!(marks.iter().all(|mark| mark & range.gate() == 0 && mark & !bits == 0));
            assert_eq!(range.nth(range.count()), range.nth(0), "they start again");
        }
        assert_eq!(MarkRange::of_bits(0), None);
        assert_eq!(MarkRange::of_bits(0x3), None);
        assert_eq!(MarkRange::of_bits(u32::MAX).unwrap().nth(4), 0x4000_0004);
    }

    #[test]
    fn small_marks_and_those_of_others_are_not_in_the_range() {
        let range = MarkRange::DEFAULT;
        assert_eq!((range.gate(), range.tag(), range.free_bits()), (0x2000, 0x1000, 0xff));
        for mark in [0, 1, 0xff, 0x4000, 0x4001, 0x5001, 0x2001, 0x3001, 0x1_1001] {
            assert!(!range.contains(mark), "{mark:#x}");
        }
        assert!(range.contains(0x1000) && range.contains(0x10ff));
    }
}
