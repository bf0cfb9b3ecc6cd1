//! The 17 ipsets of the IPVS mode, two of our own, and what they hold.
//!
//! Names, types and meaning of the 17 are kube-proxy's, so that either program can take a node over
//! from the other. The `hash:ip,port` sets and the node-port sets also say which virtual servers are
//! ours. The two of our own are for virtual servers whose frontend is a firewall mark.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::{Family, Protocol};

/// The type of an ipset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetType {
    /// Addresses.
    HashIp,
    /// Addresses with protocol and port.
    HashIpPort,
    /// Addresses with protocol and port, and a second address.
    HashIpPortIp,
    /// Addresses with protocol and port, and a network.
    HashIpPortNet,
    /// Ports 0 to 65535, one bit each.
    BitmapPort,
}

impl SetType {
    /// The kernel's and the `ipset` program's name, such as `hash:ip,port`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HashIp => "hash:ip",
            Self::HashIpPort => "hash:ip,port",
            Self::HashIpPortIp => "hash:ip,port,ip",
            Self::HashIpPortNet => "hash:ip,port,net",
            Self::BitmapPort => "bitmap:port",
        }
    }

    /// The type with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::HashIp, Self::HashIpPort, Self::HashIpPortIp, Self::HashIpPortNet, Self::BitmapPort]
            .into_iter()
            .find(|set_type| set_type.name() == name)
    }
}

impl fmt::Display for SetType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! sets {
    ($( $(#[$doc:meta])* $kind:ident, $v4:literal, $v6:literal, $set_type:ident; )*) => {
        /// What an ipset is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SetKind { $( $(#[$doc])* $kind, )* }

        impl SetKind {
            /// All sets of one family.
            pub const ALL: [Self; 19] = [$( Self::$kind ),*];

            /// The type of its elements.
            pub const fn set_type(self) -> SetType {
                match self { $( Self::$kind => SetType::$set_type, )* }
            }

            const fn name(self, family: Family) -> &'static str {
                match (self, family) {
                    $( (Self::$kind, Family::V4) => $v4, (Self::$kind, Family::V6) => $v6, )*
                }
            }
        }
    };
}

// A set's name has 31 characters at most (IPSET_MAXNAMELEN, include/uapi/linux/netfilter/ipset/
// ip_set.h); kube-proxy cuts the IPv6 names there, hence the two odd endings.
sets! {
    /// Endpoints on this node, against themselves: a pod reaching itself through its Service.
    LoopBack, "KUBE-LOOP-BACK", "KUBE-6-LOOP-BACK", HashIpPortIp;
    /// Every cluster IP and port.
    ClusterIp, "KUBE-CLUSTER-IP", "KUBE-6-CLUSTER-IP", HashIpPort;
    /// External IPs of Services whose external traffic policy is Cluster.
    ExternalIp, "KUBE-EXTERNAL-IP", "KUBE-6-EXTERNAL-IP", HashIpPort;
    /// External IPs of Services whose external traffic policy is Local.
    ExternalIpLocal, "KUBE-EXTERNAL-IP-LOCAL", "KUBE-6-EXTERNAL-IP-LOCAL", HashIpPort;
    /// Load-balancer VIPs.
    LoadBalancer, "KUBE-LOAD-BALANCER", "KUBE-6-LOAD-BALANCER", HashIpPort;
    /// Those of them whose external traffic policy is Local.
    LoadBalancerLocal, "KUBE-LOAD-BALANCER-LOCAL", "KUBE-6-LOAD-BALANCER-LOCAL", HashIpPort;
    /// Those of them with source ranges.
    LoadBalancerFirewall, "KUBE-LOAD-BALANCER-FW", "KUBE-6-LOAD-BALANCER-FW", HashIpPort;
    /// Their source ranges.
    LoadBalancerSourceCidr,
        "KUBE-LOAD-BALANCER-SOURCE-CIDR", "KUBE-6-LOAD-BALANCER-SOURCE-CID", HashIpPortNet;
    /// Those whose source ranges let this node in.
    LoadBalancerSourceIp,
        "KUBE-LOAD-BALANCER-SOURCE-IP", "KUBE-6-LOAD-BALANCER-SOURCE-IP", HashIpPortIp;
    /// TCP node ports.
    NodePortTcp, "KUBE-NODE-PORT-TCP", "KUBE-6-NODE-PORT-TCP", BitmapPort;
    /// TCP node ports whose external traffic policy is Local.
    NodePortLocalTcp, "KUBE-NODE-PORT-LOCAL-TCP", "KUBE-6-NODE-PORT-LOCAL-TCP", BitmapPort;
    /// UDP node ports.
    NodePortUdp, "KUBE-NODE-PORT-UDP", "KUBE-6-NODE-PORT-UDP", BitmapPort;
    /// UDP node ports whose external traffic policy is Local.
    NodePortLocalUdp, "KUBE-NODE-PORT-LOCAL-UDP", "KUBE-6-NODE-PORT-LOCAL-UDP", BitmapPort;
    /// SCTP node ports with each node address, as a port bitmap cannot tell SCTP.
    NodePortSctp, "KUBE-NODE-PORT-SCTP-HASH", "KUBE-6-NODE-PORT-SCTP-HASH", HashIpPort;
    /// SCTP node ports whose external traffic policy is Local.
    NodePortLocalSctp,
        "KUBE-NODE-PORT-LOCAL-SCTP-HASH", "KUBE-6-NODE-PORT-LOCAL-SCTP-HAS", HashIpPort;
    /// Health-check node ports.
    HealthCheckNodePort,
        "KUBE-HEALTH-CHECK-NODE-PORT", "KUBE-6-HEALTH-CHECK-NODE-PORT", BitmapPort;
    /// Every VIP on the dummy interface.
    IpvsIps, "KUBE-IPVS-IPS", "KUBE-6-IPVS-IPS", HashIp;
    /// Frontends that clients inside the cluster see otherwise than those outside, each with the
    /// firewall mark that the packets of clients inside are given (`skbinfo`).
    Inside, "TRIMTAB-INSIDE", "TRIMTAB-6-INSIDE", HashIpPort;
    /// The marks of our virtual servers, each written as an address ([`SetElement::of_mark`]): in the
    /// set before the virtual server is made, and until it is gone.
    Marks, "TRIMTAB-MARKS", "TRIMTAB-6-MARKS", HashIp;
}

impl SetKind {
    /// Whether its elements are [`SetElement::IpPortMark`].
    pub const fn has_marks(self) -> bool {
        matches!(self, Self::Inside)
    }
}

/// One of the sets in one family: what has a name in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId {
    /// What it is for.
    pub kind: SetKind,
    /// Whose packets it matches.
    pub family: Family,
}

impl SetId {
    /// The set of this kind in this family.
    pub const fn new(kind: SetKind, family: Family) -> Self {
        Self { kind, family }
    }

    /// How many sets there are.
    pub const COUNT: usize = SetKind::ALL.len() * Family::ALL.len();

    /// A number of its own for each set, below [`SetId::COUNT`].
    pub const fn index(self) -> usize {
        self.kind as usize + self.family as usize * SetKind::ALL.len()
    }

    /// All 38 sets, IPv4 first; in the order of [`SetId::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        Family::ALL
            .into_iter()
            .flat_map(|family| SetKind::ALL.into_iter().map(move |kind| Self { kind, family }))
    }

    /// Its name in the kernel, such as `KUBE-6-CLUSTER-IP`.
    pub const fn name(self) -> &'static str {
        self.kind.name(self.family)
    }

    /// The set with this name, if it is one of ours.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|set| set.name() == name)
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An element of an ipset; which variant goes with which [`SetType`] follows from the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetElement {
    /// `hash:ip`
    Ip(IpAddr),
    /// `bitmap:port`
    Port(u16),
    /// `hash:ip,port`
    IpPort(IpAddr, Protocol, u16),
    /// `hash:ip,port` with `skbinfo`: the endpoint, which the set has once at most, and the firewall
    /// mark that goes with it. Adding it again with another mark changes the mark; for deleting it
    /// the mark does not matter.
    IpPortMark(IpAddr, Protocol, u16, u32),
    /// `hash:ip,port,ip`
    IpPortIp(IpAddr, Protocol, u16, IpAddr),
    /// `hash:ip,port,net`; the network's host bits are 0.
    IpPortNet(IpAddr, Protocol, u16, IpNet),
}

impl SetElement {
    /// The element of [`SetKind::Marks`] that stands for a mark: the mark's 32 bits as the last ones
    /// of an address.
    pub const fn of_mark(mark: u32, family: Family) -> Self {
        Self::Ip(match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(mark)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(mark as u128)),
        })
    }

    /// The type of set this element fits.
    pub const fn set_type(&self) -> SetType {
        match self {
            Self::Ip(_) => SetType::HashIp,
            Self::Port(_) => SetType::BitmapPort,
            Self::IpPort(..) | Self::IpPortMark(..) => SetType::HashIpPort,
            Self::IpPortIp(..) => SetType::HashIpPortIp,
            Self::IpPortNet(..) => SetType::HashIpPortNet,
        }
    }
}

/// Prints what `ipset save` prints: a network that is one address goes without its length.
impl fmt::Display for SetElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Port(port) => port.fmt(f),
            Self::IpPort(ip, protocol, port) => write!(f, "{ip},{}:{port}", protocol.lower()),
            Self::IpPortMark(ip, protocol, port, mark) => {
                write!(f, "{ip},{}:{port} skbmark {mark:#x}", protocol.lower())
            }
            Self::IpPortIp(ip, protocol, port, second) => {
                write!(f, "{ip},{}:{port},{second}", protocol.lower())
            }
            Self::IpPortNet(ip, protocol, port, net) => {
                write!(f, "{ip},{}:{port},", protocol.lower())?;
                if net.prefix_len() == net.max_prefix_len() {
                    net.addr().fmt(f)
                } else {
                    net.fmt(f)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_the_kernel() {
        let mut names: Vec<_> = SetId::all().map(SetId::name).collect();
        assert!(names.iter().all(|name| name.len() <= 31));
        assert!(SetId::all().all(|set| SetId::from_name(set.name()) == Some(set)));
        assert!(SetId::all().map(SetId::index).eq(0..SetId::COUNT));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 38);
    }

    #[test]
    fn ipv6_names_follow_kube_proxys_rule() {
        for kind in SetKind::ALL {
            let v4 = SetId::new(kind, Family::V4).name();
            let mut v6 = v4.replacen('-', "-6-", 1);
            v6.truncate(31);
            assert_eq!(SetId::new(kind, Family::V6).name(), v6);
        }
    }

    #[test]
    fn elements_print_as_ipset_save_prints_them() {
        let vip = "203.0.113.1".parse().unwrap();
        let print = |net: &str| {
            SetElement::IpPortNet(vip, Protocol::Tcp, 443, net.parse().unwrap()).to_string()
        };
        assert_eq!(print("192.0.2.0/24"), "203.0.113.1,tcp:443,192.0.2.0/24");
        assert_eq!(print("198.51.100.7/32"), "203.0.113.1,tcp:443,198.51.100.7");
        let six = "fd00:96::a".parse().unwrap();
        assert_eq!(SetElement::IpPort(six, Protocol::Udp, 53).to_string(), "fd00:96::a,udp:53");
        assert_eq!(
            SetElement::IpPortIp(six, Protocol::Sctp, 53, six).to_string(),
            "fd00:96::a,sctp:53,fd00:96::a"
        );
        assert_eq!(
            SetElement::IpPortMark(vip, Protocol::Tcp, 443, 0x1005).to_string(),
            "203.0.113.1,tcp:443 skbmark 0x1005"
        );
        assert_eq!(SetElement::of_mark(0x1005, Family::V4).to_string(), "0.0.16.5");
        assert_eq!(SetElement::of_mark(0x1005, Family::V6).to_string(), "::1005");
    }
}
