//! `cargo xtask demo`: a small cluster, its Services on a real kernel, a scale up and a scale down.
//!
//! Everything that is shown is checked; the exit status is 0 only if all of it is correct.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use trimtab_core::Protocol;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually};
use trimtab_integration::topology::{Host, Layout, NodeLayout, Server};

fn main() -> anyhow::Result<()> {
    let start = Instant::now();
    headline("A cluster: two nodes with three pods each, a client outside, an API server");
    let node = NodeLayout { pods: 3, ..NodeLayout::default() };
    let cluster = Cluster::start(&Layout { nodes: vec![node.clone(), node], clients: 1 })?;
    let web = ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080);
    let names = ServiceSpec::new("names", 2).port("dns", Protocol::Udp, 53, 5353);
    let orders = ServiceSpec::new("orders", 3)
        .port("api", Protocol::Tcp, 443, 8443)
        .metadata(&serde_json::json!({"annotations": {"trimtab.dev/scheduler": "lc"}}));
    let services =
        [(&web, &[(1, 1), (2, 1)][..]), (&names, &[(1, 2), (2, 2)][..]), (&orders, &[(2, 2)][..])];
    for (service, pods) in services {
        cluster.apply(&service.service())?;
        cluster.apply_all(&service.slices(pods))?;
    }
    let _pods = serve_everywhere(&cluster)?;
    say("three Services: web (TCP 80), names (UDP 53), orders (TCP 443, scheduler lc)");

    headline("trimtab run --config config.yaml, on node 1");
    let began = Instant::now();
    let proxy = cluster.proxy(1).config("trimtab: {drainTimeout: 0s}").start()?;
    say(&format!("ready after {}", milliseconds(began.elapsed())));
    let table = ipvsadm(&cluster)?;
    ensure!(table.matches("\nTCP ").count() == 4 && table.matches("\nUDP ").count() == 2);
    show("ipvsadm -Ln", &table);

    headline("Requests through the VIPs");
    let pod = cluster.topology.pod(1, 3);
    let client = cluster.topology.client(1);
    client.route_services_via(cluster.topology.node(1))?;
    for from in [pod, cluster.topology.node(1), client] {
        spread(from, &web, Protocol::Tcp, 80, &["node1-pod1", "node2-pod1"])?;
    }
    spread(pod, &names, Protocol::Udp, 53, &["node1-pod2", "node2-pod2"])?;
    spread(pod, &orders, Protocol::Tcp, 443, &["node2-pod2"])?;

    headline("Scaling web from two pods to four, and down to one");
    scale(&cluster, &web, &[(1, 1), (2, 1), (1, 2), (2, 3)])?;
    let four = ["node1-pod1", "node1-pod2", "node2-pod1", "node2-pod3"];
    spread(pod, &web, Protocol::Tcp, 80, &four)?;
    scale(&cluster, &web, &[(2, 3)])?;
    spread(pod, &web, Protocol::Tcp, 80, &["node2-pod3"])?;

    let messages = proxy.count("trimtab_netlink_messages_total", "ipvs")?;
    say(&format!("IPVS messages since the start, all changes included: {messages}"));
    let (status, log) = proxy.terminate()?;
    ensure!(status.success(), "trimtab ended with {status}:\n{log}");
    spread(pod, &web, Protocol::Tcp, 80, &["node2-pod3"]).context("after the end of trimtab")?;
    headline("Trimtab has ended, the kernel keeps forwarding");
    say(&format!("all of the above was checked, in {:.1} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// Every pod answers with its name on all ports in use.
fn serve_everywhere(cluster: &Cluster) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    for node in 1..=2 {
        for pod in 1..=3 {
            let pod = cluster.topology.pod(node, pod);
            for (protocol, port) in
                [(Protocol::Tcp, 8080), (Protocol::Tcp, 8443), (Protocol::Udp, 5353)]
            {
                servers.push(pod.serve(&[protocol], port)?);
            }
        }
    }
    Ok(servers)
}

/// Sends many requests, shows who answered, and checks that it was all of these pods and no other.
fn spread(
    from: &Host,
    service: &ServiceSpec,
    protocol: Protocol,
    port: u16,
    pods: &[&str],
) -> anyhow::Result<()> {
    let to = service.at_v4(port);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..12 {
        let answer = from
            .ask(protocol, to)
            .with_context(|| format!("{} asks {protocol} {to}", from.name()))?;
        *counts.entry(answer.name).or_default() += 1;
    }
    let answered: Vec<&str> = counts.keys().map(String::as_str).collect();
    ensure!(answered == pods, "{to}: {answered:?} answered instead of {pods:?}");
    let counts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    say(&format!("{:<11} -> {protocol} {to:<15} {}", from.name(), counts.join(", ")));
    Ok(())
}

/// Gives web these pods and waits until the kernel has them.
fn scale(cluster: &Cluster, web: &ServiceSpec, pods: &[(u8, u8)]) -> anyhow::Result<()> {
    let slices = web.slices(pods);
    let began = Instant::now();
    cluster.apply_all(&slices)?;
    let wanted = pods.len();
    let vip = format!("-a -t {} ", web.at_v4(80));
    let namespace = cluster.topology.node(1).namespace();
    let took = eventually(format!("{wanted} real servers"), || {
        let lines = namespace.command("ipvsadm", ["-Sn"])?;
        let count = lines.lines().filter(|line| line.starts_with(&vip)).count();
        Ok((count == wanted).then(|| began.elapsed()))
    })?;
    say(&format!("{wanted} pods: seen in the kernel after at most {}", milliseconds(took)));
    show(
        "ipvsadm -Ln -t",
        &namespace.command("ipvsadm", ["-Ln", "-t", &web.at_v4(80).to_string()])?,
    );
    Ok(())
}

fn ipvsadm(cluster: &Cluster) -> anyhow::Result<String> {
    Ok(cluster.topology.node(1).namespace().command("ipvsadm", ["-Ln"])?)
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

fn headline(text: &str) {
    println!("\n== {text}");
    let _ = std::io::stdout().flush();
}

fn say(text: &str) {
    println!("   {text}");
    let _ = std::io::stdout().flush();
}

fn show(command: &str, text: &str) {
    println!("   $ {command}");
    for line in text.lines() {
        println!("     {line}");
    }
    let _ = std::io::stdout().flush();
}
