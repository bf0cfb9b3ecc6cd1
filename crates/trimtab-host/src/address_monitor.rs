//! Word that the node's addresses changed, without asking for them again and again.

use std::time::Duration;

use futures_util::StreamExt;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::sys::AsyncSocket as _;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use socket2::{SockFilter, SockRef};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Error;

/// Room in the kernel for the events of one burst. What does not fit is not lost: the kernel says so,
/// and that counts as a change.
const RECEIVE_BUFFER: usize = 1 << 20;

/// How long to wait before a lost subscription is made again.
const RETRY: Duration = Duration::from_secs(1);

/// A subscription to address changes of all interfaces but one.
///
/// Changes that nobody waited for are one change: whoever learns of it reads the addresses anyway.
#[derive(Debug)]
pub struct AddressMonitor {
    changes: mpsc::Receiver<()>,
    task: JoinHandle<()>,
}

impl AddressMonitor {
    /// Subscribes in the network namespace of the calling thread, inside a tokio runtime with I/O
    /// and time. Changes on interface `ignored`, our own dummy interface, are passed over.
    ///
    /// # Errors
    /// [`Error::Monitor`] when the socket cannot be had.
    pub fn subscribe(ignored: u32) -> Result<Self, Error> {
        Self::with_receive_buffer(ignored, RECEIVE_BUFFER)
    }

    /// As [`AddressMonitor::subscribe`], with a size for the kernel's queue of events, in bytes.
    ///
    /// # Errors
    /// As [`AddressMonitor::subscribe`].
    pub fn with_receive_buffer(ignored: u32, bytes: usize) -> Result<Self, Error> {
        // The first subscription is made here, so that no change after the return goes unnoticed.
        let mut subscription = Some(Subscription::open(ignored, bytes)?);
        let (sender, changes) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                if let Some(subscription) = subscription.take() {
                    subscription.forward(ignored, &sender).await;
                }
                if sender.is_closed() {
                    return;
                }
                tokio::time::sleep(RETRY).await;
                match Subscription::open(ignored, bytes) {
                    Ok(again) => {
                        subscription = Some(again);
                        // Something may have changed in between.
                        let _ = sender.try_send(());
                    }
                    Err(error) => tracing::warn!(%error, "address changes go unnoticed for now"),
                }
            }
        });
        Ok(Self { changes, task })
    }

    /// Waits until an address came, went or changed since the last return. Cancelling the wait
    /// loses nothing.
    pub async fn changed(&mut self) {
        // The task ends only with `self`.
        self.changes.recv().await;
    }
}

impl Drop for AddressMonitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Events = futures_util::stream::BoxStream<'static, NetlinkPayload<RouteNetlinkMessage>>;

struct Subscription {
    events: Events,
    connection: JoinHandle<()>,
}

impl Subscription {
    fn open(ignored: u32, bytes: usize) -> Result<Self, Error> {
        let groups = [MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (mut connection, _requests, events) =
            new_multicast_connection(&groups).map_err(Error::Monitor)?;
        let socket = connection.socket_mut().socket_mut();
        // Beyond the system's limit with CAP_NET_ADMIN only; else as much as it allows.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&*socket, bytes).is_err() {
            socket.set_rx_buf_sz(bytes).map_err(Error::Monitor)?;
        }
        SockRef::from(&*socket).attach_filter(&all_but(ignored)).map_err(Error::Monitor)?;
        let connection = tokio::spawn(connection);
        Ok(Self { events: events.map(|(message, _)| message.payload).boxed(), connection })
    }

    async fn forward(mut self, ignored: u32, sender: &mpsc::Sender<()>) {
        while let Some(event) = self.events.next().await {
            if is_change(&event, ignored) {
                // A full channel holds this change already.
                if let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
                    return;
                }
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A filter that has the kernel drop events of interface `ignored`: the binding of thousands of VIPs
/// wakes nobody up here.
fn all_but(ignored: u32) -> [SockFilter; 4] {
    // struct nlmsghdr (include/uapi/linux/netlink.h), then struct ifaddrmsg with the interface's
    // number behind four bytes (include/uapi/linux/if_addr.h).
    const INTERFACE: u32 = 16 + 4;
    // include/uapi/linux/bpf_common.h
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    // What is loaded is taken for big-endian, and the number is in the host's order.
    let ignored = u32::from_be_bytes(ignored.to_ne_bytes());
    [
        SockFilter::new(LOAD_WORD, 0, 0, INTERFACE),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, ignored),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

fn is_change(event: &NetlinkPayload<RouteNetlinkMessage>, ignored: u32) -> bool {
    match event {
        NetlinkPayload::InnerMessage(
            RouteNetlinkMessage::NewAddress(message) | RouteNetlinkMessage::DelAddress(message),
        ) => message.header.index != ignored,
        // Events were dropped: which, nobody knows.
        NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::address::AddressMessage;

    use super::*;

    fn on(index: u32) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message
    }

    #[test]
    fn our_own_interface_does_not_count_and_lost_events_do() {
        let own = NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(on(5)));
        let other = NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(on(2)));
        assert!(!is_change(&own, 5));
        assert!(is_change(&other, 5));
        assert!(is_change(&NetlinkPayload::Overrun(vec![]), 5));
        assert!(!is_change(&NetlinkPayload::Noop, 5));
    }
}
