//! Counters.

/// Counters of a virtual or real server since it was created or last zeroed, and current rates.
/// "In" is from the client, "out" from the real server; with direct routing and tunnels IPVS does
/// not see the replies. Rates are the kernel's estimates, updated every two seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
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
    /// Connections a second.
    pub connection_rate: u64,
    /// Packets in a second.
    pub packet_rate_in: u64,
    /// Packets out a second.
    pub packet_rate_out: u64,
    /// Bytes in a second.
    pub byte_rate_in: u64,
    /// Bytes out a second.
    pub byte_rate_out: u64,
    /// Whether all of it has 64 bits; before Linux 4.1 all but the bytes wrap at 32.
    pub wide: bool,
}
