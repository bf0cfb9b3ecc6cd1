//! Word of changes of the node's addresses and of what others do to our VIPs, without asking for
//! them again and again.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use libc::{
    RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_NEWADDR, RTM_NEWLINK, RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE, RTNLGRP_LINK,
};
use socket2::SockFilter;

use crate::subscription::{Heard, RECEIVE_BUFFER, Subscription};
use crate::{Error, VipBinding, address, local_route};

/// How long to wait before a lost subscription is made again.
const RETRY: Duration = Duration::from_secs(1);
/// Datagrams read before what they say is told: a burst goes on.
const BURST: usize = 4096;

/// What changed since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteChanges {
    /// Addresses of an interface that is not the dummy interface came, went or changed.
    pub addresses: bool,
    /// The dummy interface itself changed or is gone.
    pub interface: bool,
    /// VIPs that were unbound, by us or by others. They may have been bound again since.
    pub unbound: Vec<IpAddr>,
}

impl RouteChanges {
    /// Anything may have changed.
    pub fn unknown() -> Self {
        Self { addresses: true, interface: true, unbound: Vec::new() }
    }

    fn is_none(&self) -> bool {
        !self.addresses && !self.interface && self.unbound.is_empty()
    }

    fn hear(&mut self, own: u32, heard: Heard<(u16, &[u8])>) {
        let (kind, payload) = match heard {
            Heard::Message(message) => message,
            Heard::Lost => {
                self.addresses = true;
                self.interface = true;
                return;
            }
        };
        match kind {
            // The interface's number is at the same place in both headers.
            RTM_NEWLINK | RTM_DELLINK => self.interface |= interface(payload) == Some(own),
            RTM_NEWADDR | RTM_DELADDR if interface(payload) != Some(own) => self.addresses = true,
            RTM_DELADDR => self.unbound.extend(address::host_address(payload)),
            RTM_DELROUTE => self.unbound.extend(local_route::vip(payload)),
            _ => {}
        }
    }
}

/// The number in `struct ifinfomsg` or `struct ifaddrmsg`.
fn interface(payload: &[u8]) -> Option<u32> {
    let place = INTERFACE as usize - HEADER as usize;
    Some(u32::from_ne_bytes(payload.get(place..place + 4)?.try_into().ok()?))
}

/// A subscription to changes of addresses, of one interface and of what binds VIPs.
///
/// Changes that nobody waited for are told together.
#[derive(Debug)]
pub struct RouteMonitor {
    own: u32,
    binding: VipBinding,
    buffer: usize,
    subscription: Option<Subscription>,
    /// Heard of and not told yet.
    changes: RouteChanges,
}

impl RouteMonitor {
    /// Subscribes in the network namespace of the calling thread, inside a tokio runtime with I/O
    /// and time. `own` is the number of the dummy interface: addresses that come there wake nobody
    /// up.
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

    /// The dummy interface has another number now.
    ///
    /// # Errors
    /// [`Error::Monitor`] when the kernel refuses the new filter.
    pub fn follow(&mut self, own: u32) -> Result<(), Error> {
        self.own = own;
        match &self.subscription {
            Some(subscription) => {
                subscription.filter(&filter(own, self.binding)).map_err(Error::Monitor)
            }
            None => Ok(()),
        }
    }

    /// Waits until something changed since the last return. Cancelling the wait loses nothing.
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

async fn hear(
    subscription: &mut Subscription,
    own: u32,
    changes: &mut RouteChanges,
) -> io::Result<()> {
    let mut hear = |heard: Heard<(u16, &[u8])>| changes.hear(own, heard);
    subscription.next(&mut hear).await?;
    for _ in 1..BURST {
        if !subscription.next_ready(&mut hear)? {
            break;
        }
    }
    Ok(())
}

fn open(own: u32, binding: VipBinding, buffer: usize) -> io::Result<Subscription> {
    let groups: &[u32] = match binding {
        VipBinding::Address => &[RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
        VipBinding::Route => &[
            RTNLGRP_LINK,
            RTNLGRP_IPV4_IFADDR,
            RTNLGRP_IPV6_IFADDR,
            RTNLGRP_IPV4_ROUTE,
            RTNLGRP_IPV6_ROUTE,
        ],
    };
    let protocol = netlink_sys::protocols::NETLINK_ROUTE;
    Subscription::open(protocol, groups, buffer, &filter(own, binding))
}

/// Length of `struct nlmsghdr` (include/uapi/linux/netlink.h), and where its type is.
const HEADER: u32 = 16;
const TYPE: u32 = 4;
/// Where `struct ifinfomsg` and `struct ifaddrmsg` have the interface's number
/// (include/uapi/linux/rtnetlink.h, if_addr.h), and `struct rtmsg` the protocol.
const INTERFACE: u32 = HEADER + 4;
const ROUTE_PROTOCOL: u32 = HEADER + 5;

/// A filter that has the kernel drop events that are of no interest: the binding of thousands of
/// VIPs wakes nobody up here, nor do other interfaces and the routes of others.
fn filter(own: u32, binding: VipBinding) -> [SockFilter; 15] {
    // include/uapi/linux/bpf_common.h
    const LOAD_WORD: u16 = 0x20;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    // What is loaded is taken for big-endian, and these are in the host's order.
    let word = |number: u32| u32::from_be_bytes(number.to_ne_bytes());
    let half = |number: u16| u32::from(u16::from_be_bytes(number.to_ne_bytes()));
    let load = |how, place| SockFilter::new(how, 0, 0, place);
    let is = |value, yes, no| SockFilter::new(JUMP_IF_EQUAL, yes, no, value);
    // An address that goes from the dummy interface was a VIP, if they are addresses.
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
    use netlink_packet_core::Emitable;
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::address::{AddressAttribute, AddressMessage};

    use super::*;

    fn on(index: u32, prefix_len: u8) -> Vec<u8> {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = prefix_len;
        message.attributes.push(AddressAttribute::Local([10, 96, 0, 1].into()));
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    fn heard(own: u32, kind: u16, payload: &[u8]) -> RouteChanges {
        let mut changes = RouteChanges::default();
        changes.hear(own, Heard::Message((kind, payload)));
        changes
    }

    #[test]
    fn each_event_is_taken_for_what_it_is() {
        let none = RouteChanges::default();
        let addresses = RouteChanges { addresses: true, ..none.clone() };
        let interface = RouteChanges { interface: true, ..none.clone() };
        let unbound = RouteChanges { unbound: vec![[10, 96, 0, 1].into()], ..none.clone() };
        assert_eq!(heard(5, RTM_NEWADDR, &on(2, 24)), addresses);
        assert_eq!(heard(5, RTM_DELADDR, &on(2, 32)), addresses);
        assert_eq!(heard(5, RTM_NEWADDR, &on(5, 32)), none, "that was us");
        assert_eq!(heard(5, RTM_DELADDR, &on(5, 32)), unbound);
        assert_eq!(heard(5, RTM_DELADDR, &on(5, 24)), none, "not a VIP");
        // Only the number of the interface is read of these.
        assert_eq!(heard(5, RTM_DELLINK, &on(5, 0)), interface);
        assert_eq!(heard(5, RTM_NEWLINK, &on(2, 0)), none);
        assert_eq!(heard(5, RTM_DELADDR, &[]), addresses, "better one look too many");
        let mut lost = none;
        lost.hear(5, Heard::Lost);
        assert_eq!(lost, RouteChanges::unknown());
    }
}
