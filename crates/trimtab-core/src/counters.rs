//! What the kernel counts of a virtual or a real server.

use std::ops::AddAssign;

/// Traffic since a virtual or real server was made. "In" is from the client, "out" to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets in.
    pub packets_in: u64,
    /// Packets out.
    pub packets_out: u64,
    /// Bytes in.
    pub bytes_in: u64,
    /// Bytes out.
    pub bytes_out: u64,
}

impl Counters {
    /// What was counted since an earlier reading. If any counter went back, the server was made again
    /// or its counters were set to zero in between: then all of it was counted since.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let difference = || {
            Some(Self {
                connections: self.connections.checked_sub(earlier.connections)?,
                packets_in: self.packets_in.checked_sub(earlier.packets_in)?,
                packets_out: self.packets_out.checked_sub(earlier.packets_out)?,
                bytes_in: self.bytes_in.checked_sub(earlier.bytes_in)?,
                bytes_out: self.bytes_out.checked_sub(earlier.bytes_out)?,
            })
        };
        difference().unwrap_or(self)
    }

    /// Bytes in both directions.
    pub const fn bytes(&self) -> u64 {
        self.bytes_in.saturating_add(self.bytes_out)
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, more: Self) {
        // Sums of 64-bit counters that start at zero do not overflow in the life of a machine, and
        // must not panic in any case.
        self.connections = self.connections.saturating_add(more.connections);
        self.packets_in = self.packets_in.saturating_add(more.packets_in);
        self.packets_out = self.packets_out.saturating_add(more.packets_out);
        self.bytes_in = self.bytes_in.saturating_add(more.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(more.bytes_out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_went_back_began_again() {
        let at = |connections, bytes_in| Counters { connections, bytes_in, ..Counters::default() };
        assert_eq!(at(5, 900).since(at(3, 400)), at(2, 500));
        assert_eq!(at(5, 100).since(at(3, 400)), at(5, 100));
        assert_eq!(at(0, 0).since(at(3, 400)), at(0, 0));
        let mut sum = at(u64::MAX, 1);
        sum += at(1, 1);
        assert_eq!(sum, at(u64::MAX, 2));
    }
}
