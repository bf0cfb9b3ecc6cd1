//! What the client adds, sets and deletes.

use trimtab_core::{
    Family, ForwardingMethod, Frontend, Persistence, Protocol, RealServer, RealServerKey,
    Scheduler, Tunnel, TunnelKind, VirtualServer, VirtualServerFlags,
};
use trimtab_ipvs::{Batch, Client};

use crate::namespace::{apply, client, ip, isolated, lines, masqueraded, run, saved, tcp};

/// Virtual servers of every kind, with `ipvsadm -S`'s words for each.
fn virtual_servers() -> Vec<(VirtualServer, &'static str)> {
    let plain = |frontend, scheduler| VirtualServer::new(frontend, scheduler);
    let hash = VirtualServerFlags::HASH_FALLBACK | VirtualServerFlags::HASH_PORT;
    let minutes = |timeout, prefix| Some(Persistence { timeout, prefix });
    vec![
        (plain(tcp("10.96.0.1", 443), Scheduler::RoundRobin), "-A -t 10.96.0.1:443 -s rr"),
        (
            plain(
                Frontend::new(Protocol::Sctp, ip("10.96.0.1"), 443),
                Scheduler::WeightedRoundRobin,
            ),
            "-A --sctp-service 10.96.0.1:443 -s wrr",
        ),
        (
            VirtualServer {
                flags: VirtualServerFlags::ONE_PACKET,
                ..plain(
                    Frontend::new(Protocol::Udp, ip("10.96.0.10"), 53),
                    Scheduler::LeastConnection,
                )
            },
            "-A -u 10.96.0.10:53 -s lc -o",
        ),
        (
            VirtualServer {
                flags: hash,
                persistence: minutes(600, 24),
                ..plain(tcp("10.96.0.11", 80), Scheduler::SourceHashing)
            },
            "-A -t 10.96.0.11:80 -s sh -p 600 -M 255.255.255.0 -b sh-fallback,sh-port",
        ),
        (
            VirtualServer {
                flags: VirtualServerFlags::HASH_PORT,
                ..plain(tcp("fd00:96::1", 443), Scheduler::MaglevHashing)
            },
            "-A -t [fd00:96::1]:443 -s mh -b mh-port",
        ),
        (
            VirtualServer {
                persistence: minutes(60, 64),
                ..plain(tcp("fd00:96::2", 80), Scheduler::WeightedLeastConnection)
            },
            "-A -t [fd00:96::2]:80 -s wlc -p 60 -M 64",
        ),
        (
            plain(Frontend::Mark { mark: 7, family: Family::V4 }, Scheduler::NeverQueue),
            "-A -f 7 -s nq",
        ),
        (
            VirtualServer {
                flags: VirtualServerFlags::SCHEDULER_1 | VirtualServerFlags::SCHEDULER_3,
                ..plain(
                    Frontend::Mark { mark: 7, family: Family::V6 },
                    Scheduler::ShortestExpectedDelay,
                )
            },
            "-A -f 7 -6 -s sed -b flag-1,flag-3",
        ),
        (
            VirtualServer {
                persistence: minutes(3600, 32),
                ..plain(tcp("10.96.0.12", 0), Scheduler::DestinationHashing)
            },
            "-A -t 10.96.0.12:0 -s dh -p 3600",
        ),
    ]
}

/// Real servers of every kind, with the words for each behind those for its virtual server.
fn real_servers() -> Vec<(RealServer, &'static str)> {
    let tunnel = |address, kind, flags| RealServer {
        forwarding: ForwardingMethod::Tunnel,
        tunnel: Tunnel { kind, flags },
        ..masqueraded(address, 443)
    };
    vec![
        (masqueraded("10.244.0.5", 8443), "-r 10.244.0.5:8443 -m -w 1"),
        (
            RealServer {
                weight: i32::MAX.cast_unsigned(),
                upper_threshold: 100,
                lower_threshold: 50,
                ..masqueraded("10.244.0.6", 8443)
            },
            // ipvsadm saves no thresholds.
            "-r 10.244.0.6:8443 -m -w 2147483647",
        ),
        (
            RealServer {
                forwarding: ForwardingMethod::DirectRoute,
                weight: 0,
                ..masqueraded("10.244.0.7", 443)
            },
            "-r 10.244.0.7:443 -g -w 0",
        ),
        (tunnel("10.244.0.8", TunnelKind::IpIp, 0), "-r 10.244.0.8:443 -i -w 1 --tun-type ipip"),
        (
            tunnel("10.244.0.9", TunnelKind::Gue { port: 6080 }, 1),
            "-r 10.244.0.9:443 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
        ),
        (
            tunnel("10.244.0.10", TunnelKind::Gre, 0),
            "-r 10.244.0.10:443 -i -w 1 --tun-type gre --tun-nocsum",
        ),
        // IPv6 behind IPv4, which only a tunnel can.
        (
            tunnel("fd00:244::5", TunnelKind::IpIp, 0),
            "-r [fd00:244::5]:443 -i -w 1 --tun-type ipip",
        ),
    ]
}

/// The lines that `ipvsadm -S` prints for those.
fn words(real_servers: &[(RealServer, &str)]) -> Vec<String> {
    let virtual_servers = virtual_servers();
    let mut lines: Vec<String> =
        virtual_servers.iter().map(|(_, words)| (*words).to_owned()).collect();
    lines.extend(real_servers.iter().map(|(_, words)| format!("-a -t 10.96.0.1:443 {words}")));
    lines.sort();
    lines
}

/// The upper and the lower threshold of a real server.
fn thresholds(real_server: &str) -> Vec<String> {
    let shown = run("ipvsadm -Ln --thresholds");
    let row = shown.lines().find(|line| line.contains(&format!("-> {real_server} "))).unwrap();
    row.split_whitespace().skip(2).take(2).map(str::to_owned).collect()
}

fn fill(client: &mut Client) {
    let mut batch = Batch::new();
    for (server, _) in virtual_servers() {
        batch.add_virtual_server(&server);
    }
    for (server, _) in real_servers() {
        batch.add_real_server(&tcp("10.96.0.1", 443), &server);
    }
    apply(client, &mut batch);
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_is_added_is_what_ipvsadm_saves_and_what_is_read_back() {
    isolated(|| {
        let mut client = client();
        fill(&mut client);
        assert_eq!(saved(), words(&real_servers()));
        assert_eq!(thresholds("10.244.0.6:8443"), ["100", "50"]);

        let listing = client.virtual_servers().unwrap();
        assert!(listing.unsupported.is_empty() && !listing.disturbed);
        assert_eq!(listing.entries.len(), virtual_servers().len());
        for (server, words) in virtual_servers() {
            let listed = listing.entries.iter().find(|o| o.server.frontend == server.frontend);
            assert!(listed.unwrap().holds(&server), "{words}: {listed:?}");
            let one = client.virtual_server(&server.frontend).unwrap().unwrap();
            assert_eq!(one.server, server);
            assert!(one.stats.wide);
        }
        let mut listed: Vec<RealServer> = client
            .real_servers(&tcp("10.96.0.1", 443))
            .unwrap()
            .into_iter()
            .map(|observed| observed.server)
            .collect();
        let mut added: Vec<_> = real_servers().into_iter().map(|(server, _)| server).collect();
        listed.sort();
        added.sort();
        assert_eq!(listed, added);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_ipvsadm_restores_reads_as_the_same_values() {
    isolated(|| {
        let mut client = client();
        fill(&mut client);
        let read = |client: &mut Client| {
            let mut servers: Vec<_> =
                client.virtual_servers().unwrap().into_iter().map(|o| o.server).collect();
            let mut real_servers: Vec<_> = client
                .real_servers(&tcp("10.96.0.1", 443))
                .unwrap()
                .into_iter()
                // ipvsadm saves no thresholds.
                .map(|o| RealServer { upper_threshold: 0, lower_threshold: 0, ..o.server })
                .collect();
            servers.sort();
            real_servers.sort();
            (servers, real_servers)
        };
        let ours = read(&mut client);
        run("saved=$(ipvsadm -Sn) && ipvsadm -C && echo \"$saved\" | ipvsadm -R");
        assert_eq!(read(&mut client), ours);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_is_set_replaces_every_option_and_keeps_the_real_servers() {
    isolated(|| {
        let mut client = client();
        fill(&mut client);
        let frontend = tcp("10.96.0.11", 80);
        let mut batch = Batch::new();
        batch.add_real_server(&frontend, &masqueraded("10.244.0.5", 80));
        batch.set_virtual_server(&VirtualServer::new(frontend, Scheduler::RoundRobin));
        apply(&mut client, &mut batch);
        let of_it = || lines("ipvsadm -Sn | grep 10.96.0.11");
        let kept = "-a -t 10.96.0.11:80 -r 10.244.0.5:80 -m -w 1";
        assert_eq!(of_it(), ["-A -t 10.96.0.11:80 -s rr", kept]);

        batch.clear();
        batch.set_virtual_server(&VirtualServer {
            flags: VirtualServerFlags::HASH_PORT,
            persistence: Some(Persistence { timeout: 90, prefix: 16 }),
            ..VirtualServer::new(frontend, Scheduler::MaglevHashing)
        });
        batch.set_real_server(
            &frontend,
            &RealServer { weight: 7, upper_threshold: 9, ..masqueraded("10.244.0.5", 80) },
        );
        apply(&mut client, &mut batch);
        let changed = "-A -t 10.96.0.11:80 -s mh -p 90 -M 255.255.0.0 -b mh-port";
        let kept = "-a -t 10.96.0.11:80 -r 10.244.0.5:80 -m -w 7";
        assert_eq!(of_it(), [changed, kept]);
        assert_eq!(thresholds("10.244.0.5:80"), ["9", "0"]);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_is_deleted_is_gone_and_the_rest_is_there() {
    isolated(|| {
        let mut client = client();
        fill(&mut client);
        let frontend = tcp("10.96.0.1", 443);
        let (gone, kept) = {
            let mut all = real_servers();
            let kept = all.split_off(3);
            (all, kept)
        };
        let mut batch = Batch::new();
        for (server, _) in &gone {
            batch.delete_real_server(&frontend, &server.key);
        }
        apply(&mut client, &mut batch);
        assert_eq!(saved(), words(&kept));

        batch.clear();
        for (server, _) in &virtual_servers()[1..] {
            batch.delete_virtual_server(&server.frontend);
        }
        let missing = RealServerKey::new(ip("fd00:244::5"), 443);
        batch.delete_real_server(&frontend, &missing);
        apply(&mut client, &mut batch);
        assert_eq!(saved().len(), 1 + kept.len() - 1);
        assert_eq!(client.virtual_server(&tcp("fd00:96::1", 443)).unwrap(), None);
        assert_eq!(client.real_servers(&tcp("fd00:96::1", 443)).unwrap().entries, []);

        batch.clear();
        batch.delete_virtual_server(&frontend);
        apply(&mut client, &mut batch);
        assert_eq!(saved(), [""; 0]);
    });
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_flush_takes_all_of_this_namespace_and_nothing_of_another() {
    isolated(|| {
        let mut outer = client();
        fill(&mut outer);
        isolated(|| {
            let mut inner = client();
            run("ipvsadm -A -t 10.96.0.1:80 -s rr");
            assert_eq!(inner.virtual_servers().unwrap().entries.len(), 1);
            let mut batch = Batch::new();
            batch.flush();
            apply(&mut inner, &mut batch);
            assert_eq!(saved(), [""; 0]);
        });
        assert_eq!(saved(), words(&real_servers()));
        let mut batch = Batch::new();
        batch.flush();
        apply(&mut outer, &mut batch);
        assert_eq!(saved(), [""; 0]);
    });
}
