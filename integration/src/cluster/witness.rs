//! What the kernel holds, as other programs see it, in sorted lines that can be compared.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use trimtab_core::Family;

use crate::topology::Namespace;

use super::proxy::program;

/// Lines of text.
pub type Lines = BTreeSet<String>;

/// What `ipvsadm -Sn` prints.
///
/// # Errors
/// If it cannot be run.
pub fn ipvsadm(namespace: &Namespace) -> anyhow::Result<Lines> {
    Ok(lines(&namespace.command("ipvsadm", ["-Sn"])?))
}

/// What `ipset save` prints, without what the kernel chooses: hash sizes and start values.
///
/// # Errors
/// If it cannot be run.
pub fn ipset(namespace: &Namespace) -> anyhow::Result<Lines> {
    Ok(lines(&namespace.command("ipset", ["save"])?).iter().map(|line| plain_set(line)).collect())
}

/// The addresses on `kube-ipvs0`, by `ip -j address`.
///
/// # Errors
/// If it cannot be run.
pub fn addresses(namespace: &Namespace) -> anyhow::Result<Lines> {
    let text = namespace.command("ip", ["-j", "address", "show", "dev", "kube-ipvs0"])?;
    let value: Value = serde_json::from_str(&text).context("the output of ip -j")?;
    let listed = value.as_array().into_iter().flatten();
    let infos = listed.filter_map(|link| link["addr_info"].as_array()).flatten();
    Ok(infos.filter_map(|info| info["local"].as_str()).map(str::to_owned).collect())
}

/// Our chains and the jumps to them, by `iptables-save` or `ip6tables-save`.
///
/// # Errors
/// If it cannot be run.
pub fn rules(namespace: &Namespace, program: &str) -> anyhow::Result<Vec<String>> {
    let text = namespace.command::<&str>(program, [])?;
    let ours = |line: &&str| line.starts_with("-A") && line.contains("KUBE-");
    Ok(text.lines().filter(ours).map(str::to_owned).collect())
}

/// The most connections that each real server may have, by `ipvsadm -Ln --thresholds`.
///
/// # Errors
/// If it cannot be run.
pub fn thresholds(namespace: &Namespace) -> anyhow::Result<Vec<String>> {
    let text = namespace.command("ipvsadm", ["-Ln", "--thresholds"])?;
    let upper = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["->", _, upper, ..] if upper.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(upper.to_owned())
        }
        _ => None,
    };
    Ok(text.lines().filter_map(upper).collect())
}

/// The connections that IPVS has, by `ipvsadm -Lnc`, without those that only stand for a client's
/// affinity.
///
/// # Errors
/// If it cannot be run.
pub fn connections(namespace: &Namespace) -> anyhow::Result<Lines> {
    let text = namespace.command("ipvsadm", ["-Lnc"])?;
    let is_one = |line: &str| {
        let known = ["TCP", "UDP", "SCTP"];
        known.iter().any(|word| line.starts_with(word)) && !line.contains(":0 ")
    };
    Ok(lines(&text).into_iter().filter(|line| is_one(line)).collect())
}

/// The connections of a family that the kernel tracks, by `conntrack -L`.
///
/// # Errors
/// If it cannot be run.
pub fn conntrack(namespace: &Namespace, family: Family) -> anyhow::Result<Lines> {
    let family = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    Ok(lines(&namespace.command("conntrack", ["-L", "-f", family])?))
}

/// What `trimtab plan` prints for some manifests: `output` is `ipvsadm`, `ipset` or `addresses`.
///
/// # Errors
/// If it cannot be run or refuses the manifests.
pub fn plan(
    namespace: &Namespace,
    manifests: &Path,
    config: &Path,
    node: &str,
    output: &str,
) -> anyhow::Result<Lines> {
    let [manifests, config] = [manifests, config].map(|path| path.display().to_string());
    let arguments =
        ["plan", "-f", &manifests, "--config", &config, "--hostname-override", node, "-o", output];
    let text = namespace.command(&program()?.display().to_string(), arguments)?;
    Ok(lines(&text).iter().map(|line| plain_set(line)).collect())
}

/// What is in one set of lines only, as a text: empty if they are equal.
pub fn difference(found: &Lines, wanted: &Lines) -> String {
    let surplus = found.difference(wanted).map(|line| format!("  surplus: {line}\n"));
    let missing = wanted.difference(found).map(|line| format!("  missing: {line}\n"));
    surplus.chain(missing).collect()
}

fn lines(text: &str) -> Lines {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn plain_set(line: &str) -> String {
    if !line.starts_with("create ") {
        return line.to_owned();
    }
    let chosen = ["hashsize", "bucketsize", "initval"];
    let mut words = line.split(' ');
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if chosen.contains(&word) {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}
