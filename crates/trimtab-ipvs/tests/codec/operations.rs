//! Any operation that can be said to the kernel.

use std::net::IpAddr;

use proptest::prelude::*;
use trimtab_core::{
    Family, ForwardingMethod, Frontend, Persistence, Protocol, RealServer, RealServerKey,
    Scheduler, Tunnel, TunnelKind, VirtualServer, VirtualServerFlags,
};
use trimtab_ipvs::{Operation, SyncDaemon, SyncRole, Timeouts};

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => virtual_server().prop_map(Operation::AddVirtualServer),
        4 => virtual_server().prop_map(Operation::SetVirtualServer),
        2 => frontend().prop_map(Operation::DeleteVirtualServer),
        4 => (frontend(), real_server()).prop_map(|(f, r)| Operation::AddRealServer(f, r)),
        4 => (frontend(), real_server()).prop_map(|(f, r)| Operation::SetRealServer(f, r)),
        2 => (frontend(), key()).prop_map(|(f, key)| Operation::DeleteRealServer(f, key)),
        1 => prop::option::of(frontend()).prop_map(Operation::Zero),
        1 => Just(Operation::Flush),
        1 => timeouts().prop_map(Operation::SetTimeouts),
        3 => sync_daemon().prop_map(Operation::StartSyncDaemon),
        1 => role().prop_map(Operation::StopSyncDaemon),
    ]
}

pub(crate) fn frontend() -> impl Strategy<Value = Frontend> {
    let protocol = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    prop_oneof![
        3 => (protocol, any::<IpAddr>(), any::<u16>())
            .prop_map(|(protocol, address, port)| Frontend::new(protocol, address, port)),
        1 => (1..=u32::MAX, prop::sample::select(vec![Family::V4, Family::V6]))
            .prop_map(|(mark, family)| Frontend::Mark { mark, family }),
    ]
}

pub(crate) fn virtual_server() -> impl Strategy<Value = VirtualServer> {
    let persistence = prop::option::of((any::<u32>(), any::<prop::sample::Index>()));
    // Up to 15 bytes (IP_VS_PENAME_MAXLEN), of any script.
    let engine = prop::option::of(prop_oneof!["[!-~]{1,15}", "[\u{e9}\u{4e2d}]{1,5}"]);
    (frontend(), scheduler(), any::<u32>(), persistence, engine).prop_map(
        |(frontend, scheduler, bits, persistence, engine)| VirtualServer {
            frontend,
            scheduler,
            // The first two are the kernel's: persistence, and "is in the table".
            flags: VirtualServerFlags::from_bits_retain(bits & !3),
            persistence: persistence.map(|(timeout, index)| {
                let longest = frontend.family().host_prefix();
                let prefix = index.index(usize::from(longest) + 1);
                Persistence { timeout, prefix: u8::try_from(prefix).unwrap() }
            }),
            persistence_engine: engine.map(Into::into),
        },
    )
}

fn scheduler() -> impl Strategy<Value = Scheduler> {
    prop_oneof![
        3 => prop::sample::select(Scheduler::known().collect::<Vec<_>>()),
        1 => "[A-Za-z0-9_-]{1,15}".prop_map(|name| name.parse().unwrap()),
    ]
}

fn key() -> impl Strategy<Value = RealServerKey> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(address, port)| RealServerKey::new(address, port))
}

fn real_server() -> impl Strategy<Value = RealServer> {
    let forwarding = prop::sample::select(vec![
        ForwardingMethod::Masquerade,
        ForwardingMethod::Local,
        ForwardingMethod::Tunnel,
        ForwardingMethod::DirectRoute,
        ForwardingMethod::Bypass,
    ]);
    let kind = prop_oneof![
        Just(TunnelKind::IpIp),
        any::<u16>().prop_map(|port| TunnelKind::Gue { port }),
        Just(TunnelKind::Gre),
    ];
    let tunnel = (kind, any::<u16>()).prop_map(|(kind, flags)| Tunnel { kind, flags });
    (key(), forwarding, any::<[u32; 3]>(), tunnel).prop_map(
        |(key, forwarding, [weight, upper_threshold, lower_threshold], tunnel)| RealServer {
            key,
            forwarding,
            weight,
            upper_threshold,
            lower_threshold,
            tunnel,
        },
    )
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    any::<[Option<u32>; 3]>().prop_map(|[tcp, tcp_fin, udp]| Timeouts { tcp, tcp_fin, udp })
}

fn role() -> impl Strategy<Value = SyncRole> {
    prop::sample::select(vec![SyncRole::Master, SyncRole::Backup])
}

fn sync_daemon() -> impl Strategy<Value = SyncDaemon> {
    let numbers = (any::<u32>(), any::<u16>(), any::<u16>(), any::<u8>());
    (role(), "[!-~]{1,15}", numbers, any::<Option<IpAddr>>()).prop_map(
        |(role, interface, (id, payload, port, ttl), group)| SyncDaemon {
            role,
            interface: interface.into(),
            id,
            payload,
            group,
            port,
            ttl,
        },
    )
}
