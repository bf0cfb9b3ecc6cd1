//! A socket on which the kernel sends notifications.

use std::io;

use netlink_packet_core::NetlinkBuffer;
use netlink_sys::{AsyncSocket as _, AsyncSocketExt as _, Socket, SocketAddr, TokioSocket};
use socket2::{SockFilter, SockRef};

/// Buffer in the kernel for the events of one burst. If it overflows, the kernel reports that, and
/// anything may have changed.
pub(crate) const RECEIVE_BUFFER: usize = 1 << 20;
/// Buffer for one datagram: a page or two, or nftables' notifications of one transaction
/// (NLMSG_GOODSIZE, include/linux/netlink.h).
const DATAGRAM: usize = 32 << 10;

/// A subscription to some multicast groups of a netlink family.
#[derive(Debug)]
pub(crate) struct Subscription {
    socket: Open,
    datagram: Vec<u8>,
}

/// `TokioSocket` does not implement `Debug`.
struct Open(TokioSocket);

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokioSocket")
    }
}

/// The result of waiting for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard<T> {
    /// A message: its type, and what follows the header.
    Message(T),
    /// The kernel dropped some events because its buffer was full.
    Lost,
}

/// Sets the size of a socket's receive buffer. Only with CAP_NET_ADMIN it may exceed the system's
/// limit; otherwise as much as the system allows.
pub(crate) fn enlarge(socket: &mut Socket, bytes: usize) -> io::Result<()> {
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(&*socket, bytes).is_err() {
        socket.set_rx_buf_sz(bytes)?;
    }
    Ok(())
}

impl Subscription {
    /// Subscribes in the network namespace of the calling thread, inside a tokio runtime with I/O;
    /// the kernel drops events that `filter` does not accept.
    pub(crate) fn open(
        protocol: isize,
        groups: &[u32],
        bytes: usize,
        filter: &[SockFilter],
    ) -> io::Result<Self> {
        let mut socket = TokioSocket::new(protocol)?;
        enlarge(socket.socket_mut(), bytes)?;
        let mut subscription =
            Self { socket: Open(socket), datagram: Vec::with_capacity(DATAGRAM) };
        if !filter.is_empty() {
            subscription.filter(filter)?;
        }
        let inner = subscription.socket.0.socket_mut();
        inner.bind(&SocketAddr::new(0, 0))?;
        for group in groups {
            inner.add_membership(*group)?;
        }
        Ok(subscription)
    }

    /// Replaces the filter.
    pub(crate) fn filter(&self, filter: &[SockFilter]) -> io::Result<()> {
        SockRef::from(self.socket.0.socket_ref()).attach_filter(filter)
    }

    /// Waits for the next datagram, and passes each of its messages to `hear`.
    pub(crate) async fn next(
        &mut self,
        hear: &mut impl FnMut(Heard<(u16, &[u8])>),
    ) -> io::Result<()> {
        self.datagram.clear();
        let received = self.socket.0.recv(&mut self.datagram).await;
        self.take(received, hear)
    }

    fn take(
        &self,
        received: io::Result<()>,
        hear: &mut impl FnMut(Heard<(u16, &[u8])>),
    ) -> io::Result<()> {
        match received {
            Ok(()) => each_message(&self.datagram, |kind, payload| {
                hear(Heard::Message((kind, payload)));
            }),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => hear(Heard::Lost),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Passes on each message of a datagram, as (`nlmsg_type`, payload); a malformed rest is skipped.
fn each_message(mut datagram: &[u8], mut visit: impl FnMut(u16, &[u8])) {
    while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
        visit(message.message_type(), message.payload());
        // Messages begin at multiples of four (NLMSG_ALIGNTO).
        let next = (message.length() as usize).next_multiple_of(4);
        datagram = datagram.get(next..).unwrap_or(&[]);
    }
}

#[cfg(test)]
mod tests {
    use trimtab_netlink::Batch;

    use super::*;

    fn kinds(datagram: &[u8]) -> Vec<(u16, usize)> {
        let mut kinds = Vec::new();
        each_message(datagram, |kind, payload| kinds.push((kind, payload.len())));
        kinds
    }

    #[test]
    fn a_datagram_may_have_several_messages_and_a_damaged_one_ends_it() {
        let mut batch = Batch::new();
        batch.message(7, 0).put(&[1; 4]);
        batch.message(8, 0).put(&[1; 8]);
        let bytes = batch.as_bytes();
        assert_eq!(kinds(bytes), [(7, 4), (8, 8)]);
        assert_eq!(kinds(&bytes[..30]), [(7, 4)]);
        assert_eq!(kinds(&[]), []);
        assert_eq!(kinds(&[0; 16]), [], "a length of zero");
    }
}
