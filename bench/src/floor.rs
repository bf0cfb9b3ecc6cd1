//! The least time that a program can take: the same netlink bytes, ready made, from a bare loop.

mod encode;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use netlink_packet_core::{NLM_F_ACK, NLMSG_ERROR, NetlinkBuffer};
use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE};
use serde::{Deserialize, Serialize};
use trimtab_core::{DUMMY_INTERFACE, Family, SetId};
use trimtab_host::{dummy, ipset};
use trimtab_integration::api::Cluster;
use trimtab_ipvs::{Client, ModuleOptions};
use trimtab_netlink::{Batch, Socket};

use crate::candidate::Binding;
use crate::node;
use crate::quantile::median;

/// What a bare loop needs for a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// The median of all rounds.
    pub seconds: f64,
    /// Of these, for the elements of ipsets,
    pub ipset_seconds: f64,
    /// for virtual and real servers,
    pub ipvs_seconds: f64,
    /// and for addresses or local routes.
    pub binding_seconds: f64,
    /// Messages written.
    pub messages: usize,
    /// System calls that wrote them.
    pub sends: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// Writes the cluster `rounds` times, each time in a namespace of its own. An additional first
/// round, through the batching transport, makes the bytes: numbered, and cut into pieces.
///
/// # Errors
/// When the kernel refuses something.
pub fn measure(cluster: &Cluster, binding: Binding, rounds: usize) -> Result<Floor> {
    let streams = node::fresh(|| record(cluster, binding))?;
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..rounds {
        let parts = node::fresh(|| {
            prepare()?;
            let parts = [streams[0].send()?, streams[1].send()?, streams[2].send()?];
            Ok(parts)
        })?;
        for (times, part) in times.iter_mut().zip(parts) {
            times.push(part);
        }
        times[3].push(parts.iter().sum());
    }
    let [ipset, ipvs, binding, all] =
        times.map(|times| median(times).unwrap_or_default().as_secs_f64());
    Ok(Floor {
        seconds: all,
        ipset_seconds: ipset,
        ipvs_seconds: ipvs,
        binding_seconds: binding,
        messages: streams.iter().map(|stream| stream.messages).sum(),
        sends: streams.iter().map(|stream| stream.pieces.len()).sum(),
        bytes: streams.iter().map(|stream| stream.bytes.len()).sum(),
    })
}

/// What is there before Services are: the dummy interface and the sets. Returns the interface.
fn prepare() -> Result<u32> {
    // Also loads the module.
    Client::connect(&ModuleOptions::default())?;
    let mut sets = ipset::Client::open()?;
    let specs: Vec<_> = SetId::all()
        .filter(|set| set.family == Family::V4)
        .map(|set| ipset::SetSpec::of(set, 0))
        .collect();
    for outcome in ipset::ensure(&mut sets, &specs)? {
        outcome?;
    }
    let mut route = Socket::open(trimtab_netlink::Family::Route)?;
    Ok(dummy::ensure(&mut route, DUMMY_INTERFACE)?.index())
}

fn record(cluster: &Cluster, binding: Binding) -> Result<[Stream; 3]> {
    let interface = prepare()?;
    let mut elements = encode::elements(cluster);
    apply(trimtab_netlink::Family::Netfilter, &mut elements)?;
    let mut servers = encode::servers(cluster);
    let report = Client::connect(&ModuleOptions::default())?.apply(&mut servers)?;
    if let Some(failure) = report.failures.first() {
        anyhow::bail!("{}", servers.explain(failure));
    }
    let mut vips = match binding {
        Binding::Address => encode::addresses(cluster, interface),
        Binding::Route => encode::routes(cluster),
    };
    apply(trimtab_netlink::Family::Route, &mut vips)?;
    Ok([
        Stream::cut(NETLINK_NETFILTER, elements.as_bytes().to_vec())?,
        Stream::cut(NETLINK_GENERIC, servers.as_bytes().to_vec())?,
        Stream::cut(NETLINK_ROUTE, vips.as_bytes().to_vec())?,
    ])
}

fn apply(family: trimtab_netlink::Family, batch: &mut Batch) -> Result<()> {
    let report = Socket::open(family)?.apply(batch)?;
    let failure = report.failures.first();
    ensure!(failure.is_none(), "{family:?}: the kernel refused {failure:?}");
    Ok(())
}

/// Bytes for one netlink protocol, ready to be sent.
struct Stream {
    protocol: isize,
    bytes: Vec<u8>,
    messages: usize,
    /// Where each piece ends, and the number of its last message.
    pieces: Vec<(usize, u32)>,
}

impl Stream {
    /// Cuts where a message asks for an acknowledgement: there the transport has cut.
    fn cut(protocol: isize, bytes: Vec<u8>) -> Result<Self> {
        let mut pieces = Vec::new();
        let (mut end, mut messages) = (0, 0);
        while end < bytes.len() {
            let message = NetlinkBuffer::new_checked(&bytes[end..]).context("our own message")?;
            end += message.length() as usize;
            messages += 1;
            if message.flags() & NLM_F_ACK != 0 {
                pieces.push((end, message.sequence_number()));
            }
        }
        Ok(Self { protocol, bytes, messages, pieces })
    }

    fn send(&self) -> Result<Duration> {
        let mut socket = netlink_sys::Socket::new(self.protocol)?;
        socket.bind_auto()?;
        socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
        let mut buffer = vec![0; 8 << 10];
        let mut begin = 0;
        let start = Instant::now();
        for (end, last) in &self.pieces {
            let sent = socket.send(&self.bytes[begin..*end], 0)?;
            ensure!(sent == end - begin, "the kernel took {sent} bytes");
            begin = *end;
            loop {
                let mut room = &mut buffer[..];
                let length = socket.recv(&mut room, 0)?;
                let answer = NetlinkBuffer::new_checked(&buffer[..length])?;
                ensure!(answer.message_type() == NLMSG_ERROR, "unexpected answer");
                ensure!(answer.payload()[..4] == [0; 4], "the kernel refused a message");
                if answer.sequence_number() == *last {
                    break;
                }
            }
        }
        Ok(start.elapsed())
    }
}
