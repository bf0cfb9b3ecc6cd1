//! What rules and sets see of a packet's headers.

use std::net::IpAddr;

use trimtab_core::Protocol;
use trimtab_host::rules::Side;

/// Addresses, ports and protocol, as they are at one point of the packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) protocol: Protocol,
    pub(crate) source: IpAddr,
    pub(crate) source_port: Option<u16>,
    pub(crate) destination: IpAddr,
    pub(crate) destination_port: u16,
}

impl Headers {
    pub(crate) const fn address(&self, side: Side) -> IpAddr {
        match side {
            Side::Source => self.source,
            Side::Destination => self.destination,
        }
    }

    pub(crate) const fn port(&self, side: Side) -> Option<u16> {
        match side {
            Side::Source => self.source_port,
            Side::Destination => Some(self.destination_port),
        }
    }
}
