//! Commands and elements of ipsets.

use trimtab_core::{Family, Protocol, SetElement, SetId, SetKind, SetType};
use trimtab_host::Error;
use trimtab_host::ipset::{Change, Client, Ensured, Repeat, SetSpec, apply_growing, ensure};

use crate::namespace::{isolated, run};

pub(crate) fn spec(name: &str, set_type: SetType, family: Family) -> SetSpec<'_> {
    SetSpec { name, set_type, family, max_elements: 65536, marks: false }
}

pub(crate) fn ip_port(number: u32, port: u16) -> SetElement {
    let ip = std::net::Ipv4Addr::from_bits(0x0a60_0000 + number);
    SetElement::IpPort(ip.into(), Protocol::Tcp, port)
}

/// The elements that `ipset` says are in a set, sorted.
pub(crate) fn members(set: &str) -> Vec<String> {
    let prefix = format!("add {set} ");
    let mut all: Vec<String> = run(&format!("ipset save {set}"))
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect();
    all.sort();
    all
}

/// A few elements of each type.
fn samples(set_type: SetType, family: Family) -> Vec<SetElement> {
    let (ip, second, net, host) = match family {
        Family::V4 => ("10.96.0.1", "10.244.0.5", "192.0.2.0/24", "198.51.100.7/32"),
        Family::V6 => ("fd00:96::1", "fd00:244::5", "2001:db8::/33", "2001:db8:8000::7/128"),
    };
    let (ip, second) = (ip.parse().unwrap(), second.parse().unwrap());
    Protocol::ALL
        .into_iter()
        .zip([80, 0, 65535])
        .flat_map(|(protocol, port)| match set_type {
            SetType::HashIp => vec![SetElement::Ip(ip), SetElement::Ip(second)],
            SetType::BitmapPort => vec![SetElement::Port(port)],
            SetType::HashIpPort => vec![SetElement::IpPort(ip, protocol, port)],
            SetType::HashIpPortIp => vec![SetElement::IpPortIp(ip, protocol, port, second)],
            SetType::HashIpPortNet => [net, host]
                .map(|net| SetElement::IpPortNet(ip, protocol, port, net.parse().unwrap()))
                .to_vec(),
        })
        .collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn all_our_sets_are_made_as_kube_proxy_makes_them_and_hold_their_elements() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        let specs: Vec<_> = SetId::all().map(|set| SetSpec::of(set, 0)).collect();
        for outcome in ensure(&mut client, &specs).unwrap() {
            assert_eq!(outcome.unwrap(), Ensured::Created);
        }
        for set in SetId::all() {
            let (name, set_type) = (set.name(), set.kind.set_type());
            let mut elements = samples(set_type, set.family);
            if set.kind.has_marks() {
                for (mark, element) in (0x1001..).zip(&mut elements) {
                    *element = marked(*element, mark);
                }
            }
            let changes: Vec<_> =
                elements.iter().map(|element| Change::add(name, *element)).collect();
            let applied = client.change(&changes, Repeat::Allow).unwrap();
            assert!(applied.is_success(), "{applied:?}");
            assert_eq!(applied.sends, 1);
            let mut expected: Vec<_> = elements.iter().map(ToString::to_string).collect();
            expected.sort();
            expected.dedup();
            assert_eq!(members(name), expected);
            let extension = if set.kind.has_marks() { " skbinfo" } else { "" };
            let parameters = match (set_type, set.family) {
                (SetType::BitmapPort, _) => "range 0-65535",
                (_, Family::V4) => "family inet hashsize 1024 maxelem 65536",
                (_, Family::V6) => "family inet6 hashsize 1024 maxelem 65536",
            };
            let created = format!("create {name} {set_type} {parameters}");
            let saved = run(&format!("ipset save {name}"));
            assert!(saved.starts_with(&created), "{created}");
            assert_eq!(saved.contains(" skbinfo"), set.kind.has_marks());
            // kube-proxy's own command finds the set as it wants it.
            run(&format!("ipset create {name} {set_type} {parameters}{extension} -exist"));
            // And the listing is read back as it was written.
            let mut listed = client.list(name).unwrap().unwrap();
            assert_eq!((listed.header.set_type, listed.others), (Some(set_type), 0));
            listed.elements.sort();
            elements.sort();
            elements.dedup();
            assert_eq!(listed.elements, elements);
        }
        for outcome in ensure(&mut client, &specs).unwrap() {
            assert_eq!(outcome.unwrap(), Ensured::Adopted);
        }
        let mut names = client.names().unwrap();
        names.sort();
        let mut printed: Vec<_> = run("ipset list -n").lines().map(Box::from).collect();
        printed.sort();
        assert_eq!(names, printed);
        assert_eq!(client.headers().unwrap().len(), SetId::COUNT);
    });
}

fn marked(element: SetElement, mark: u32) -> SetElement {
    match element {
        SetElement::IpPort(ip, protocol, port) => SetElement::IpPortMark(ip, protocol, port, mark),
        other => other,
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn an_element_takes_another_mark_in_place_and_a_set_that_grows_keeps_the_marks() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        let set =
            SetSpec { max_elements: 2, marks: true, ..spec("S", SetType::HashIpPort, Family::V4) };
        ensure(&mut client, &[set]).unwrap().pop().unwrap().unwrap();
        let change = |client: &mut Client, marks: &[u32]| {
            let elements = (1u32..).zip(marks);
            let changes: Vec<_> = elements
                .map(|(number, mark)| Change::add("S", marked(ip_port(number, 80), *mark)))
                .collect();
            apply_growing(client, &changes, Repeat::Allow).unwrap().applied
        };
        assert!(change(&mut client, &[0x1001, 0x1002]).is_success());
        assert!(change(&mut client, &[0x1009]).is_success());
        assert_eq!(
            members("S"),
            ["10.96.0.1,tcp:80 skbmark 0x1009", "10.96.0.2,tcp:80 skbmark 0x1002"]
        );
        assert!(change(&mut client, &[0x1009, 0x1002, 0x1003]).is_success(), "it grows");
        assert_eq!(
            members("S"),
            [
                "10.96.0.1,tcp:80 skbmark 0x1009",
                "10.96.0.2,tcp:80 skbmark 0x1002",
                "10.96.0.3,tcp:80 skbmark 0x1003",
            ]
        );
        // For deleting, the mark does not matter.
        let delete = [Change::delete("S", marked(ip_port(1, 80), 7))];
        assert!(client.change(&delete, Repeat::Refuse).unwrap().is_success());
        assert_eq!(members("S").len(), 2);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_set_without_marks_in_the_place_of_one_with_is_replaced_also_while_rules_use_it() {
    isolated(|| {
        run("ipset create S hash:ip,port");
        run("ipset add S 10.96.0.1,tcp:80");
        run("iptables -t mangle -A INPUT -j SET --map-set S dst,dst --map-mark");
        let mut client = Client::open().unwrap();
        let set = SetSpec { marks: true, ..spec("S", SetType::HashIpPort, Family::V4) };
        assert_eq!(ensure(&mut client, &[set]).unwrap().pop().unwrap().unwrap(), Ensured::Replaced);
        assert!(run("ipset save S").contains(" skbinfo"));
        assert!(members("S").is_empty());
        assert_eq!(ensure(&mut client, &[set]).unwrap().pop().unwrap().unwrap(), Ensured::Adopted);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_the_ipset_program_added_is_read_and_what_cannot_be_said_is_counted() {
    isolated(|| {
        run("ipset create S hash:ip,port,net counters comment");
        run("ipset add S 203.0.113.1,tcp:443,192.0.2.0/24 comment 'a remark'");
        run("ipset add S 203.0.113.1,icmp:echo-request,192.0.2.0/24");
        run("ipset add S 203.0.113.1,tcp:443,192.0.2.7 nomatch");
        run("ipset create G hash:net");
        let mut client = Client::open().unwrap();
        let set = client.list("S").unwrap().unwrap();
        let net = "192.0.2.0/24".parse().unwrap();
        let vip = "203.0.113.1".parse().unwrap();
        assert_eq!(set.elements, [SetElement::IpPortNet(vip, Protocol::Tcp, 443, net)]);
        assert_eq!(set.others, 2);
        assert_eq!(client.header("G").unwrap().unwrap().set_type, None);
        assert_eq!(client.header("absent").unwrap(), None);
        assert_eq!(client.list("absent").unwrap(), None);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn repeats_are_done_or_refused_as_asked() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        client.create(&[spec("S", SetType::HashIpPort, Family::V4)]).unwrap();
        let add = |n| Change::add("S", ip_port(n, 80));
        let delete = |n| Change::delete("S", ip_port(n, 80));
        assert!(client.change(&[add(1), add(3)], Repeat::Refuse).unwrap().is_success());
        let all: Vec<_> = (0..6).map(add).collect();
        let applied = client.change(&all, Repeat::Refuse).unwrap();
        let failed: Vec<_> = applied.failed.iter().map(|failed| failed.index).collect();
        assert_eq!(failed, [1, 3]);
        assert!(applied.failed.iter().all(|failed| failed.error.is_repeat()));
        assert!(applied.failed[0].error.to_string().contains("10.96.0.1,tcp:80"));
        assert_eq!(members("S").len(), 6);
        assert!(client.change(&all, Repeat::Allow).unwrap().is_success());

        let some: Vec<_> = [0, 7, 2, 8, 4].map(delete).to_vec();
        let applied = client.change(&some, Repeat::Refuse).unwrap();
        let failed: Vec<_> = applied.failed.iter().map(|failed| failed.index).collect();
        assert_eq!(failed, [1, 3]);
        assert_eq!(members("S"), ["10.96.0.1,tcp:80", "10.96.0.3,tcp:80", "10.96.0.5,tcp:80"]);
        assert!(client.change(&some, Repeat::Allow).unwrap().is_success());
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn every_refused_element_is_named_and_all_others_are_in() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        client
            .create(&[
                spec("S", SetType::HashIpPort, Family::V4),
                spec("N", SetType::HashIpPortNet, Family::V4),
            ])
            .unwrap();
        // Of every seven, one of the other family, one for a set that is not there, one for a
        // network of length 0: wherever they stand in their message.
        let six = SetElement::IpPort("fd00::1".parse().unwrap(), Protocol::Tcp, 80);
        let everything = "0.0.0.0/0".parse().unwrap();
        let changes: Vec<_> = (0..700u32)
            .map(|n| match n % 7 {
                2 => Change::add("S", six),
                4 => Change::add("absent", ip_port(n, 80)),
                5 => {
                    let vip = "203.0.113.1".parse().unwrap();
                    Change::add("N", SetElement::IpPortNet(vip, Protocol::Tcp, 80, everything))
                }
                _ => Change::add("S", ip_port(n, 80)),
            })
            .collect();
        let applied = client.change(&changes, Repeat::Refuse).unwrap();
        assert_eq!(applied.failed.len(), 300);
        for failed in &applied.failed {
            match failed.index % 7 {
                2 => assert!(failed.error.to_string().contains("fd00::1"), "{}", failed.error),
                4 => assert!(failed.error.is_not_found(), "{}", failed.error),
                5 => assert!(matches!(failed.error, Error::ZeroLengthNetwork { .. })),
                _ => panic!("{}", failed.error),
            }
        }
        assert_eq!(members("S").len(), 400);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn sets_are_swapped_renamed_flushed_tested_and_destroyed() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        let applied = client
            .create(&[
                spec("A", SetType::HashIp, Family::V4),
                spec("B", SetType::HashIp, Family::V4),
                spec("P", SetType::BitmapPort, Family::V4),
            ])
            .unwrap();
        assert!(applied.is_success());
        let one = SetElement::Ip("10.96.0.1".parse().unwrap());
        client.change(&[Change::add("A", one)], Repeat::Refuse).unwrap();
        assert!(client.test("A", one).unwrap() && !client.test("B", one).unwrap());
        client.swap("A", "B").unwrap();
        assert_eq!((members("A").len(), members("B").len()), (0, 1));
        assert!(client.swap("A", "P").unwrap_err().is_type_mismatch());
        client.rename("B", "C").unwrap();
        assert_eq!(members("C"), ["10.96.0.1"]);
        assert!(client.test("B", one).unwrap_err().is_not_found());
        assert!(client.flush(&["C"]).unwrap().is_success());
        assert_eq!(members("C"), [""; 0]);

        run("iptables -A INPUT -m set --match-set A dst -j ACCEPT");
        let applied = client.destroy(&["A", "C", "absent"]).unwrap();
        assert_eq!(applied.failed.len(), 2);
        assert!(applied.failed[0].index == 0 && applied.failed[0].error.is_busy());
        assert!(applied.failed[1].index == 2 && applied.failed[1].error.is_not_found());
        assert_eq!(run("ipset list -n"), "A\nP\n");
        assert_eq!(client.header("A").unwrap().unwrap().references, 1);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn sets_of_others_are_adopted_replaced_or_named() {
    isolated(|| {
        let mut client = Client::open().unwrap();
        // Other parameters: adopted as it is, with its element.
        run("ipset create KUBE-CLUSTER-IP hash:ip,port counters maxelem 100000");
        run("ipset add KUBE-CLUSTER-IP 10.96.0.1,tcp:443");
        // Elements that expire: replaced by one whose elements stay.
        run("ipset create KUBE-LOAD-BALANCER hash:ip,port timeout 600");
        run("ipset add KUBE-LOAD-BALANCER 203.0.113.1,tcp:443");
        // A bitmap of a few ports: replaced by one of all.
        run("ipset create KUBE-NODE-PORT-TCP bitmap:port range 30000-32767");
        run("ipset add KUBE-NODE-PORT-TCP 30080");
        // Another type that rules cannot tell apart: replaced though a rule refers to it.
        run("ipset create KUBE-IPVS-IPS bitmap:ip range 10.96.0.0/24");
        // Another type and no rule: replaced.
        run("ipset create KUBE-LOOP-BACK hash:net");
        // Another family, and a rule: left alone.
        run("ipset create KUBE-EXTERNAL-IP hash:ip,port family inet6");
        for set in ["KUBE-IPVS-IPS dst", "KUBE-NODE-PORT-TCP dst", "KUBE-LOAD-BALANCER dst,dst"] {
            run(&format!("iptables -A INPUT -m set --match-set {set} -j ACCEPT"));
        }
        run("ip6tables -A INPUT -m set --match-set KUBE-EXTERNAL-IP dst,dst -j ACCEPT");

        let kinds = [
            SetKind::ClusterIp,
            SetKind::LoadBalancer,
            SetKind::NodePortTcp,
            SetKind::IpvsIps,
            SetKind::LoopBack,
            SetKind::ExternalIp,
            SetKind::NodePortUdp,
        ];
        let specs = kinds.map(|kind| SetSpec::of(SetId::new(kind, Family::V4), 0));
        let outcomes = ensure(&mut client, &specs).unwrap();
        let done: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().ok().copied()).collect();
        assert_eq!(
            done,
            [
                Some(Ensured::Adopted),
                Some(Ensured::Grown),
                Some(Ensured::Grown),
                Some(Ensured::Replaced),
                Some(Ensured::Replaced),
                None,
                Some(Ensured::Created),
            ]
        );
        let error = outcomes[5].as_ref().unwrap_err();
        assert!(error.is_type_mismatch());
        assert!(error.to_string().contains("KUBE-EXTERNAL-IP is a hash:ip,port inet6"), "{error}");
        assert!(run("ipset save KUBE-CLUSTER-IP").contains("maxelem 100000 counters"));
        assert_eq!(members("KUBE-LOAD-BALANCER"), ["203.0.113.1,tcp:443"]);
        assert!(!run("ipset save KUBE-LOAD-BALANCER").contains("timeout"));
        assert_eq!(members("KUBE-NODE-PORT-TCP"), ["30080"]);
        assert!(run("ipset save KUBE-NODE-PORT-TCP").contains("range 0-65535"));
        assert!(run("ipset save KUBE-IPVS-IPS").starts_with("create KUBE-IPVS-IPS hash:ip "));
        assert!(run("ipset save KUBE-LOOP-BACK").contains("hash:ip,port,ip"));
        assert!(!run("ipset list -n").contains("TMP"));
        // The rules still refer to the names' new sets.
        assert_eq!(client.header("KUBE-IPVS-IPS").unwrap().unwrap().references, 1);
    });
}
