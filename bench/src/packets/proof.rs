//! IPVS's counters, as `ipvsadm` shows them: connections that bypassed IPVS are not in them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use trimtab_integration::topology::Namespace;

/// Longer than it takes until counters show what was counted: the kernel sums them up when it
/// estimates rates, every two seconds (net/netfilter/ipvs/ip_vs_est.c).
pub const ESTIMATION: Duration = Duration::from_secs(3);
/// The longest wait for that on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connections of each real server so far.
pub type Counts = BTreeMap<SocketAddr, u64>;

/// Reads the connections of a virtual server's real servers.
///
/// # Errors
/// When `ipvsadm` knows no such virtual server.
pub fn read(node: &Namespace, vip: SocketAddr) -> Result<Counts> {
    let arguments = ["-Ln", "--stats", "--exact", "-t", &vip.to_string()];
    parse(&node.command("ipvsadm", arguments)?)
}

/// How many virtual servers there are.
///
/// # Errors
/// When `ipvsadm` fails.
pub fn virtual_servers(node: &Namespace) -> Result<usize> {
    let text = node.command("ipvsadm", ["-Sn"])?;
    Ok(text.lines().filter(|line| line.starts_with("-A ")).count())
}

/// Waits until the real servers have got as many connections since `before` as were `answered`.
///
/// # Errors
/// When they do not: a connection bypassed IPVS, or went to another real server.
pub fn check(node: &Namespace, vip: SocketAddr, before: &Counts, answered: &Counts) -> Result<()> {
    let start = Instant::now();
    loop {
        let found = since(&read(node, vip)?, before);
        if found == *answered {
            return Ok(());
        }
        ensure!(
            start.elapsed() < PATIENCE,
            "IPVS has counted other connections to {vip} than were answered\n  counted:  \
             {found:?}\n  answered: {answered:?}"
        );
        thread::sleep(Duration::from_millis(200));
    }
}

fn since(now: &Counts, before: &Counts) -> Counts {
    let earlier = |server| before.get(server).copied().unwrap_or(0);
    now.iter().map(|(server, count)| (*server, count.saturating_sub(earlier(server)))).collect()
}

fn parse(text: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("->") {
            continue;
        }
        // The heading names a column there.
        let Some(Ok(server)) = words.next().map(str::parse) else { continue };
        let count = words.next().and_then(|word| word.parse().ok());
        counts.insert(server, count.with_context(|| format!("ipvsadm printed {line:?}"))?);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  10.96.0.1:80                       12       48       36     2496     2256
  -> 10.244.1.11:8080                    7       28       21     1456     1316
  -> 10.244.1.12:8080                    5       20       15     1040      940
";

    #[test]
    fn connections_are_counted_by_real_server_and_since_then() {
        let counts = parse(TEXT).unwrap();
        let [first, second] =
            ["10.244.1.11:8080", "10.244.1.12:8080"].map(|text| text.parse().unwrap());
        assert_eq!(counts, Counts::from([(first, 7), (second, 5)]));
        assert_eq!(since(&counts, &Counts::from([(second, 4)]))[&second], 1);
        assert!(parse("  -> 10.244.1.11:8080 x\n").is_err());
    }
}
