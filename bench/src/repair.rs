//! Changes by other programs in the kernel, and how long it takes until they are repaired.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use test_api::Cluster;

use crate::candidate::Running;
use crate::node;

/// A change by another program.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What, in words.
    pub what: String,
    /// The commands that do it, with `PROGRAM` for the program's process.
    pub done_by: String,
    /// A command whose output differs until the fault is repaired.
    pub seen_by: String,
}

impl Fault {
    fn new(what: &str, done_by: impl Into<String>, seen_by: impl Into<String>) -> Self {
        Self { what: what.to_owned(), done_by: done_by.into(), seen_by: seen_by.into() }
    }
}

/// Stands for the number of the program's process in commands.
const PROGRAM: &str = "PROGRAM";

/// How many of our rules there are, of both families.
const RULES: &str = "{ iptables-nft-save; ip6tables-nft-save; } | grep -c -e '-A .*KUBE-'";
/// How many VIPs are bound to the interface of this name.
const VIPS: &str = "ip -o address show dev kube-ipvs0 | wc -l";

/// Faults for which the kernel sends notifications, or that are repaired together with those:
/// injected one after the other.
pub fn told() -> Vec<Fault> {
    let vip = Cluster::vip(7);
    let sets = "ipset list -t | grep entries";
    vec![
        Fault::new("rules of one table flushed", "iptables-nft -t nat -F", RULES),
        Fault::new("all of nftables flushed", "nft flush ruleset", RULES),
        Fault::new(
            "all of nftables flushed, and all sets destroyed",
            // Sets that a rule matches cannot be destroyed, and rules are back soon.
            format!("kill -STOP {PROGRAM}; nft flush ruleset; ipset destroy; kill -CONT {PROGRAM}"),
            format!("{RULES}; {sets}"),
        ),
        Fault::new(
            "one VIP's address deleted",
            format!("ip address del {vip}/32 dev kube-ipvs0"),
            format!("ip -o address show dev kube-ipvs0 to {vip}"),
        ),
        Fault::new("kube-ipvs0 deleted", "ip link del kube-ipvs0", VIPS),
        Fault::new("kube-ipvs0 renamed", "ip link set kube-ipvs0 name other0", VIPS),
    ]
}

/// Faults without notifications, each on other objects: injected together.
pub fn silent(cluster: &Cluster) -> Vec<Fault> {
    let (port, target) = (Cluster::PORT, Cluster::TARGET_PORT);
    let of = |service: usize| format!("{}:{port}", Cluster::vip(service));
    // Of one virtual server alone: listing all takes seconds in a guest.
    let servers = |service: usize| format!("ipvsadm -Ln -t {} 2>&1; true", of(service));
    let real = |service: usize| format!("{}:{target}", cluster.endpoint(service, 0));
    vec![
        Fault::new(
            "a set flushed",
            "ipset flush KUBE-CLUSTER-IP",
            "ipset list -t KUBE-CLUSTER-IP | grep entries",
        ),
        Fault::new(
            "a sysctl changed",
            "echo 0 > /proc/sys/net/ipv4/vs/conntrack",
            "cat /proc/sys/net/ipv4/vs/conntrack",
        ),
        Fault::new("a virtual server deleted", format!("ipvsadm -D -t {}", of(11)), servers(11)),
        Fault::new(
            "a real server deleted",
            format!("ipvsadm -d -t {} -r {}", of(22), real(22)),
            servers(22),
        ),
        Fault::new(
            "a weight changed",
            format!("ipvsadm -e -t {} -r {} -m -w 7", of(33), real(33)),
            servers(33),
        ),
    ]
}

/// All of IPVS.
pub fn all_of_ipvs() -> Fault {
    Fault::new("all of IPVS cleared (ipvsadm -C)", "ipvsadm -C", "grep -c . /proc/net/ip_vs")
}

/// How long after its injection each fault is repaired, in the order of `faults`, which are all
/// injected at once.
///
/// # Errors
/// When a command fails, the program ends, or something is not repaired within `patience`.
pub fn measure(faults: &[Fault], running: &mut Running, patience: Duration) -> Result<Vec<f64>> {
    let before = faults.iter().map(seen).collect::<Result<Vec<String>>>()?;
    let mut done = Vec::with_capacity(faults.len());
    for fault in faults {
        // Before the command: at idle priority, this goes on only when the program has rested.
        done.push(Instant::now());
        let command = fault.done_by.replace(PROGRAM, &running.pid().to_string());
        node::run("sh", &["-c", &command]).with_context(|| fault.what.clone())?;
    }
    let mut took = vec![None; faults.len()];
    while took.iter().any(Option::is_none) {
        for (index, fault) in faults.iter().enumerate() {
            // The command takes time itself: use the time at which it began.
            if took[index].is_none() && seen(fault)? == before[index] {
                took[index] = Some(done[index].elapsed().as_secs_f64());
            }
        }
        running.check()?;
        if done[0].elapsed() > patience {
            bail!("never repaired: {took:?} of {faults:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(took.into_iter().flatten().collect())
}

/// A command that finds nothing fails, which is something else than before, too.
fn seen(fault: &Fault) -> Result<String> {
    let words = format!("{} 2>&1; true", fault.seen_by);
    node::run("sh", &["-c", &words]).with_context(|| fault.what.clone())
}
