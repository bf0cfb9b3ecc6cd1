//! Tracked flows of a real kernel, made and read by `conntrack`.

use trimtab_core::{Family, Frontend, Protocol};
use trimtab_host::conntrack::forget_unserved;
use trimtab_netlink::Socket;

use crate::namespace::{isolated, run};

fn vip(family: Family, number: u8) -> String {
    match family {
        Family::V4 => format!("10.96.0.{number}"),
        Family::V6 => format!("fd96::{number:x}"),
    }
}

/// Makes the kernel track a flow to a VIP, answered by `answerer`.
fn track(family: Family, protocol: &str, number: u8, port: u16, answerer: &str) {
    let (vip, client) = (vip(family, number), vip(family, 200));
    let state = if protocol == "tcp" { " --state ESTABLISHED" } else { "" };
    run(&format!(
        "conntrack -I -p {protocol} -t 60 -s {client} -d {vip} --sport 4000 --dport {port} \
         --reply-src {answerer} --reply-dst {client} --reply-port-src {port} \
         --reply-port-dst 4000{state}"
    ));
}

/// The original destinations that are tracked, as `protocol VIP port`.
fn tracked(family: Family) -> Vec<String> {
    let name = if family == Family::V4 { "ipv4" } else { "ipv6" };
    let text = run(&format!("conntrack -L -f {name}"));
    let word = |line: &str, key: &str| {
        line.split(' ').find_map(|word| word.strip_prefix(key).map(str::to_owned)).unwrap()
    };
    let line = |line: &str| {
        let protocol = line.split(' ').next().unwrap();
        format!("{protocol} {} {}", word(line, "dst="), word(line, "dport="))
    };
    let mut found: Vec<String> =
        text.lines().filter(|line| line.contains("dport=")).map(line).collect();
    found.sort();
    found
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn only_untranslated_datagrams_to_the_frontends_are_forgotten() {
    for (family, other) in [(Family::V4, Family::V6), (Family::V6, Family::V4)] {
        // A few frontends are asked for one by one, many all at once.
        for count in [1, 9] {
            isolated(move || {
                let pod = vip(family, 100);
                for number in 1..=count {
                    track(family, "udp", number, 53, &vip(family, number));
                }
                track(family, "udp", 1, 54, &vip(family, 1));
                track(family, "udp", 50, 53, &vip(family, 50));
                track(family, "udp", 51, 53, &pod);
                track(family, "tcp", 1, 53, &vip(family, 1));
                track(other, "udp", 1, 53, &vip(other, 1));
                let mut frontends: Vec<Frontend> = (1..=count)
                    .chain([51])
                    .map(|number| {
                        let address = vip(family, number).parse().unwrap();
                        Frontend::new(Protocol::Udp, address, 53)
                    })
                    .collect();
                let address = vip(family, 1).parse().unwrap();
                frontends.push(Frontend::new(Protocol::Tcp, address, 53));
                let mut socket = Socket::open(trimtab_netlink::Family::Netfilter).unwrap();
                let forgotten = forget_unserved(&mut socket, family, &frontends).unwrap();
                assert_eq!(forgotten, usize::from(count), "{:?}", tracked(family));
                let mut left = vec![
                    format!("tcp {} 53", vip(family, 1)),
                    format!("udp {} 53", vip(family, 50)),
                    format!("udp {} 53", vip(family, 51)),
                    format!("udp {} 54", vip(family, 1)),
                ];
                left.sort();
                assert_eq!(tracked(family), left);
                assert_eq!(tracked(other), [format!("udp {} 53", vip(other, 1))]);
                assert_eq!(forget_unserved(&mut socket, family, &frontends).unwrap(), 0);
            });
        }
    }
}
