//! The codec against captured messages between `ipvsadm` and the kernel.

pub(crate) mod answers;
pub(crate) mod requests;

use std::net::IpAddr;

use netlink_packet_core::NlasIterator;
use trimtab_core::{
    Family, ForwardingMethod, Frontend, Persistence, Protocol, RealServer, RealServerKey,
    Scheduler, Tunnel, TunnelKind, VirtualServer, VirtualServerFlags,
};
use trimtab_ipvs::{
    Batch, Info, ObservedRealServer, ObservedSyncDaemon, ObservedVirtualServer, Operation, Stats,
    SyncDaemon, SyncRole, Timeouts, Version, wire,
};

/// The bytes of a dump.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tcp(address: &str, port: u16) -> Frontend {
    Frontend::new(Protocol::Tcp, ip(address), port)
}

/// Every captured request, with the operation of the command that sent it.
fn asked() -> Vec<(&'static str, Operation)> {
    let dns = tcp("10.96.0.10", 53);
    let dns6 = Frontend::new(Protocol::Udp, ip("fd00:96::a"), 53);
    let mark = Frontend::Mark { mark: 7, family: Family::V6 };
    let pod = RealServerKey::new(ip("10.244.1.2"), 5353);
    vec![
        (
            requests::ADD_SOURCE_HASHING,
            Operation::AddVirtualServer(VirtualServer {
                flags: VirtualServerFlags::HASH_FALLBACK | VirtualServerFlags::HASH_PORT,
                persistence: Some(Persistence { timeout: 600, prefix: 24 }),
                ..VirtualServer::new(dns, Scheduler::SourceHashing)
            }),
        ),
        (
            requests::ADD_TUNNELLED_SERVER,
            Operation::AddRealServer(
                dns,
                RealServer {
                    // For a tunnel, ipvsadm takes the virtual server's port.
                    key: RealServerKey { port: 53, ..pod },
                    forwarding: ForwardingMethod::Tunnel,
                    weight: 3,
                    upper_threshold: 100,
                    lower_threshold: 50,
                    tunnel: Tunnel { kind: TunnelKind::Gue { port: 6080 }, flags: 1 },
                },
            ),
        ),
        (
            requests::ADD_ONE_PACKET,
            Operation::AddVirtualServer(VirtualServer {
                flags: VirtualServerFlags::ONE_PACKET,
                ..VirtualServer::new(dns6, Scheduler::RoundRobin)
            }),
        ),
        (
            requests::ADD_MARK,
            Operation::AddVirtualServer(VirtualServer::new(
                mark,
                Scheduler::WeightedLeastConnection,
            )),
        ),
        (requests::DELETE_REAL_SERVER, Operation::DeleteRealServer(dns, pod)),
        (
            requests::SET_TIMEOUTS,
            Operation::SetTimeouts(Timeouts { tcp: Some(900), tcp_fin: Some(120), udp: Some(300) }),
        ),
        (requests::START_DAEMON, Operation::StartSyncDaemon(daemon())),
        (requests::STOP_DAEMON, Operation::StopSyncDaemon(SyncRole::Master)),
        (requests::ZERO, Operation::Zero(None)),
        (requests::FLUSH, Operation::Flush),
    ]
}

fn daemon() -> SyncDaemon {
    SyncDaemon {
        payload: 1400,
        group: Some(ip("224.0.0.82")),
        port: 8849,
        ttl: 2,
        ..SyncDaemon::new(SyncRole::Master, "d0", 5)
    }
}

#[test]
fn what_ipvsadm_asks_is_understood() {
    for (request, operation) in asked() {
        assert_eq!(wire::decode_request(&bytes(request)).unwrap(), Ok(operation));
    }
}

#[test]
fn our_own_message_asks_for_the_same_by_the_same_command() {
    for (request, operation) in asked() {
        let mut batch = Batch::new();
        batch.push(&operation);
        let ours = payload(&batch);
        assert_eq!(ours[..4], bytes(request)[..4], "{operation}");
        assert_eq!(wire::decode_request(ours).unwrap(), Ok(operation));
    }
}

#[test]
fn our_own_message_says_in_every_attribute_what_ipvsadm_says() {
    for (request, operation) in asked() {
        // We send less than ipvsadm: the identity is enough, and so is the role of the daemon.
        if matches!(operation, Operation::DeleteRealServer(..) | Operation::StopSyncDaemon(_)) {
            continue;
        }
        let mut batch = Batch::new();
        batch.push(&operation);
        let (ours, theirs) = (payload(&batch), bytes(request));
        let identity_only = matches!(operation, Operation::AddRealServer(..));
        for (path, value) in leaves(&theirs[4..]) {
            // The kernel ignores options of a virtual server that is only referred to
            // (ip_vs_genl_parse_service).
            if identity_only && path[0] == 1 && path[1] > 5 {
                continue;
            }
            let found = leaves(&ours[4..]).into_iter().find(|(other, _)| *other == path);
            assert_eq!(found, Some((path, value)), "{operation}");
        }
    }
}

/// The first message's payload; a batch's bytes begin with `struct nlmsghdr`.
fn payload(batch: &Batch) -> &[u8] {
    &batch.as_bytes()[16..]
}

/// Attributes by their numbers from the outside in; of the family's requests, 1 to 3 are nests.
fn leaves(attributes: &[u8]) -> Vec<(Vec<u16>, Vec<u8>)> {
    let mut leaves = Vec::new();
    for attribute in NlasIterator::new(attributes).map(Result::unwrap) {
        if !attribute.nested_flag() {
            leaves.push((vec![attribute.kind()], attribute.value().to_vec()));
            continue;
        }
        for inner in NlasIterator::new(attribute.value()).map(Result::unwrap) {
            leaves.push((vec![attribute.kind(), inner.kind()], inner.value().to_vec()));
        }
    }
    leaves
}

/// Three datagrams of six bytes with 28 bytes of headers each.
const TRAFFIC: Stats = Stats {
    connections: 3,
    packets_in: 3,
    packets_out: 0,
    bytes_in: 102,
    bytes_out: 0,
    connection_rate: 0,
    packet_rate_in: 0,
    packet_rate_out: 0,
    byte_rate_in: 10,
    byte_rate_out: 0,
    wide: true,
};

fn virtual_server(server: VirtualServer, stats: Stats) -> ObservedVirtualServer {
    ObservedVirtualServer { server, irregular_netmask: None, stats, unknown: vec![] }
}

#[test]
fn the_kernels_virtual_servers_are_understood() {
    let idle = Stats { wide: true, ..Stats::default() };
    let dns = Frontend::new(Protocol::Udp, ip("10.96.0.10"), 53);
    let least = Scheduler::WeightedLeastConnection;
    let expected = [
        (
            answers::UDP_AFTER_TRAFFIC,
            virtual_server(VirtualServer::new(dns, Scheduler::RoundRobin), TRAFFIC),
        ),
        (
            answers::MAGLEV,
            virtual_server(
                VirtualServer {
                    flags: VirtualServerFlags::HASH_PORT,
                    persistence: Some(Persistence { timeout: 600, prefix: 24 }),
                    ..VirtualServer::new(tcp("10.96.0.10", 80), Scheduler::MaglevHashing)
                },
                idle,
            ),
        ),
        (
            answers::IPV6,
            virtual_server(
                VirtualServer {
                    persistence: Some(Persistence { timeout: 60, prefix: 64 }),
                    ..VirtualServer::new(tcp("fd00::1", 443), least)
                },
                idle,
            ),
        ),
        (
            answers::MARK,
            virtual_server(
                VirtualServer {
                    persistence: Some(Persistence { timeout: 60, prefix: 32 }),
                    ..VirtualServer::new(Frontend::Mark { mark: 7, family: Family::V4 }, least)
                },
                idle,
            ),
        ),
    ];
    for (answer, observed) in expected {
        assert_eq!(wire::decode_virtual_server(&bytes(answer)).unwrap(), Ok(observed));
    }
}

#[test]
fn the_kernels_real_servers_are_understood() {
    let dns = RealServer {
        weight: 3,
        upper_threshold: 100,
        lower_threshold: 50,
        ..RealServer::masqueraded(RealServerKey::new(ip("10.9.9.9"), 5353))
    };
    let tunnel = RealServer {
        forwarding: ForwardingMethod::Tunnel,
        weight: 0,
        tunnel: Tunnel { kind: TunnelKind::Gue { port: 6080 }, flags: 2 },
        ..RealServer::masqueraded(RealServerKey::new(ip("10.1.2.3"), 443))
    };
    let idle = Stats { wide: true, ..Stats::default() };
    // The second is IPv4 behind IPv6, and the message says so.
    for (answer, family, server, inactive_connections, stats) in [
        (answers::SERVER_AFTER_TRAFFIC, Family::V4, dns, 3, TRAFFIC),
        (answers::MIXED_TUNNEL, Family::V6, tunnel, 0, idle),
    ] {
        let observed = ObservedRealServer {
            server,
            active_connections: 0,
            inactive_connections,
            persistent_connections: 0,
            stats,
            unknown: vec![],
        };
        assert_eq!(wire::decode_real_server(&bytes(answer), family).unwrap(), Ok(observed));
    }
}

#[test]
fn the_kernels_settings_are_understood() {
    let info = Info {
        version: Version { major: 1, minor: 2, patch: 1 },
        connection_table_size: 256,
        unknown: vec![],
    };
    assert_eq!(wire::decode_info(&bytes(answers::INFO)).unwrap(), info);
    let timeouts = Timeouts { tcp: Some(900), tcp_fin: Some(120), udp: Some(300) };
    assert_eq!(wire::decode_timeouts(&bytes(answers::TIMEOUTS)).unwrap(), (timeouts, vec![]));
    let observed = ObservedSyncDaemon { daemon: daemon(), unknown: vec![] };
    assert_eq!(wire::decode_sync_daemon(&bytes(answers::DAEMON)).unwrap(), Ok(observed));
}

#[test]
fn an_answer_to_something_else_is_an_error() {
    assert!(wire::decode_virtual_server(&bytes(answers::SERVER_AFTER_TRAFFIC)).is_err());
    assert!(wire::decode_real_server(&bytes(answers::MARK), Family::V4).is_err());
    assert!(wire::decode_sync_daemon(&bytes(answers::INFO)).is_err());
    assert!(wire::decode_info(&bytes(answers::TIMEOUTS)).is_err());
    assert!(wire::decode_timeouts(&bytes(answers::DAEMON)).is_err());
    assert!(wire::decode_request(&bytes(answers::INFO)).is_err());
}
