//! What answers.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What makes a real server unique within its virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealServerKey {
    /// Its address, of either family: a tunnel may lead from one to the other.
    pub address: IpAddr,
    /// Its port in host order.
    pub port: u16,
}

impl RealServerKey {
    /// The key for an address and a port.
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }
}

/// Prints `10.244.0.5:8080` or `[fd00::5]:8080`.
impl fmt::Display for RealServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// How packets reach a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ForwardingMethod {
    /// Destination NAT; replies come back through this host. `Masq` in ipvsadm, `-m`.
    #[default]
    Masquerade,
    /// The real server is this host. `Local` in ipvsadm.
    Local,
    /// Encapsulated. `Tunnel` in ipvsadm, `-i`.
    Tunnel,
    /// By changing the link-layer address only. `Route` in ipvsadm, `-g`.
    DirectRoute,
    /// Past IPVS, by the routing table; the kernel makes these itself for cache clusters.
    Bypass,
}

/// The encapsulation of [`ForwardingMethod::Tunnel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TunnelKind {
    /// IP in IP.
    #[default]
    IpIp,
    /// Generic UDP Encapsulation, to this port in host order.
    Gue {
        /// UDP port of the far end.
        port: u16,
    },
    /// Generic Routing Encapsulation.
    Gre,
}

/// A tunnel to a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tunnel {
    /// Encapsulation.
    pub kind: TunnelKind,
    /// `IP_VS_TUNNEL_ENCAP_FLAG_*` (include/uapi/linux/ip_vs.h): checksum and remote checksum.
    pub flags: u16,
}

/// A real server: identity and options, never counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealServer {
    /// Its identity.
    pub key: RealServerKey,
    /// How packets reach it.
    pub forwarding: ForwardingMethod,
    /// Share of new connections; 0 gets none and keeps the ones it has.
    pub weight: u32,
    /// Connections above which it gets no new one; 0 for no limit.
    pub upper_threshold: u32,
    /// Connections below which it gets new ones again; 0 for three quarters of the upper.
    pub lower_threshold: u32,
    /// Encapsulation, meaningful with [`ForwardingMethod::Tunnel`].
    pub tunnel: Tunnel,
}

impl RealServer {
    /// A masqueraded real server of weight 1 without thresholds.
    pub const fn masqueraded(key: RealServerKey) -> Self {
        Self {
            key,
            forwarding: ForwardingMethod::Masquerade,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel: Tunnel { kind: TunnelKind::IpIp, flags: 0 },
        }
    }
}
