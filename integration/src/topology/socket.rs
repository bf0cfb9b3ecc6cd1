//! Sockets of the three protocols.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};
use trimtab_core::Protocol;

/// A stream for TCP and, one association each, for SCTP; datagrams for UDP.
pub(super) fn new(protocol: Protocol, like: SocketAddr) -> io::Result<Socket> {
    let kind = match protocol {
        Protocol::Tcp | Protocol::Sctp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let number = i32::from(protocol.number());
    let socket = Socket::new(Domain::for_address(like), kind, Some(number.into()))?;
    if like.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}
