//! The minimum time for any program: sends the same netlink bytes, encoded beforehand, from a bare
//! loop.

mod encode;
mod stream;

pub use stream::Stream;

use std::time::Duration;

use anyhow::{Result, ensure};
use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE};
use serde::{Deserialize, Serialize};
use test_api::Cluster;
use trimtab_core::{DUMMY_INTERFACE, Family, SetId};
use trimtab_host::{dummy, ipset};
use trimtab_ipvs::{Client, ModuleOptions};
use trimtab_netlink::{Batch, Socket};

use crate::candidate::Binding;
use crate::node;
use crate::quantile::median;

/// The times of a bare loop for a cluster.
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
/// round, through the batching transport, produces the bytes: numbered, and split into pieces.
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

/// Creates what exists before any Service: the dummy interface and the sets. Returns the interface.
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
