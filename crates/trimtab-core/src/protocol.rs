//! The transport protocols that a Service port can have.

use std::fmt;
use std::str::FromStr;

/// TCP, UDP or SCTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
    /// Stream Control Transmission Protocol.
    Sctp,
}

impl Protocol {
    /// The three protocols.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The number in the IP header (IANA "Protocol Numbers").
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The protocol with this number in the IP header, if it is one that IPVS balances by port.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            _ => None,
        }
    }

    /// The lower-case name that ipset and iptables print: `tcp`, `udp`, `sctp`.
    pub const fn lower(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// The upper-case name that ipvsadm and the Kubernetes API use: `TCP`, `UDP`, `SCTP`.
    pub const fn upper(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

/// Prints the upper-case name.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.upper())
    }
}

/// A word that names no protocol IPVS can balance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown protocol {0:?}: expected TCP, UDP or SCTP")]
pub struct UnknownProtocol(pub String);

/// Reads the Kubernetes spelling, in any case.
impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|protocol| word.eq_ignore_ascii_case(protocol.upper()))
            .ok_or_else(|| UnknownProtocol(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for protocol in Protocol::ALL {
            assert_eq!(Protocol::from_number(protocol.number()), Some(protocol));
            assert_eq!(protocol.lower().parse(), Ok(protocol));
            assert_eq!(protocol.upper().parse(), Ok(protocol));
        }
        assert_eq!(Protocol::from_number(1), None);
        assert!("ICMP".parse::<Protocol>().is_err());
    }
}
