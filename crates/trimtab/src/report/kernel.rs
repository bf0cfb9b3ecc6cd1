//! What the kernel holds: IPVS, sets, rules, addresses. Nothing is changed, and no module is loaded.

use std::fmt::Write as _;

use trimtab_core::{Family, RealServerKey, SetId};
use trimtab_host::rules::{Backend, PacketFilter};
use trimtab_host::{VipBinding, ipset};
use trimtab_ipvs::{Client, ModuleOptions, ObservedRealServer, Stats};
use trimtab_linux::{Inspector, host};
use trimtab_reconcile::KernelState;
use trimtab_reconcile::VirtualServerState;
use trimtab_reconcile::ports::Observer as _;

use super::Text;
use crate::plan::ipvsadm;

/// The state of IPVS, and its counters.
pub(crate) fn ipvs(room: usize) -> anyhow::Result<(Text, Text)> {
    let inspector = Inspector::open(VipBinding::Address)?;
    anyhow::ensure!(inspector.has_ipvs(), "the module ip_vs is not loaded");
    let mut client = Client::connect(&ModuleOptions::never())?;
    let (mut text, mut counters) = (Text::new(room), Text::new(room));
    let info = client.info()?;
    let _ = writeln!(text, "# IPVS {}, {} buckets", info.version, info.connection_table_size);
    let _ = writeln!(text, "# {:?}", client.timeouts()?);
    for daemon in client.sync_daemons()?.entries {
        let _ = writeln!(text, "# {:?}", daemon.daemon);
    }
    let listing = client.virtual_servers()?;
    let (count, odd) = (listing.entries.len(), listing.unsupported.len());
    let _ = writeln!(text, "# {count} virtual servers, {odd} that Trimtab cannot represent");
    let mut state = KernelState::default();
    for observed in listing {
        let frontend = observed.server.frontend;
        let _ = writeln!(counters, "{frontend} ({}) {}", frontend.family(), of(&observed.stats));
        let mut real_servers = std::collections::BTreeMap::new();
        for real in client.real_servers(&frontend)? {
            let _ = writeln!(counters, "  -> {}", of_real(&real));
            let key: RealServerKey = real.server.key;
            real_servers.insert(key, real.server);
        }
        let server = observed.server;
        state.virtual_servers.insert(frontend, VirtualServerState { server, real_servers });
    }
    text.push_str(&ipvsadm::render(&state, &Family::ALL));
    Ok((text, counters))
}

fn of(stats: &Stats) -> String {
    let Stats { connections, packets_in, packets_out, bytes_in, bytes_out, .. } = stats;
    format!(
        "connections={connections} packets={packets_in}/{packets_out} bytes={bytes_in}/{bytes_out}"
    )
}

fn of_real(real: &ObservedRealServer) -> String {
    format!(
        "{} weight={} active={} inactive={} persistent={} {}",
        real.server.key,
        real.server.weight,
        real.active_connections,
        real.inactive_connections,
        real.persistent_connections,
        of(&real.stats)
    )
}

pub(crate) fn sets(room: usize) -> anyhow::Result<Text> {
    let mut inspector = Inspector::open(VipBinding::Address)?;
    let mut text = Text::new(room);
    let mut client: Option<ipset::Client> = None;
    for set in SetId::all() {
        // Opening a client loads the module.
        if !inspector.has_set(set)? {
            let _ = writeln!(text, "{set}: missing");
            continue;
        }
        if client.is_none() {
            client = Some(ipset::Client::open()?);
        }
        if let Some(header) =
            client.as_mut().and_then(|client| client.header(set.name()).transpose())
        {
            let header = header?;
            let _ = writeln!(
                text,
                "{set}: {} revision={} maxelem={:?} hashsize={:?} elements={:?} references={}",
                header.type_name,
                header.revision,
                header.max_elements,
                header.hash_size,
                header.elements,
                header.references
            );
        }
        let mut elements = inspector.elements(set).map_err(anyhow::Error::from_boxed)?;
        elements.sort_unstable();
        for element in elements {
            let _ = writeln!(text, "  {element}");
        }
    }
    Ok(text)
}

/// Chains and rules of ours, of kube-proxy and of the kubelet, of each kind of iptables and family.
pub(crate) fn rules(room: usize) -> Text {
    let mut text = Text::new(room);
    for backend in Backend::ALL {
        for family in Family::ALL {
            let _ = writeln!(text, "## iptables-{backend}, {family}");
            let saved = match PacketFilter::of(Some(backend), family).save() {
                Ok(saved) => saved,
                Err(error) => {
                    let _ = writeln!(text, "not available: {error}");
                    continue;
                }
            };
            let mut others = 0;
            for line in saved.lines().filter(|line| !line.starts_with('#')) {
                let is_ours = line.contains("KUBE-") || line.contains("TRIMTAB-");
                if is_ours || line.starts_with('*') {
                    let _ = writeln!(text, "{line}");
                } else if line.starts_with("-A") {
                    others += 1;
                }
            }
            let _ = writeln!(text, "# rules of others, left out: {others}");
        }
    }
    text
}

pub(crate) fn addresses(room: usize) -> anyhow::Result<Text> {
    let mut text = Text::new(room);
    text.push_str("## of this node\n");
    for local in host::local_addresses()? {
        let _ = writeln!(text, "{} {}", local.interface, local.address);
    }
    for (binding, heading) in
        [(VipBinding::Address, "VIPs on kube-ipvs0"), (VipBinding::Route, "VIPs bound by routes")]
    {
        let mut vips = Inspector::open(binding)?.addresses().map_err(anyhow::Error::from_boxed)?;
        vips.sort_unstable();
        let _ = writeln!(text, "## {heading}: {}", vips.len());
        for vip in vips {
            let _ = writeln!(text, "{vip}");
        }
    }
    Ok(text)
}
