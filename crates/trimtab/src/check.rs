//! `trimtab check`: what a node lacks and what prevents Trimtab from serving, each with its remedy.

use std::fmt;
use std::net::SocketAddr;

use trimtab_core::Family;
use trimtab_host::kernel_version::KernelVersion;
use trimtab_host::modules::Availability;
use trimtab_linux::{Preflight, WrongSysctl};

/// The first kernel without the old problems of IPVS with reused client ports.
const GOOD_KERNEL: KernelVersion = KernelVersion::new(5, 9);

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No problem.
    Ok,
    /// Trimtab starts, but something is not optimal, or Trimtab will change it.
    Warning,
    /// Trimtab does not start, or does not serve.
    Problem,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its severity.
    pub level: Level,
    /// What was checked, in a word or two.
    pub subject: &'static str,
    /// What was found.
    pub text: String,
    /// What to do about it; empty if there is nothing to do.
    pub remedy: String,
}

impl Finding {
    fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject, text: text.into(), remedy: String::new() }
    }

    fn wrong(
        level: Level,
        subject: &'static str,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { level, subject, text: text.into(), remedy: remedy.into() }
    }
}

/// Evaluates what was found on a node. `taken` has the addresses of Trimtab's own ports on which
/// another program listens.
pub fn findings(node: &Preflight, taken: &[SocketAddr]) -> Vec<Finding> {
    let mut all = vec![kernel(node.kernel)];
    all.extend(modules(&node.modules));
    all.push(capability(node));
    all.push(iptables(node));
    all.extend(sysctls(&node.sysctls));
    all.extend(connection_table(node.small_connection_table));
    all.push(leftovers(&node.leftovers));
    all.extend(ports(taken));
    all.extend(virtual_servers(node.virtual_servers));
    all
}

fn kernel(version: Option<KernelVersion>) -> Finding {
    let subject = "kernel";
    match version {
        Some(version) if version >= GOOD_KERNEL => Finding::ok(subject, format!("Linux {version}")),
        Some(version) => Finding::wrong(
            Level::Warning,
            subject,
            format!("Linux {version} loses packets of clients that reuse a port"),
            format!("use Linux {GOOD_KERNEL} or later"),
        ),
        None => Finding::wrong(
            Level::Problem,
            subject,
            "the kernel's version cannot be read",
            "mount /proc",
        ),
    }
}

fn modules(modules: &[(String, Availability)]) -> Vec<Finding> {
    let subject = "modules";
    let of = |wanted: Availability| -> Vec<&str> {
        let found = modules.iter().filter(|(_, found)| *found == wanted);
        found.map(|(name, _)| name.as_str()).collect()
    };
    let mut all = Vec::new();
    let absent = of(Availability::Absent);
    // Some kernels have the parts of iptables under other names; if iptables works, they have what
    // it needs. Only IPVS and ipset are indispensable.
    let (needed, perhaps): (Vec<&str>, Vec<&str>) = absent
        .into_iter()
        .partition(|name| name.starts_with("ip_vs") || name.starts_with("ip_set"));
    if !needed.is_empty() {
        all.push(Finding::wrong(
            Level::Problem,
            subject,
            format!("the kernel has no {}", needed.join(", ")),
            "install the package with the distribution's extra kernel modules, or use a kernel \
             with IPVS and ipset; choose another scheduler if only that is missing",
        ));
    }
    if !perhaps.is_empty() {
        all.push(Finding::wrong(
            Level::Warning,
            subject,
            format!("not found under these names: {}", perhaps.join(", ")),
            "none needed if `trimtab run` starts: the names of packet-filter modules differ \
             between kernels",
        ));
    }
    let loadable = of(Availability::Loadable);
    if all.is_empty() {
        let more = if loadable.is_empty() {
            String::new()
        } else {
            format!("; loaded when needed: {}", loadable.join(", "))
        };
        let unknown = of(Availability::Unknown).len();
        let text = if unknown > 0 {
            format!(
                "{} are available; unknown whether {unknown} more are, because /lib/modules does \
                 not list them{more}",
                of(Availability::Present).len()
            )
        } else {
            format!("{} are available{more}", of(Availability::Present).len())
        };
        all.push(Finding::ok(subject, text));
    }
    all
}

fn capability(node: &Preflight) -> Finding {
    let subject = "capabilities";
    match node.missing_capability {
        None => Finding::ok(subject, "CAP_NET_ADMIN and CAP_NET_RAW"),
        Some(missing) => Finding::wrong(
            Level::Problem,
            subject,
            format!("this process lacks {missing}: {}", missing.needed_for()),
            "run as root, or give the container the capability",
        ),
    }
}

fn iptables(node: &Preflight) -> Finding {
    let subject = "iptables";
    let kind = node.iptables.backend.map_or("no kind in its name", |backend| backend.name());
    let chosen = format!("{kind}, because {}", node.iptables.why);
    let rules: Vec<String> = node
        .kinds
        .iter()
        .map(|(backend, survey)| format!("{backend}: {} rules", survey.rules))
        .collect();
    let text = if rules.is_empty() { chosen } else { format!("{chosen} ({})", rules.join(", ")) };
    let names: Vec<String> = node.without_programs.iter().map(Family::to_string).collect();
    match names.as_slice() {
        [] => Finding::ok(subject, text),
        [one] => Finding::wrong(
            Level::Warning,
            subject,
            format!("{text}; the programs for {one} are missing, so {one} is not served"),
            "install iptables for both families; not needed in a single-stack cluster",
        ),
        _ => Finding::wrong(
            Level::Problem,
            subject,
            "neither iptables-save nor ip6tables-save is installed",
            "install the package iptables",
        ),
    }
}

fn sysctls(wrong: &[WrongSysctl]) -> Vec<Finding> {
    let subject = "sysctls";
    let mut all = Vec::new();
    let mut to_set = Vec::new();
    for WrongSysctl { wanted, current, is_writable } in wrong {
        let now = current.as_deref().unwrap_or("not available yet");
        if *is_writable || current.is_none() {
            to_set.push(format!("{wanted} (now {now})"));
            continue;
        }
        all.push(Finding::wrong(
            Level::Problem,
            subject,
            format!("{wanted} is needed, it is {now}: {}", wanted.reason),
            "set it on the host, run `trimtab run --init-only` with privileges, or set \
             trimtab.sysctlPath to a writable path",
        ));
    }
    if !to_set.is_empty() {
        let list = to_set.join(", ");
        all.push(Finding::ok(subject, format!("`trimtab run` will set {list}")));
    } else if all.is_empty() {
        all.push(Finding::ok(subject, "all have the required values"));
    }
    all
}

fn connection_table(small: Option<(u32, u32)>) -> Option<Finding> {
    let (buckets, bits) = small?;
    Some(Finding::wrong(
        Level::Warning,
        "connections",
        format!("IPVS's connection table has {buckets} buckets, which is few for this node"),
        format!(
            "put \"options ip_vs conn_tab_bits={bits}\" in /etc/modprobe.d/ip_vs.conf and restart \
             the node"
        ),
    ))
}

fn leftovers(found: &[String]) -> Finding {
    let subject = "leftovers";
    if found.is_empty() {
        return Finding::ok(subject, "none of kube-proxy's other modes");
    }
    Finding::wrong(
        Level::Warning,
        subject,
        found.join("; "),
        "none needed: `trimtab run` removes them once it serves. `trimtab cleanup --of \
         kube-proxy` removes them now, but they may be what serves until then",
    )
}

fn ports(taken: &[SocketAddr]) -> Option<Finding> {
    if taken.is_empty() {
        return None;
    }
    let addresses: Vec<String> = taken.iter().map(SocketAddr::to_string).collect();
    Some(Finding::wrong(
        Level::Warning,
        "ports",
        format!(
            "another program listens on {}: kube-proxy, or Trimtab itself",
            addresses.join(", ")
        ),
        "stop kube-proxy on this node before Trimtab starts",
    ))
}

fn virtual_servers(count: Option<usize>) -> Option<Finding> {
    let count = count.filter(|count| *count > 0)?;
    let text = format!("{count} exist; those that are not kube-proxy's or Trimtab's stay");
    Some(Finding::ok("virtual servers", text))
}

#[cfg(test)]
mod tests {
    use trimtab_host::capability::Capability;
    use trimtab_host::rules::{Backend, Choice, Survey};
    use trimtab_host::sysctl::Sysctl;

    use super::*;

    /// A node without problems.
    fn good() -> Preflight {
        Preflight {
            kernel: Some(KernelVersion::new(6, 1)),
            modules: vec![("ip_vs".to_owned(), Availability::Present)],
            missing_capability: None,
            iptables: Choice { backend: Some(Backend::Nft), why: "configured".to_owned() },
            kinds: vec![(Backend::Nft, Survey { rules: 3, kubelet: true })],
            without_programs: Vec::new(),
            sysctls: Vec::new(),
            leftovers: Vec::new(),
            small_connection_table: None,
            virtual_servers: Some(2),
        }
    }

    fn wrong(is_writable: bool) -> WrongSysctl {
        let wanted = Sysctl { name: "net/ipv4/ip_forward", value: 1, reason: "it forwards" };
        WrongSysctl { wanted, current: Some("0".to_owned()), is_writable }
    }

    /// The findings that are not ok, for a good node with one change.
    fn after(change: impl FnOnce(&mut Preflight)) -> Vec<(Level, &'static str)> {
        let mut node = good();
        change(&mut node);
        let found = findings(&node, &[]).into_iter();
        found.filter(|one| one.level > Level::Ok).map(|one| (one.level, one.subject)).collect()
    }

    #[test]
    fn nothing_is_wrong_on_a_good_node_and_each_thing_wrong_is_said_with_its_remedy() {
        assert_eq!(after(|_| {}), []);
        let (warning, problem) = (Level::Warning, Level::Problem);
        let old = Some(KernelVersion::new(4, 19));
        assert_eq!(after(|node| node.kernel = old), [(warning, "kernel")]);
        assert_eq!(after(|node| node.kernel = None), [(problem, "kernel")]);
        let absent = |name: &str| vec![(name.to_owned(), Availability::Absent)];
        assert_eq!(after(|node| node.modules = absent("ip_vs_mh")), [(problem, "modules")]);
        assert_eq!(after(|node| node.modules = absent("xt_mark")), [(warning, "modules")]);
        let unknown = vec![("ip_vs".to_owned(), Availability::Unknown)];
        assert_eq!(after(|node| node.modules = unknown), []);
        let lacks = Some(Capability::NetRaw);
        assert_eq!(after(|node| node.missing_capability = lacks), [(problem, "capabilities")]);
        let six = vec![Family::V6];
        assert_eq!(after(|node| node.without_programs = six), [(warning, "iptables")]);
        let both = Family::ALL.to_vec();
        assert_eq!(after(|node| node.without_programs = both), [(problem, "iptables")]);
        assert_eq!(after(|node| node.sysctls.push(wrong(true))), []);
        assert_eq!(after(|node| node.sysctls.push(wrong(false))), [(problem, "sysctls")]);
        let small = Some((4096, 16));
        let table = after(|node| node.small_connection_table = small);
        assert_eq!(table, [(warning, "connections")]);
        let left = vec!["the nftables table kube-proxy of IPv4".to_owned()];
        assert_eq!(after(|node| node.leftovers = left), [(warning, "leftovers")]);
        let taken = findings(&good(), &["0.0.0.0:10256".parse().unwrap()]);
        let ports = taken.iter().find(|one| one.subject == "ports").unwrap();
        assert!(ports.text.contains("0.0.0.0:10256"), "{ports:?}");
        for finding in taken {
            assert_eq!(finding.remedy.is_empty(), finding.level == Level::Ok, "{finding:?}");
        }
    }
}
