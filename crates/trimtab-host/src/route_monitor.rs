//! Notifications of changes of the node's addresses, and of changes of our VIPs by other programs,
//! instead of polling.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use libc::{RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWLINK};
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::sys::AsyncSocket as _;
use rtnetlink::{MulticastGroup, new_multicast_connection};
use socket2::{SockFilter, SockRef};
use tokio::task::JoinHandle;

use crate::subscription::{RECEIVE_BUFFER, enlarge};
use crate::{Error, VipBinding, address, local_route};

/// How long to wait before subscribing again after an error.
const RETRY: Duration = Duration::from_secs(1);
/// The most events to read before reporting changes, during a burst.
const BURST: usize = 4096;

/// What changed since the last return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteChanges {
    /// The numbers of the interfaces, the dummy interface not among them, of which addresses were
    /// added, removed or changed.
    pub addresses: BTreeSet<u32>,
    /// Addresses of any interface may have been added, removed or changed.
    pub all_addresses: bool,
    /// The dummy interface itself was changed or deleted.
    pub interface: bool,
    /// VIPs that were unbound, by us or by other programs. They may have been bound again since.
    pub unbound: Vec<IpAddr>,
}

impl RouteChanges {
    /// Anything may have changed.
    pub fn unknown() -> Self {
        Self { all_addresses: true, interface: true, ..Self::default() }
    }

    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn hear(&mut self, own: u32, event: Event) {
        let message = match event {
            NetlinkPayload::InnerMessage(message) => message,
            // The kernel's buffer overflowed: anything may have changed.
            NetlinkPayload::Overrun(_) => {
                self.all_addresses = true;
                self.interface = true;
                return;
            }
            _ => return,
        };
        match message {
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
                self.interface |= link.header.index == own;
            }
            RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address)
                if address.header.index != own =>
            {
                self.addresses.insert(address.header.index);
            }
            RouteNetlinkMessage::DelAddress(address) => {
                self.unbound.extend(address::host_address(address));
            }
            RouteNetlinkMessage::DelRoute(route) => self.unbound.extend(local_route::vip(&route)),
            _ => {}
        }
    }
}

type Event = NetlinkPayload<RouteNetlinkMessage>;

/// A connection that only listens.
struct Subscription {
    events: BoxStream<'static, Event>,
    connection: JoinHandle<()>,
    /// The connection's socket, for another filter.
    socket: OwnedFd,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// A subscription to changes of addresses, of one interface and of what binds VIPs.
///
/// Changes between two waits are reported together.
#[derive(Debug)]
pub struct RouteMonitor {
    own: u32,
    binding: VipBinding,
    buffer: usize,
    subscription: Option<Subscription>,
    /// Received and not reported yet.
    changes: RouteChanges,
}

impl RouteMonitor {
    /// Subscribes in the network namespace of the calling thread, inside a tokio runtime with I/O
    /// and time. `own` is the number of the dummy interface: added addresses there cause no
    /// notification.
    ///
    /// # Errors
    /// [`Error::Monitor`] when the socket cannot be had.
    pub fn subscribe(own: u32, binding: VipBinding) -> Result<Self, Error> {
        Self::with_receive_buffer(own, binding, RECEIVE_BUFFER)
    }

    /// As [`RouteMonitor::subscribe`], with a size for the kernel's queue of events, in bytes.
    ///
    /// # Errors
    /// As [`RouteMonitor::subscribe`].
    pub fn with_receive_buffer(
        own: u32,
        binding: VipBinding,
        buffer: usize,
    ) -> Result<Self, Error> {
        let subscription = Some(open(own, binding, buffer).map_err(Error::Monitor)?);
        Ok(Self { own, binding, buffer, subscription, changes: RouteChanges::default() })
    }

    /// Sets the new index of the dummy interface.
    ///
    /// # Errors
    /// [`Error::Monitor`] when the kernel refuses the new filter.
    pub fn follow(&mut self, own: u32) -> Result<(), Error> {
        self.own = own;
        match &self.subscription {
            Some(subscription) => SockRef::from(&subscription.socket)
                .attach_filter(&filter(own, self.binding))
                .map_err(Error::Monitor),
            None => Ok(()),
        }
    }

    /// Waits until something has changed since the last return. Cancelling the wait loses no
    /// change.
    pub async fn changed(&mut self) -> RouteChanges {
        loop {
            if let Some(subscription) = &mut self.subscription {
                match hear(subscription, self.own, &mut self.changes).await {
                    Ok(()) if self.changes.is_none() => continue,
                    Ok(()) => return std::mem::take(&mut self.changes),
                    Err(error) => {
                        tracing::warn!(%error, "changes of addresses go unnoticed for now");
                        self.subscription = None;
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
            match open(self.own, self.binding, self.buffer) {
                Ok(again) => {
                    self.subscription = Some(again);
                    self.changes = RouteChanges::default();
                    // Something may have changed in between.
                    return RouteChanges::unknown();
                }
                Err(error) => {
                    tracing::warn!(%error, "changes of addresses go unnoticed for now");
                }
            }
        }
    }
}

/// Reads the next event and those that have already arrived.
async fn hear(
    subscription: &mut Subscription,
    own: u32,
    changes: &mut RouteChanges,
) -> io::Result<()> {
    let lost = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection has ended");
    changes.hear(own, subscription.events.next().await.ok_or_else(lost)?);
    for _ in 1..BURST {
        match subscription.events.next().now_or_never() {
            Some(Some(event)) => changes.hear(own, event),
            Some(None) => return Err(lost()),
            None => break,
        }
    }
    Ok(())
}

fn open(own: u32, binding: VipBinding, buffer: usize) -> io::Result<Subscription> {
    use MulticastGroup::{Ipv4Ifaddr, Ipv4Route, Ipv6Ifaddr, Ipv6Route, Link};
    let groups: &[MulticastGroup] = match binding {
        VipBinding::Address => &[Link, Ipv4Ifaddr, Ipv6Ifaddr],
        VipBinding::Route => &[Link, Ipv4Ifaddr, Ipv6Ifaddr, Ipv4Route, Ipv6Route],
    };
    let (mut connection, _requests, events) = new_multicast_connection(groups)?;
    let socket = connection.socket_mut().socket_mut();
    enlarge(socket, buffer)?;
    SockRef::from(&*socket).attach_filter(&filter(own, binding))?;
    let socket = socket.as_fd().try_clone_to_owned()?;
    let events = events.map(|(message, _)| message.payload).boxed();
    Ok(Subscription { events, connection: tokio::spawn(connection), socket })
}

/// Length of `struct nlmsghdr` (include/uapi/linux/netlink.h), and where its type is.
const HEADER: u32 = 16;
const TYPE: u32 = 4;
/// Where `struct ifinfomsg` and `struct ifaddrmsg` have the interface's number
/// (include/uapi/linux/rtnetlink.h, if_addr.h), and `struct rtmsg` the protocol.
const INTERFACE: u32 = HEADER + 4;
const ROUTE_PROTOCOL: u32 = HEADER + 5;

/// A socket filter with which the kernel drops irrelevant events: binding thousands of VIPs does
/// not wake this task, nor do other interfaces and other programs' routes.
fn filter(own: u32, binding: VipBinding) -> [SockFilter; 15] {
    // include/uapi/linux/bpf_common.h
    const LOAD_WORD: u16 = 0x20;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    // The filter's load reads big-endian, but these are in the host's byte order.
    let word = |number: u32| u32::from_be_bytes(number.to_ne_bytes());
    let half = |number: u16| u32::from(u16::from_be_bytes(number.to_ne_bytes()));
    let load = |how, place| SockFilter::new(how, 0, 0, place);
    let is = |value, yes, no| SockFilter::new(JUMP_IF_EQUAL, yes, no, value);
    // If VIPs are bound by addresses, an address removed from the dummy interface was a VIP.
    let gone = if binding == VipBinding::Address { 11 } else { 4 };
    [
        load(LOAD_HALF, TYPE),
        is(half(RTM_NEWADDR), 5, 0),
        is(half(RTM_DELADDR), gone, 0),
        is(half(RTM_NEWLINK), 5, 0),
        is(half(RTM_DELLINK), 4, 0),
        is(half(RTM_DELROUTE), 5, 0),
        SockFilter::new(RETURN, 0, 0, 0),
        // 7: of any other interface
        load(LOAD_WORD, INTERFACE),
        is(word(own), 4, 5),
        // 9: of the dummy interface
        load(LOAD_WORD, INTERFACE),
        is(word(own), 3, 2),
        // 11: a route of ours
        load(LOAD_BYTE, ROUTE_PROTOCOL),
        is(u32::from(local_route::PROTOCOL), 1, 0),
        // 13, 14
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::address::{AddressAttribute, AddressMessage};
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    fn on(index: u32, prefix_len: u8) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = prefix_len;
        message.attributes.push(AddressAttribute::Local([10, 96, 0, 1].into()));
        message
    }

    fn link(index: u32) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message
    }

    fn heard(message: RouteNetlinkMessage) -> RouteChanges {
        let mut changes = RouteChanges::default();
        changes.hear(5, NetlinkPayload::InnerMessage(message));
        changes
    }

    #[test]
    fn each_event_is_taken_for_what_it_is() {
        use RouteNetlinkMessage::{DelAddress, DelLink, NewAddress, NewLink};
        let none = RouteChanges::default();
        let addresses = RouteChanges { addresses: BTreeSet::from([2]), ..none.clone() };
        let interface = RouteChanges { interface: true, ..none.clone() };
        let unbound = RouteChanges { unbound: vec![[10, 96, 0, 1].into()], ..none.clone() };
        assert_eq!(heard(NewAddress(on(2, 24))), addresses);
        assert_eq!(heard(DelAddress(on(2, 32))), addresses);
        assert_eq!(heard(NewAddress(on(5, 32))), none, "that was us");
        assert_eq!(heard(DelAddress(on(5, 32))), unbound);
        assert_eq!(heard(DelAddress(on(5, 24))), none, "not a VIP");
        assert_eq!(heard(DelLink(link(5))), interface);
        assert_eq!(heard(NewLink(link(2))), none);
        let mut lost = none;
        lost.hear(5, NetlinkPayload::Overrun(vec![]));
        assert_eq!(lost, RouteChanges::unknown());
    }
}
