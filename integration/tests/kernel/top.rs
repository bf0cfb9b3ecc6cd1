//! `trimtab top`: what it says is what `ipvsadm` counts.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::traffic::{names, until_answered_by};
use trimtab_integration::cluster::{Cluster, Proxy, ProxyBuilder, ServiceSpec, eventually};
use trimtab_integration::topology::{Layout, Namespace, Server};

const PODS: [(u8, u8); 2] = [(1, 1), (2, 1)];

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080)
}

fn orders() -> ServiceSpec {
    ServiceSpec::new("orders", 2).port("", Protocol::Tcp, 443, 8080)
}

/// Two Services that answer.
fn started() -> (Cluster, ProxyBuilder, Proxy, Vec<Server>) {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    for service in [web(), orders()] {
        cluster.publish(&service, &PODS).unwrap();
    }
    let servers = cluster.serve(&PODS, &[Protocol::Tcp], 8080).unwrap();
    let builder = cluster.proxy(1);
    let proxy = builder.start().unwrap();
    let both = names(["node1-pod1", "node2-pod1"]);
    for family in Family::ALL {
        for to in [web().at(family, 80), orders().at(family, 443)] {
            until_answered_by(cluster.topology.pod(1, 2), Protocol::Tcp, to, &both).unwrap();
        }
    }
    (cluster, builder, proxy, servers)
}

/// What `trimtab top` prints, and what it complains of.
fn top(node: &Namespace, socket: &std::path::Path, words: &[&str]) -> (String, String) {
    let mut command = Command::new(program().unwrap());
    command.arg("top").arg("--socket").arg(socket).args(words);
    let output = node.run(|| command.output()).unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// Of the last block, the words of the row that begins with this.
fn row(text: &str, first: &str) -> Vec<String> {
    let block = text.rsplit("\n\n").next().unwrap();
    let line = block.lines().find(|line| line.starts_with(first));
    let line = line.unwrap_or_else(|| panic!("{first}: {text}"));
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

/// The connections that `ipvsadm` has counted for a Service's cluster IPs.
fn counted(node: &Namespace, service: &ServiceSpec, port: u16) -> u64 {
    let text = node.command("ipvsadm", ["-Ln", "--stats", "--exact"]).unwrap();
    let of = |family| {
        let begin = format!("TCP  {} ", service.at(family, port));
        let line = text.lines().find(|line| line.starts_with(&begin)).unwrap();
        line[begin.len()..].split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    Family::ALL.into_iter().map(of).sum()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn connections_are_those_that_ipvsadm_counts() {
    let (cluster, builder, proxy, _servers) = started();
    let node = cluster.topology.node(1).namespace();
    let (socket, pod) = (builder.admin_socket(), cluster.topology.pod(1, 2));
    for _ in 0..10 {
        pod.ask(Protocol::Tcp, web().at_v4(80)).unwrap();
    }
    let mut open = pod.connect(Protocol::Tcp, web().at_v4(80)).unwrap();
    open.ask().unwrap();
    // The kernel brings its counters up to date every two seconds.
    let agreed = || [counted(node, &web(), 80), counted(node, &orders(), 443)];
    let text = eventually("the counts of ipvsadm, and one active connection", || {
        let before = agreed();
        let (text, errors) = top(node, &socket, &["--count", "2", "--interval", "0.1"]);
        assert_eq!(errors, "");
        let shown = ["default/web", "default/orders"].map(|name| row(&text, name));
        let counts = shown.each_ref().map(|row| row.last().unwrap().parse::<u64>().unwrap());
        let right = counts == before && before == agreed() && counts[0] > 11 && counts[1] > 0;
        Ok((right && shown[0][6] == "1").then_some(text))
    })
    .unwrap();
    assert!(row(&text, "default/web ")[..3] == ["default/web", "http", "TCP"], "{text}");
    assert_eq!(text.matches("Service ports: ").count(), 2);
    drop(open);

    // While somebody asks, there is a rate, and the busy Service is first.
    let text = eventually("a rate", || {
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let text = std::thread::scope(|scope| {
            scope.spawn(move || {
                while is_done.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                    pod.ask(Protocol::Tcp, orders().at_v4(443)).unwrap();
                }
            });
            let (text, _) = top(node, &socket, &["--count", "2", "--lines", "1"]);
            drop(done);
            text
        });
        let last = text.lines().last().unwrap_or_default();
        let words: Vec<_> = last.split_whitespace().collect();
        let has_rate = matches!(words[..], ["default/orders", "TCP", rate, ..] if rate != "0");
        Ok(has_rate.then_some(text))
    })
    .unwrap();
    assert_eq!(text.lines().count(), 7, "two blocks with a row each: {text}");

    // Without a daemon, there are addresses.
    proxy.terminate().unwrap();
    eventually("the counts of ipvsadm, by address", || {
        let before = agreed();
        let (text, errors) = top(node, &socket, &["--count", "1"]);
        assert!(errors.contains("no Trimtab listens on"), "{errors}");
        let of = |to| row(&text, &format!("TCP {to} ")).last().unwrap().parse::<u64>().unwrap();
        let web: u64 = Family::ALL.into_iter().map(|family| of(web().at(family, 80))).sum();
        let orders: u64 = Family::ALL.into_iter().map(|family| of(orders().at(family, 443))).sum();
        Ok((before == [web, orders] && before == agreed()).then_some(()))
    })
    .unwrap();
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_terminal_gets_a_view_and_is_as_before_afterwards() {
    let (cluster, builder, _proxy, _servers) = started();
    let node = cluster.topology.node(1).namespace();
    let (program, socket) = (program().unwrap(), builder.admin_socket());
    let shell = format!(
        "stty rows 24 cols 100; {} top --socket {}; echo ended with $?; stty -a",
        program.display(),
        socket.display()
    );
    // A pseudoterminal, on which `script` writes what it reads.
    let mut command = Command::new("script");
    command.args(["-qec", &shell, "/dev/null"]).env("TERM", "xterm");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = node.spawn(&mut command).unwrap();
    let (mut keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut text = String::new();
    let mut until = |what: &str| {
        while !text.contains(what) {
            let mut some = [0; 4096];
            let length = output.read(&mut some).unwrap();
            assert!(length > 0, "{what}: {text:?}");
            text += &String::from_utf8_lossy(&some[..length]);
        }
        text.clone()
    };
    let drawn = until("default/orders");
    assert!(drawn.contains("\u{1b}[?1049h"), "no alternate screen: {drawn:?}");
    keys.write_all(b"q").unwrap();
    let all = until("ended with 0");
    assert!(all.contains("\u{1b}[?1049l"), "the alternate screen stays: {all:?}");
    let all = until("echoke");
    drop(keys);
    assert!(all.contains(" icanon ") && all.contains(" echo "), "raw mode stays: {all:?}");
    child.wait().unwrap();
}
