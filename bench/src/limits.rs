//! Limits of counts, which do not depend on the speed of the machine.

use crate::candidate::Setup;
use crate::report::{Proxy, Report, Run};

/// Netlink messages of the cold start, as a multiple of the floor's.
const MESSAGES: f64 = 1.02;
/// Their bytes, likewise.
const BYTES: f64 = 1.02;
/// The minimum average number of messages per system call in the cold start.
const MESSAGES_A_CALL: f64 = 20.0;
/// Processes and threads that a cold start takes: six of the program itself, and what it starts to
/// read and write the packet filter, four a family with the threads and shells that these need.
const FORKS: u64 = 24;
/// Messages for one change of an endpoint: one of IPVS, and an ipset element for a local one, which
/// is one in a hundred.
const MESSAGES_A_CHANGE: f64 = 1.05;
/// With draining, a real server that leaves is deleted later, which is one message more.
const MESSAGES_A_DRAINED_CHANGE: f64 = 2.05;
/// Bytes of memory for each endpoint, above what the program itself needs.
const BYTES_AN_ENDPOINT: f64 = 1_200.0;
/// Memory of a program without any Services, in KiB.
const BASE: u64 = 24 << 10;
/// Netlink messages for each endpoint that a rolling update replaces.
const MESSAGES_A_REPLACEMENT: f64 = 2.0;

/// Messages about counts beyond their limits; checks builds of Trimtab only.
pub fn violations(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let setup = Setup { sync_period: report.sync_period, trimtab: report.settings.clone() };
    let a_change =
        if setup.is_without_draining() { MESSAGES_A_CHANGE } else { MESSAGES_A_DRAINED_CHANGE };
    for run in &report.runs {
        for proxy in run.proxies.iter().filter(|proxy| proxy.name.starts_with("trimtab")) {
            for what in check(run, proxy, a_change) {
                found.push(format!("{} at {} Services: {what}", proxy.name, run.services));
            }
        }
    }
    found
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn check(run: &Run, proxy: &Proxy, messages_a_change: f64) -> Vec<String> {
    let mut found = Vec::new();
    let mut at_most = |what: &str, value: f64, limit: f64| {
        if value > limit {
            found.push(format!("{what}: {value:.2}, and the limit is {limit:.2}"));
        }
    };
    if proxy.failure.is_some() {
        at_most("failed phases", 1.0, 0.0);
    }
    if let Some(start) = proxy.cold_start {
        at_most("processes and threads started", start.forks as f64, FORKS as f64);
        let endpoints = (run.services * run.endpoints).max(1) as f64;
        let above = start.memory.peak.saturating_sub(BASE) * 1024;
        at_most("bytes of memory an endpoint", above as f64 / endpoints, BYTES_AN_ENDPOINT);
        if let Some(traffic) = start.traffic {
            let floor = &proxy.floor;
            at_most(
                "messages of the cold start",
                traffic.messages,
                floor.messages as f64 * MESSAGES,
            );
            at_most("bytes of the cold start", traffic.bytes, floor.bytes as f64 * BYTES);
            at_most("system calls", traffic.sends, traffic.messages / MESSAGES_A_CALL + 30.0);
        }
    }
    if let Some((event, traffic)) = proxy.event.and_then(|event| Some((event, event.traffic?))) {
        let changes = (event.latency.count + event.lost).max(1) as f64;
        at_most("messages a change", traffic.messages / changes, messages_a_change);
        at_most("changes that the kernel never held", event.lost as f64, 0.0);
    }
    if let Some(churn) = proxy.churn {
        at_most("inexact ends of the churn", f64::from(churn.exact == Some(false)), 0.0);
        if let Some(traffic) = churn.traffic {
            let a_change = traffic.messages / churn.changes.max(1) as f64;
            at_most("messages a change in the churn", a_change, messages_a_change);
        }
    }
    if let Some(traffic) = proxy.restart.and_then(|restart| restart.traffic) {
        at_most("messages of a new start on a full kernel", traffic.messages, 0.0);
    }
    if let Some(rolling) = proxy.rolling {
        at_most("inexact ends of the rolling update", f64::from(rolling.exact == Some(false)), 0.0);
        if let Some(traffic) = rolling.traffic {
            let each = traffic.messages / rolling.endpoints.max(1) as f64;
            at_most("messages a replaced endpoint", each, MESSAGES_A_REPLACEMENT);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Restart, Rolling};
    use crate::scrape::Traffic;

    #[test]
    fn a_message_too_many_is_named_and_peers_are_free() {
        let traffic = Some(Traffic { messages: 2001.0, ..Traffic::default() });
        let rolling = Some(Rolling { endpoints: 1000, traffic, ..Rolling::default() });
        let restart = Some(Restart { traffic, ..Restart::default() });
        let proxy = Proxy { name: "trimtab".into(), rolling, restart, ..Proxy::default() };
        let peer = Proxy { name: "kube-proxy".into(), ..proxy.clone() };
        let run = Run { services: 5, proxies: vec![proxy, peer], ..Run::default() };
        let found = violations(&Report { runs: vec![run], ..Report::default() });
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("trimtab at 5 Services: messages of a new start"));
        assert!(found[1].contains("a replaced endpoint"), "{found:?}");
    }
}
