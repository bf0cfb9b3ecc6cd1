//! `trimtab plan`: manifests in, kernel state out; no privileges, no cluster.

pub(crate) mod ipvsadm;

mod addresses;
mod ipset;
mod json;

use std::fmt::Write as _;
use std::time::Duration;

use trimtab_agent::feed;
use trimtab_config::Config;
use trimtab_core::Family;
use trimtab_core::objects::LocalAddress;
use trimtab_host::rules::RuleSet;
use trimtab_kube::manifest::Manifest;
use trimtab_kube::objects::{FieldProblem, Severity};
use trimtab_reconcile::{KernelState, Programmed, Reconciler, ServiceProblems, execute};

/// What the kernel should hold for some objects.
#[derive(Debug)]
pub struct Planned {
    /// Virtual servers, set elements, VIPs.
    pub state: KernelState,
    /// What each Service needs of them.
    pub services: Vec<Programmed>,
    /// The decisions that led there.
    pub reconciler: Reconciler,
    /// Problems with the objects, for stderr.
    pub notes: Vec<String>,
    /// Whether an object has a value that the API does not allow.
    pub invalid: bool,
}

/// Which part of a plan to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// What `ipvsadm -Sn` would print.
    Ipvsadm,
    /// What `ipset save` would print.
    Ipset,
    /// Input for iptables-restore, or for ip6tables-restore with `--family ipv6`.
    Iptables,
    /// The VIPs of the dummy interface, one per line.
    Addresses,
    /// Everything, with the Service that needs it.
    Json,
}

/// Plans the objects of `manifest` for a node with these addresses.
pub fn plan(manifest: Manifest, config: &Config, local: Vec<LocalAddress>) -> Planned {
    let (mut notes, invalid) = notes(&manifest, config);
    let mut reconciler = Reconciler::new(config.settings());
    reconciler.set_local_addresses(local);
    for change in manifest.into_changes(&config.node_name) {
        feed(&mut reconciler, config, change);
    }
    let mut state = KernelState::default();
    loop {
        let plan = reconciler.plan(Duration::ZERO, usize::MAX);
        if plan.is_empty() && reconciler.is_idle() {
            break;
        }
        let report = execute(&plan, &mut state);
        reconciler.take_report(&plan, &report, Duration::ZERO);
    }
    notes.extend(reconciler.take_problems().iter().flat_map(describe));
    let services = reconciler.programmed();
    Planned { state, services, reconciler, notes, invalid }
}

/// What is wrong in the objects themselves, and whether the API would refuse one of them.
fn notes(manifest: &Manifest, config: &Config) -> (Vec<String>, bool) {
    let mut notes = manifest.notes.clone();
    let mut invalid = false;
    let mut note = |path: &str, kind: &str, name: &dyn std::fmt::Display, problems: &[_]| {
        for problem in problems {
            let problem: &FieldProblem = problem;
            invalid |= problem.severity == Severity::Invalid;
            let verb = if problem.severity == Severity::Skipped { "skipped: " } else { "" };
            let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
            notes.push(format!("{place}{kind} {name}: {verb}{problem}"));
        }
    };
    for (path, object) in &manifest.slices {
        note(path, "EndpointSlice", &object.decoded.name, &object.decoded.problems);
    }
    for (path, object) in &manifest.services {
        note(path, "Service", &object.decoded.name, &object.decoded.problems);
    }
    if let Some(node) = manifest.nodes.get(&config.node_name)
        && node.decoded.value.is_some()
    {
        note("", "Node", &config.node_name, &node.decoded.problems);
    }
    if config.node_weights {
        for (name, node) in &manifest.nodes {
            note("", "Node", name, &node.weight.problems);
        }
    }
    (notes, invalid)
}

/// A line for each problem.
fn describe(problems: &ServiceProblems) -> impl Iterator<Item = String> {
    problems.found.iter().map(|problem| {
        format!("Service {}: {}: {}", problems.service, problem.reason.as_str(), problem.message)
    })
}

/// Prints a plan, or one part of it, for some families.
///
/// # Errors
/// An option that no packet-filter rule can hold.
pub fn render(
    planned: &Planned,
    config: &Config,
    pod_networks: &[ipnet::IpNet],
    families: &[Family],
    output: Option<Output>,
) -> Result<String, trimtab_host::Error> {
    let rules = |families: &[Family]| {
        let sets = config.rules.rule_sets(pod_networks, families)?;
        Ok::<_, trimtab_host::Error>(sets.iter().map(RuleSet::restore_input).collect::<String>())
    };
    Ok(match output {
        Some(Output::Ipvsadm) => ipvsadm::render(&planned.state, families),
        Some(Output::Ipset) => ipset::render(&planned.state, families),
        Some(Output::Iptables) => rules(families)?,
        Some(Output::Addresses) => addresses::render(&planned.state, families),
        Some(Output::Json) => json::render(planned, families, &rules(families)?),
        None => {
            let mut text = String::new();
            let mut section = |title: &str, body: &str| {
                let _ = writeln!(text, "# {title}\n{body}");
            };
            section("ipvsadm -Sn", &ipvsadm::render(&planned.state, families));
            section("ipset save", &ipset::render(&planned.state, families));
            for family in families {
                let title = match family {
                    Family::V4 => "iptables-restore --noflush",
                    Family::V6 => "ip6tables-restore --noflush",
                };
                section(title, &rules(&[*family])?);
            }
            section("addresses on kube-ipvs0", &addresses::render(&planned.state, families));
            text
        }
    })
}
