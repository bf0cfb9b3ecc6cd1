//! The source ports of a client, each used once.
//!
//! A connection that was closed stays known to connection tracking and to IPVS for a while (10 s
//! after a reset, net/netfilter/nf_conntrack_proto_tcp.c and ip_vs_proto_tcp.c). Another connection
//! from the same port would match it: it would not be new to IPVS, and a direct connection could
//! collide with one through the VIP.

use anyhow::{Context, Result, ensure};

/// Above the ports that a proxy listens on, 10249 and 10256,
const FIRST: usize = 10_300;
/// and below those that the kernel hands out, net.ipv4.ip_local_port_range.
const END: usize = 32_700;

/// The ports that are left.
#[derive(Debug)]
pub struct Ports {
    next: usize,
    end: usize,
}

impl Ports {
    /// Part `part`, of so many, of an address's ports.
    ///
    /// # Errors
    /// When that is fewer than `needed`.
    pub fn part(part: usize, of: usize, needed: usize) -> Result<Self> {
        let size = (END - FIRST) / of.max(1);
        ensure!(
            needed <= size,
            "a client would open {needed} connections and has {size} ports, each for one: take \
             fewer --rounds, --connections or --singles, or more --clients"
        );
        let next = FIRST + part * size;
        Ok(Self { next, end: next + size })
    }

    /// One that nothing came from yet.
    ///
    /// # Errors
    /// When none is left.
    pub fn take(&mut self) -> Result<u16> {
        let port = (self.next < self.end).then_some(self.next).context("no port is left")?;
        self.next += 1;
        Ok(u16::try_from(port)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn clients_of_one_address_share_no_port_and_get_none_twice() {
        let mut all = BTreeSet::new();
        for part in 0..3 {
            let mut ports = Ports::part(part, 3, 7_000).unwrap();
            while let Ok(port) = ports.take() {
                assert!(all.insert(port), "{port}");
            }
        }
        assert!(all.len() >= 21_000);
        assert!(all.first() > Some(&10_256) && all.last() < Some(&32_768));
    }

    #[test]
    fn more_connections_than_ports_are_refused_beforehand() {
        assert!(Ports::part(0, 1, END - FIRST).is_ok());
        assert!(Ports::part(0, 1, END - FIRST + 1).is_err());
        assert!(Ports::part(0, 2, END - FIRST).is_err());
    }
}
