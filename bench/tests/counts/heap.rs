//! Counts allocations.

use std::ops::{AddAssign, Sub};

use crate::ALLOCATOR;

/// Counts since the start of the process, or between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heap {
    /// Allocations, and those that were made larger or smaller.
    pub(crate) allocations: usize,
    /// Bytes of them.
    pub(crate) bytes: usize,
    /// Bytes that are in use.
    pub(crate) live: isize,
}

impl Heap {
    /// Until now.
    pub(crate) fn now() -> Self {
        let stats = ALLOCATOR.stats();
        Self {
            allocations: stats.allocations + stats.reallocations,
            bytes: stats.bytes_allocated,
            live: stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated).cast_signed(),
        }
    }
}

impl Sub for Heap {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            allocations: self.allocations - before.allocations,
            bytes: self.bytes - before.bytes,
            live: self.live - before.live,
        }
    }
}

impl AddAssign for Heap {
    fn add_assign(&mut self, other: Self) {
        self.allocations += other.allocations;
        self.bytes += other.bytes;
        self.live += other.live;
    }
}

/// Bytes of this process in memory, after what is free was given back.
pub(crate) fn resident() -> usize {
    trimtab_agent::allocator::give_back();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kibibytes: usize = line.trim().strip_suffix("kB").unwrap().trim().parse().unwrap();
    kibibytes << 10
}
