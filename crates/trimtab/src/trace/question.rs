//! The packet that the command line describes.

use std::net::{IpAddr, SocketAddr};

use trimtab_core::{Family, Protocol};
use trimtab_host::VipBinding;
use trimtab_trace::{Node, Packet, Place};

/// `--from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum From {
    /// A pod of this node.
    Pod,
    /// A pod of another node, whose packet reaches this one unchanged.
    OtherPod,
    /// This node itself, or a pod in its network namespace.
    Node,
    /// Another node, or a client outside the cluster.
    Outside,
}

impl From {
    const fn place(self) -> Place {
        match self {
            Self::Pod => Place::Pod,
            Self::OtherPod => Place::PodElsewhere,
            Self::Node => Place::Node,
            Self::Outside => Place::Outside,
        }
    }
}

/// Who sends the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This node, with the source address that the kernel chooses.
    Node,
    /// Whoever has this address, perhaps from this port.
    Address(IpAddr, Option<u16>),
}

/// The packet, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who sends it.
    pub source: Source,
    /// Where to.
    pub destination: SocketAddr,
    /// By which protocol.
    pub protocol: Protocol,
    /// Where it comes from; `None` for what the source address says.
    pub from: Option<From>,
    /// The interface by which it comes in.
    pub interface: Option<Box<str>>,
}

impl Question {
    /// The family of the packet.
    ///
    /// # Errors
    /// If source and destination are of different families.
    pub fn family(&self) -> Result<Family, String> {
        let family = Family::of(self.destination.ip());
        match self.source {
            Source::Address(address, _) if Family::of(address) != family => Err(format!(
                "the source {address} and the destination {} are of different address families",
                self.destination
            )),
            _ => Ok(family),
        }
    }

    /// The packet on this node.
    pub fn packet(&self, node: &Node<'_>, binding: VipBinding) -> Packet {
        let (source, source_port) = match self.source {
            Source::Node => (own_source(node, self.destination.ip(), binding), None),
            Source::Address(address, port) => (address, port),
        };
        let place = match (self.from, self.source) {
            (Some(from), _) => from.place(),
            (None, Source::Node) => Place::Node,
            (None, Source::Address(address, _)) => node.place_of(address),
        };
        let (protocol, destination) = (self.protocol, self.destination);
        let interface = self.interface.clone();
        Packet { protocol, source, source_port, destination, place, interface }
    }
}

/// The source address that the kernel chooses for what the node sends: of an address of its own, that
/// address itself; else one that the node has towards others.
fn own_source(node: &Node<'_>, to: IpAddr, binding: VipBinding) -> IpAddr {
    let is_own = node.local.iter().any(|local| local.address == to);
    let is_vip = binding == VipBinding::Address && node.state.addresses.contains(&to);
    if is_own || is_vip || to.is_loopback() {
        return to;
    }
    let mut facing_others = node
        .local
        .iter()
        .filter(|local| local.is_reachable() && Family::of(local.address) == Family::of(to));
    facing_others.next().map_or(to, |local| local.address)
}

/// Reads `SRC[:PORT]`: an address with or without a port, or the word `node`.
///
/// # Errors
/// What was expected.
pub fn source(text: &str) -> Result<Source, String> {
    if text == "node" {
        return Ok(Source::Node);
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse() {
        return Ok(Source::Address(address, None));
    }
    let with_port: Result<SocketAddr, _> = text.parse();
    with_port.map(|it| Source::Address(it.ip(), Some(it.port()))).map_err(|_| {
        "expected an address, such as 10.244.1.7, 10.244.1.7:40000 or [fd00::7]:40000, or the word \
         node"
            .to_owned()
    })
}

/// Reads `DST:PORT`.
///
/// # Errors
/// What was expected.
pub fn destination(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an address and a port, such as 10.96.0.10:53 or [fd00:96::a]:53".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_with_and_without_a_port() {
        let [four, six]: [IpAddr; 2] = ["10.0.0.1", "fd00::1"].map(|it| it.parse().unwrap());
        for (text, wanted) in [
            ("10.0.0.1", Source::Address(four, None)),
            ("10.0.0.1:99", Source::Address(four, Some(99))),
            ("fd00::1", Source::Address(six, None)),
            ("[fd00::1]", Source::Address(six, None)),
            ("[fd00::1]:99", Source::Address(six, Some(99))),
            ("node", Source::Node),
        ] {
            assert_eq!(source(text), Ok(wanted), "{text}");
        }
        for wrong in ["", "web", "10.0.0", "10.0.0.1:", "10.0.0.1:70000", "pod"] {
            assert!(source(wrong).is_err(), "{wrong}");
        }
        assert!(destination("10.0.0.1").is_err());
    }
}
