//! `trimtab status`: what it says is what `ipvsadm` says, and what the daemon knows besides.

use std::process::Command;

use serde_json::{Value, json};
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::{Cluster, Proxy, ProxyBuilder, ServiceSpec, eventually};
use trimtab_integration::topology::{Layout, Namespace};

const PODS: [(u8, u8); 2] = [(1, 1), (2, 1)];

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080)
}

/// What `trimtab status` prints on a node, what it complains of, and its exit status.
fn status(node: &Namespace, proxy: &ProxyBuilder, words: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(program().unwrap());
    command.arg("status").arg("--socket").arg(proxy.admin_socket()).args(words);
    let output = node.run(|| command.output()).unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn json(node: &Namespace, proxy: &ProxyBuilder, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().copied().chain(["-o", "json"]).collect();
    let (text, error, code) = status(node, proxy, &words);
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&text).unwrap()
}

/// Real servers of a VIP as `ipvsadm -Ln` prints them: address, weight, active, inactive.
fn truth(node: &Namespace, vip: &str) -> Vec<[String; 4]> {
    let listing = node.command("ipvsadm", ["-Ln"]).unwrap();
    let at = |line: &&str| line.starts_with(&format!("TCP  {vip} "));
    let lines = listing.lines().skip_while(|line| !at(line)).skip(1);
    let servers = lines.map_while(|line| line.trim_start().strip_prefix("-> "));
    let mut found: Vec<[String; 4]> = servers
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            [words[0], words[2], words[3], words[4]].map(ToOwned::to_owned)
        })
        .collect();
    found.sort_unstable();
    found
}

/// The same as `trimtab status` says.
fn told(status: &Value, vip: &str) -> Vec<[String; 4]> {
    let frontends = status["services"][0]["frontends"].as_array().unwrap();
    let is_it = |it: &&Value| {
        let address = it["address"].as_str().unwrap_or_default();
        let address = if it["ipv6"] == true { format!("[{address}]") } else { address.to_owned() };
        format!("{address}:{}", it["port"]) == vip
    };
    let frontend = frontends.iter().find(is_it).unwrap();
    let servers = frontend["realServers"].as_array().unwrap().iter();
    let mut found: Vec<[String; 4]> = servers
        .map(|real| {
            let address: std::net::IpAddr = real["address"].as_str().unwrap().parse().unwrap();
            let port = real["port"].as_u64().unwrap().try_into().unwrap();
            let counts = &real["connections"];
            [
                std::net::SocketAddr::new(address, port).to_string(),
                real["weight"].to_string(),
                counts["active"].to_string(),
                counts["inactive"].to_string(),
            ]
        })
        .collect();
    found.sort_unstable();
    found
}

/// Waits until both say the same of a VIP, and that this is so.
fn until_agreed(
    node: &Namespace,
    proxy: &ProxyBuilder,
    vip: &str,
    is_so: impl Fn(&[[String; 4]]) -> bool,
) -> Vec<[String; 4]> {
    eventually(format!("agreement on {vip}"), || {
        let (truth, told) = (truth(node, vip), told(&json(node, proxy, &["web"]), vip));
        Ok(Some(truth).filter(|truth| *truth == told && is_so(truth)))
    })
    .unwrap()
}

fn started() -> (Cluster, ProxyBuilder, Proxy) {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    cluster.publish(&web(), &PODS).unwrap();
    let builder = cluster.proxy(1);
    let proxy = builder.start().unwrap();
    (cluster, builder, proxy)
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn weights_and_connections_are_those_of_ipvsadm() {
    let (cluster, builder, _proxy) = started();
    let _servers = cluster.serve(&PODS, &[Protocol::Tcp], 8080).unwrap();
    let node = cluster.topology.node(1).namespace();
    let from = cluster.topology.pod(1, 2);
    for family in Family::ALL {
        let to = web().at(family, 80);
        let vip = to.to_string();
        let two = |all: &[[String; 4]]| all.len() == 2;
        until_agreed(node, &builder, &vip, two);
        let mut open: Vec<_> = (0..5).map(|_| from.connect(Protocol::Tcp, to).unwrap()).collect();
        for connection in &mut open {
            connection.ask().unwrap();
        }
        let active = |all: &[[String; 4]]| -> u32 {
            all.iter().map(|it| it[2].parse::<u32>().unwrap()).sum()
        };
        let found = until_agreed(node, &builder, &vip, |all| active(all) == 5);
        assert!(found.iter().all(|it| it[1] == "1" && it[2] != "0"), "round robin: {found:?}");
        // One leaves, and keeps what it has.
        cluster.apply_all(&web().slices(&PODS[1..])).unwrap();
        until_agreed(node, &builder, &vip, |all| {
            active(all) == 5 && all.iter().any(|it| it[1] == "0" && it[2] != "0")
        });
        let told = json(node, &builder, &["web"]);
        let text = told.to_string();
        assert!(text.contains("\"draining\":{\"since\":\""), "{text}");
        let (table, _, _) = status(node, &builder, &["web"]);
        assert!(table.contains("draining for "), "{table}");
        drop(open);
        cluster.apply_all(&web().slices(&PODS)).unwrap();
        until_agreed(node, &builder, &vip, |all| all.iter().all(|it| it[1] == "1"));
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_service_is_found_by_name_and_by_address_and_everything_is_said_of_it() {
    let (cluster, builder, _proxy) = started();
    let node = cluster.topology.node(1).namespace();
    cluster.publish(&ServiceSpec::new("other", 2).port("", Protocol::Udp, 53, 5353), &[]).unwrap();
    eventually("two Services", || {
        let all = json(node, &builder, &[]);
        let settled = all["summary"]["services"] == 2 && all["summary"]["pending"] == 0;
        Ok(settled.then_some(()))
    })
    .unwrap();
    let summary = json(node, &builder, &[])["summary"].clone();
    assert_eq!((&summary["node"], &summary["ready"]), (&"node1".into(), &true.into()));
    assert_eq!((&summary["virtualServers"], &summary["realServers"]), (&4.into(), &4.into()));
    assert_eq!(summary["apiServer"]["followed"], true);
    let names = |words: &[&str]| {
        let all = json(node, &builder, words);
        let services = all["services"].as_array().unwrap().iter();
        services.map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["other", "web"]);
    assert_eq!(names(&["-n", "default"]), ["other", "web"]);
    assert_eq!(names(&["-n", "elsewhere"]), [""; 0]);
    assert_eq!(names(&["default/other"]), ["other"]);
    let vip = web().at_v4(80);
    assert_eq!(names(&[&vip.to_string()]), ["web"]);
    assert_eq!(names(&[&vip.ip().to_string()]), ["web"]);
    assert_eq!(
        json(node, &builder, &[&vip.to_string()])["services"][0]["frontends"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let (text, _, code) = status(node, &builder, &["nobody"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.ends_with("no such Service\n"), "{text}");
    let (wide, _, code) = status(node, &builder, &["web", "-o", "wide"]);
    assert_eq!(code, Some(0));
    let expected =
        ["Trimtab ", "2 Services", "POLICY", "default/web", "http", "cluster IP", "10.96.0.1:80"];
    for words in expected {
        assert!(wide.contains(words), "{words}\n{wide}");
    }
    assert!(!wide.contains('\u{1b}'), "no colours on what is no terminal: {wide:?}");
    let (yaml, _, _) = status(node, &builder, &["web", "-o", "yaml"]);
    assert!(yaml.contains("services:\n") && yaml.contains("scheduler: rr"), "{yaml}");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn without_a_daemon_the_kernel_is_shown() {
    let (cluster, builder, proxy) = started();
    let node = cluster.topology.node(1).namespace();
    let vip = web().at_v4(80).to_string();
    let kept = truth(node, &vip);
    proxy.kill().unwrap();
    let (text, error, code) = status(node, &builder, &[]);
    assert_eq!(code, Some(0), "{error}");
    assert!(text.starts_with("no Trimtab listens on "), "{text}");
    for real in &kept {
        assert!(text.contains(&real[0]), "{real:?}\n{text}");
    }
    let found = json(node, &builder, &[&vip]);
    assert_eq!(found["virtualServers"][0]["realServers"].as_array().unwrap().len(), kept.len());
    let (_, error, code) = status(node, &builder, &["web"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("not known which virtual servers a Service has"), "{error}");
    // The socket of the dead daemon is replaced.
    let _proxy = builder.start().unwrap();
    until_agreed(node, &builder, &vip, |all| all.len() == 2);
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn nobody_but_root_is_answered_whatever_the_mode_of_the_socket() {
    let (cluster, builder, _proxy) = started();
    let node = cluster.topology.node(1).namespace();
    eventually("the socket", || Ok(builder.admin_socket().exists().then_some(()))).unwrap();
    let path = builder.admin_socket().display().to_string();
    let mode = node.command("stat", ["-c", "%a %u", &path]).unwrap();
    assert_eq!(mode.trim(), "600 0");
    let folder = builder.admin_socket().parent().unwrap().display().to_string();
    let everybody = ["-R", "a+rwX", &folder];
    let program = program().unwrap().display().to_string();
    let ask = || {
        let words = ["--reuid=65534", "--clear-groups", &program, "status", "--socket", &path];
        node.command("setpriv", words).unwrap_err().to_string()
    };
    let refused = ask();
    assert!(refused.contains("cannot connect to"), "{refused}");
    node.command("chmod", everybody).unwrap();
    let refused = ask();
    assert!(refused.contains("only root may ask"), "{refused}");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_is_explained_is_what_ipvsadm_shows() {
    let (cluster, builder, _proxy) = started();
    let node = cluster.topology.node(1).namespace();
    let ready = |ready: bool| json!({"conditions": {"ready": ready}});
    let pods = [(1, 1, ready(true)), (1, 2, ready(false)), (2, 1, ready(true))];
    cluster.apply_all(&web().slices_with(&pods)).unwrap();
    let explain = |words: &[&str]| {
        let mut command = Command::new(program().unwrap());
        command.arg("explain").arg("--socket").arg(builder.admin_socket()).args(words);
        let output = node.run(|| command.output()).unwrap().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let answering = |text: &str| -> Vec<String> {
        let told: Value = serde_json::from_str(text).unwrap();
        let ports = told["ports"].as_array().unwrap().iter();
        let of_v4 = ports.filter(|port| port["port"]["ipv6"] == false);
        let endpoints = of_v4.flat_map(|port| port["endpoints"].as_array().unwrap());
        let answering = endpoints.filter(|endpoint| endpoint["cluster"]["answers"] == true);
        answering.map(|it| format!("{}:{}", it["address"].as_str().unwrap(), it["port"])).collect()
    };
    let vip = web().at_v4(80).to_string();
    eventually("three endpoints, of which two answer", || {
        let text = explain(&["web", "-o", "json"]);
        let programmed: Vec<String> = truth(node, &vip).into_iter().map(|[at, ..]| at).collect();
        let is_so = text.matches("\"notReady\"").count() == 4 && programmed == answering(&text);
        Ok(is_so.then_some(()))
    })
    .unwrap();
    let text = explain(&["web"]);
    let line = "    does not answer: 10.244.1.12:8080 on node1: it is not ready";
    assert!(text.lines().any(|one| one == line), "{text}");
}
