//! What `trimtab run` can do once, instead of running: kube-proxy's `--cleanup`, `--init-only` and
//! `--write-config-to`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hashbrown::HashSet;
use tokio::sync::watch;
use tracing::{error, info};
use trimtab_core::{DUMMY_INTERFACE, Family, Frontend, SetId};
use trimtab_host::rules::{PacketFilter, RuleOptions, RuleSet};
use trimtab_host::{dummy, ipset};
use trimtab_netlink::Socket;
use trimtab_reconcile::{Reconciler, Settings, execute};

use crate::config::{Config, written};
use crate::daemon::DataPlane;
use crate::linux::Linux;

/// Writes the configuration to a file.
pub(super) fn write_config(config: &Config, path: &Path) -> anyhow::Result<()> {
    let text = serde_saphyr::to_string(&written(config))?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Sets sysctls and timeouts.
pub(super) fn init(config: Config) -> anyhow::Result<()> {
    open(Arc::new(config), Vec::new())?.init()
}

/// Removes what the sets say is ours, then rules, sets and the dummy interface. What fails is said,
/// and the rest is removed all the same.
pub(super) fn cleanup(config: Config) -> anyhow::Result<()> {
    let node_name = config.node_name.clone();
    let mut plane = open(Arc::new(config), Family::ALL.to_vec())?;
    let mut failed = withdraw(&mut plane, &node_name)?;
    let mut attempt = |what: String, outcome: anyhow::Result<bool>| match outcome {
        Ok(true) => info!("removed {what}"),
        Ok(false) => {}
        Err(why) => {
            failed += 1;
            error!("cannot remove {what}: {why:#}");
        }
    };
    for family in Family::ALL {
        let removed = RuleSet::new(&RuleOptions::default(), family)
            .and_then(|rules| PacketFilter::new(family).remove(&rules));
        attempt(format!("the {family} packet-filter rules"), removed.map_err(Into::into));
    }
    let mut sets = ipset::Client::open()?;
    for set in SetId::all() {
        let removed = match sets.destroy(&[set.name()])?.into_result() {
            Err(error) if error.is_not_found() => Ok(false),
            outcome => outcome.map(|()| true),
        };
        attempt(format!("ipset {set}"), removed.map_err(Into::into));
    }
    let mut route = Socket::open(trimtab_netlink::Family::Route)?;
    let removed = dummy::find(&mut route, DUMMY_INTERFACE).and_then(|found| match found {
        Some(dummy) => dummy.destroy(&mut route, DUMMY_INTERFACE).map(|()| true),
        None => Ok(false),
    });
    attempt(format!("the interface {DUMMY_INTERFACE}"), removed.map_err(Into::into));
    anyhow::ensure!(failed == 0, "{failed} things could not be removed");
    Ok(())
}

/// Takes away VIPs, virtual servers and elements as if every Service were gone; how many operations
/// the kernel refused.
fn withdraw(plane: &mut Linux, node_name: &str) -> anyhow::Result<usize> {
    let settings = Settings { drain_timeout: Duration::ZERO, ..Settings::new(node_name) };
    let mut reconciler = Reconciler::new(settings);
    for set in SetId::all() {
        let elements = plane.elements(set)?;
        reconciler.observe_elements(set, elements);
    }
    let addresses = plane.addresses()?;
    reconciler.observe_addresses(addresses);
    // Another configuration may have bound VIPs in the other way.
    plane.retire_other_binding(&HashSet::new())?;
    for server in plane.virtual_servers()? {
        reconciler.observe_virtual_server(server.frontend, Some(&server));
    }
    let ours: Vec<Frontend> = reconciler.known_frontends().collect();
    for frontend in ours {
        let servers = plane.real_servers(&frontend)?;
        reconciler.observe_real_servers(frontend, servers);
    }
    let mut failed = 0;
    while !reconciler.is_settled() {
        let plan = reconciler.plan(Duration::ZERO, usize::MAX);
        let report = execute(&plan, plane);
        reconciler.settle(&plan, &report, Duration::ZERO);
        for operation in plan.operations() {
            info!("{}", operation.action);
        }
        for (operation, why) in &report.failed {
            failed += 1;
            error!("cannot {}: {why}", operation.action);
        }
    }
    Ok(failed)
}

fn open(config: Arc<Config>, families: Vec<Family>) -> anyhow::Result<Linux> {
    Linux::open(config, families, watch::channel(Vec::new()).1)
}
