//! What the kernel holds in the end, as `ipvsadm`, `ipset` and `ip` see it.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use serde_json::Value;
use test_api::Cluster;

use crate::load::{Load, ROLLING_VIP};
use crate::node;

/// How many of the lines that differ are shown.
const SHOWN: usize = 5;

/// Compares everything that the kernel of this namespace holds with what the objects ask for.
///
/// # Errors
/// The first lines that are missing or too many, and when a program fails.
pub fn exactly(load: &Load) -> Result<()> {
    compare("ipvsadm -Sn", &servers(load), &node::run("ipvsadm", &["-Sn"])?)?;
    let set = "KUBE-CLUSTER-IP";
    let elements = vips(load).map(|vip| format!("add {set} {vip},tcp:{}", Cluster::PORT));
    let saved = node::run("ipset", &["save", set])?;
    let saved: String =
        lines(&saved).filter(|line| line.starts_with("add ")).collect::<Vec<_>>().join("\n");
    compare("ipset save", &elements.collect(), &saved)?;
    // An address on an interface has a local route as well, so this shows both ways of binding.
    let routes = node::run("ip", &["-j", "route", "show", "table", "local", "type", "local"])?;
    let routes: Vec<Value> = serde_json::from_str(&routes)?;
    let bound = routes.iter().filter_map(|route| route["dst"].as_str());
    let bound: Vec<&str> = bound.filter(|address| address.starts_with("10.")).collect();
    compare("ip route", &vips(load).collect(), &bound.join("\n"))
}

fn vips(load: &Load) -> impl Iterator<Item = String> {
    let rolling = (!load.rolling_servers().is_empty()).then(|| ROLLING_VIP.to_string());
    (0..load.cluster().services()).map(|service| Cluster::vip(service).to_string()).chain(rolling)
}

fn servers(load: &Load) -> HashSet<String> {
    let mut wanted = HashSet::new();
    let mut add = |vip: &str, servers: &mut dyn Iterator<Item = String>| {
        let frontend = format!("{vip}:{}", Cluster::PORT);
        wanted.insert(format!("-A -t {frontend} -s rr"));
        wanted.extend(servers.map(|server| format!("-a -t {frontend} -r {server} -m -w 1")));
    };
    for service in 0..load.cluster().services() {
        let ready = (0..load.cluster().endpoints()).filter(|e| load.is_ready(service, *e));
        let mut servers = ready.map(|endpoint| load.real_server(service, endpoint).to_string());
        add(&Cluster::vip(service).to_string(), &mut servers);
    }
    let rolling = load.rolling_servers();
    if !rolling.is_empty() {
        add(&ROLLING_VIP.to_string(), &mut rolling.iter().map(ToString::to_string));
    }
    wanted
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty())
}

fn compare(what: &str, wanted: &HashSet<String>, found: &str) -> Result<()> {
    let found: HashSet<&str> = lines(found).collect();
    let missing: Vec<&String> =
        wanted.iter().filter(|line| !found.contains(line.as_str())).collect();
    let surplus: Vec<&&str> = found.iter().filter(|line| !wanted.contains(**line)).collect();
    ensure!(
        missing.is_empty() && surplus.is_empty(),
        "{what}: {} lines missing, such as {:?}; {} too many, such as {:?}",
        missing.len(),
        &missing[..missing.len().min(SHOWN)],
        surplus.len(),
        &surplus[..surplus.len().min(SHOWN)],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_are_named() {
        let wanted = HashSet::from(["a".to_owned(), "b".to_owned()]);
        assert!(compare("x", &wanted, "b \n\na\n").is_ok());
        let error = compare("x", &wanted, "a\nc\n").unwrap_err().to_string();
        assert_eq!(error, r#"x: 1 lines missing, such as ["b"]; 1 too many, such as ["c"]"#);
    }
}
