//! Steps in sentences.

use std::fmt;
use std::net::SocketAddr;

use trimtab_host::rules::{Condition, InterfaceName, Side, Test};

use crate::passing::{Interface, Passing};
use crate::step::{Effect, Hook, RuleStep, Step};

/// Why a condition holds for a packet: `10.96.0.1:80 is in KUBE-CLUSTER-IP`.
pub(crate) fn condition(passing: &Passing<'_>, condition: &Condition) -> String {
    let is = if condition.negated { "is not" } else { "is" };
    match &condition.test {
        Test::Source(network) => format!("{} {is} in {network}", passing.headers.source),
        Test::Destination(network) => format!("{} {is} in {network}", passing.headers.destination),
        Test::InInterface(name) => came_by(passing, name, condition.negated),
        Test::Protocol(protocol) => format!("the protocol {is} {protocol}"),
        Test::InSet(set, sides) => format!("{} {is} in {set}", looked_up(passing, sides)),
        Test::IsLocal(side) => {
            format!("{} {is} an address of this node", passing.headers.address(*side))
        }
        Test::IsLocalToInterface => {
            format!(
                "{} {is} an address of the interface {}",
                passing.headers.destination, passing.interface
            )
        }
        Test::Mark { value, mask } => {
            mark("the mark", passing.mark, *value, *mask, condition.negated)
        }
        Test::ConnectionMark { value, mask } => {
            mark("the connection's mark", passing.connection_mark, *value, *mask, condition.negated)
        }
        Test::IsNew => format!("the connection {is} new"),
        Test::IsEstablished => format!("the connection {is} established"),
    }
}

fn came_by(passing: &Passing<'_>, name: &InterfaceName, negated: bool) -> String {
    let by = match &passing.interface {
        Interface::None => return "it comes in by no interface".to_owned(),
        by => by,
    };
    let not = if negated { ", not by" } else { ", which is" };
    format!("it comes in by {by}{not} {name}")
}

/// What is looked up in a set: an address and a port, a port, with another address.
fn looked_up(passing: &Passing<'_>, sides: &[Side]) -> String {
    let port = |side: &Side| passing.headers.port(*side).unwrap_or_default();
    match sides {
        [only] => passing.headers.address(*only).to_string(),
        [address, at] => SocketAddr::new(passing.headers.address(*address), port(at)).to_string(),
        [address, at, with, ..] => format!(
            "{} with {}",
            SocketAddr::new(passing.headers.address(*address), port(at)),
            passing.headers.address(*with)
        ),
        [] => String::new(),
    }
}

fn mark(which: &str, has: u32, value: u32, mask: u32, negated: bool) -> String {
    if value == mask {
        let has_bit = if negated { "does not have" } else { "has" };
        return format!("{which} {has:#x} {has_bit} {value:#x}");
    }
    let is = if negated { "is not" } else { "is" };
    format!("{which} {has:#x}, masked by {mask:#x}, {is} {value:#x}")
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::OfPods => f.write_str("an interface of this node's pods"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Step {
    /// Where it happens: `nat PREROUTING, KUBE-SERVICES rule 5 (cluster IPs, masqueraded)`.
    pub fn place(&self) -> String {
        match self {
            Self::Rule(step) => step.place(),
            Self::IsForNode | Self::IsForOthers | Self::ComesBack => "routing".to_owned(),
            Self::HasVirtualServer { hook, .. } | Self::HasNoVirtualServer { hook, .. } => {
                format!("IPVS in {hook}")
            }
        }
    }

    /// What happens, as a sentence without its full stop.
    pub fn event(&self) -> String {
        match self {
            Self::Rule(step) => step.event(),
            Self::IsForNode => "the destination is an address of this node".to_owned(),
            Self::IsForOthers => {
                "the destination is no address of this node, so it is forwarded".to_owned()
            }
            Self::ComesBack => {
                "the destination is an address of this node, so it comes in again by lo".to_owned()
            }
            Self::HasVirtualServer { frontend, .. } => {
                format!("it is for the virtual server {frontend}")
            }
            Self::HasNoVirtualServer { mark: 0, .. } => {
                "no virtual server has this address, port and protocol".to_owned()
            }
            Self::HasNoVirtualServer { mark, .. } => format!(
                "no virtual server has the mark {mark:#x}, or this address, port and protocol"
            ),
        }
    }
}

impl RuleStep {
    fn place(&self) -> String {
        let place = format!("{} {}, {} rule {}", self.table, self.hook, self.chain, self.number);
        match self.rule.comment {
            Some(comment) => format!("{place} ({comment})"),
            None => place,
        }
    }

    fn event(&self) -> String {
        let end = match &self.effect {
            Effect::GoesTo(chain) => format!("it goes through {chain}"),
            Effect::Returns => format!("it leaves {}", self.chain),
            Effect::Accepted => format!("it leaves the {} table", self.table),
            Effect::Dropped => "it is dropped".to_owned(),
            Effect::Rejected => "it is rejected with an ICMP error, port unreachable".to_owned(),
            Effect::Marked { before, after, by: None } => {
                format!("its mark changes from {before:#x} to {after:#x}")
            }
            Effect::Marked { before, after, by: Some(element) } => {
                format!("its mark changes from {before:#x} to {after:#x}: the set has {element}")
            }
            Effect::ConnectionMarked { before, after } => {
                format!("its connection's mark changes from {before:#x} to {after:#x}")
            }
            Effect::Masqueraded => {
                "it is masqueraded: its source becomes an address of this node".to_owned()
            }
        };
        if self.because.is_empty() {
            end
        } else {
            format!("{}, so {end}", self.because.join(" and "))
        }
    }
}
