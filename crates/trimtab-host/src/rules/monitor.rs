//! Notifications of deleted rules, if they are in nftables. Legacy iptables sends none.

use std::io;
use std::time::Duration;

use netlink_packet_core::NlasIterator;

use crate::subscription::{Heard, RECEIVE_BUFFER, Subscription};
use crate::{Error, nftables};

/// `NFNLGRP_NFTABLES` and `NFNL_SUBSYS_NFTABLES` (include/uapi/linux/netfilter/nfnetlink.h).
const GROUP: u32 = 7;
const SUBSYSTEM: u16 = 10;
/// `NFT_MSG_*` (include/uapi/linux/netfilter/nf_tables.h).
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const DELETE_CHAIN: u16 = 5;
const DELETE_RULE: u16 = 8;
const DESTROY_TABLE: u16 = 26;
const DESTROY_CHAIN: u16 = 27;
const DESTROY_RULE: u16 = 28;
/// `NFTA_TABLE_NAME`; `NFTA_CHAIN_NAME`; `NFTA_RULE_CHAIN`.
const TABLE_NAME: u16 = 1;
const CHAIN_NAME: u16 = 3;
const RULE_CHAIN: u16 = 2;
/// Length of `struct nfgenmsg`, which begins with the family.
const HEADER: usize = 4;
/// `NFPROTO_IPV4`, `NFPROTO_IPV6` (include/uapi/linux/netfilter.h).
const FAMILIES: [u8; 2] = [2, 10];
/// The built-in chains that have our jumps.
const BUILT_IN: [&[u8]; 5] = [b"PREROUTING", b"INPUT", b"FORWARD", b"OUTPUT", b"POSTROUTING"];
/// The prefixes of our chains' names.
const OURS: &[u8] = b"KUBE-";

/// How long to wait before subscribing again after an error.
const RETRY: Duration = Duration::from_secs(1);

/// A subscription to deletions of rules that may be ours, and to additions by other service
/// proxies.
///
/// Our own `iptables-restore` may delete rules, too, and then causes a notification like any other
/// program.
#[derive(Debug)]
pub struct RuleMonitor {
    subscription: Option<Subscription>,
    changed: bool,
}

impl RuleMonitor {
    /// Subscribes in the network namespace of the calling thread, inside a tokio runtime with I/O
    /// and time.
    ///
    /// # Errors
    /// [`Error::Monitor`] when the socket cannot be had, for which `CAP_NET_ADMIN` is needed.
    pub fn subscribe() -> Result<Self, Error> {
        Ok(Self { subscription: Some(open().map_err(Error::Monitor)?), changed: false })
    }

    /// Waits until there has been a notification since the last return. Cancelling the wait loses
    /// none.
    pub async fn changed(&mut self) {
        while !self.changed {
            if let Some(subscription) = &mut self.subscription {
                let mut hear = |heard: Heard<(u16, &[u8])>| self.changed |= concerns_us(heard);
                match subscription.next(&mut hear).await {
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::warn!(%error, "deletions of rules go unnoticed for now");
                        self.subscription = None;
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
            match open() {
                Ok(again) => {
                    self.subscription = Some(again);
                    // Something may have changed in between.
                    self.changed = true;
                }
                Err(error) => tracing::warn!(%error, "deletions of rules go unnoticed for now"),
            }
        }
        self.changed = false;
    }
}

fn open() -> io::Result<Subscription> {
    let protocol = netlink_sys::protocols::NETLINK_NETFILTER;
    Subscription::open(protocol, &[GROUP], RECEIVE_BUFFER, &[])
}

fn concerns_us(heard: Heard<(u16, &[u8])>) -> bool {
    let Heard::Message((kind, payload)) = heard else { return true };
    let (Some(family), Some(attributes)) = (payload.first(), payload.get(HEADER..)) else {
        return false;
    };
    if kind >> 8 != SUBSYSTEM || !FAMILIES.contains(family) {
        return false;
    }
    let names = |wanted: u16, is: fn(&[u8]) -> bool| {
        let mut all = NlasIterator::new(attributes).flatten();
        all.any(|attribute| {
            attribute.kind() == wanted
                && is(attribute.value().strip_suffix(&[0]).unwrap_or(attribute.value()))
        })
    };
    let may_have_ours = |name: &[u8]| name.starts_with(OURS) || BUILT_IN.contains(&name);
    match kind & 0xff {
        NEW_TABLE => names(TABLE_NAME, |name| name == nftables::KUBE_PROXY.as_bytes()),
        DELETE_TABLE | DESTROY_TABLE => true,
        DELETE_CHAIN | DESTROY_CHAIN => names(CHAIN_NAME, may_have_ours),
        DELETE_RULE | DESTROY_RULE => names(RULE_CHAIN, may_have_ours),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use trimtab_netlink::Batch;

    use super::*;

    fn told(kind: u16, family: u8, attribute: u16, name: &str) -> bool {
        let mut batch = Batch::new();
        let mut message = batch.message(0, 0);
        message.put(&[family, 0, 0, 0]);
        message.attribute_text(attribute, name);
        drop(message);
        concerns_us(Heard::Message((SUBSYSTEM << 8 | kind, batch.payload(0).unwrap())))
    }

    #[test]
    fn what_may_have_been_ours_counts_and_the_rules_of_others_do_not() {
        for (kind, attribute, name) in [
            (DELETE_RULE, RULE_CHAIN, "KUBE-SERVICES"),
            (DELETE_RULE, RULE_CHAIN, "PREROUTING"),
            (DESTROY_RULE, RULE_CHAIN, "OUTPUT"),
            (DELETE_CHAIN, CHAIN_NAME, "KUBE-MARK-MASQ"),
            (DELETE_TABLE, TABLE_NAME, "nat"),
            (NEW_TABLE, TABLE_NAME, "kube-proxy"),
        ] {
            assert!(told(kind, 2, attribute, name), "{kind} {name}");
            assert!(told(kind, 10, attribute, name), "{kind} {name}");
            assert!(!told(kind, 7, attribute, name), "{kind} {name} of a bridge");
        }
        for (kind, attribute, name) in [
            (DELETE_RULE, RULE_CHAIN, "CNI-1234"),
            (DELETE_CHAIN, CHAIN_NAME, "DOCKER"),
            (NEW_TABLE, TABLE_NAME, "nat"),
            (6, RULE_CHAIN, "KUBE-SERVICES"),
            (12, RULE_CHAIN, "KUBE-SERVICES"),
        ] {
            assert!(!told(kind, 2, attribute, name), "{kind} {name}");
        }
        assert!(concerns_us(Heard::Lost));
        assert!(!concerns_us(Heard::Message((SUBSYSTEM << 8 | DELETE_RULE, &[]))));
    }
}
