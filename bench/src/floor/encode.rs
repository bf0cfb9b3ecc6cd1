//! The messages that program a synthetic cluster, as Trimtab writes them.
//!
//! Messages for ipsets and addresses are encoded separately here; the program's counters show that
//! they have the same number and length as its own.

use std::net::{IpAddr, Ipv4Addr};

use test_api::Cluster;
use trimtab_core::{Family, RealServer, RealServerKey, Scheduler, SetId, SetKind, VirtualServer};
use trimtab_host::local_route;
use trimtab_netlink::{Batch, Builder, flags};

use crate::load::Load;
use crate::node;

/// Operations in one of the program's rounds; messages end with them.
const ROUND: usize = 4096;
/// The size that `trimtab-host` assumes for an element, and its limit for a message.
const ELEMENT_BYTES: usize = 96;
const MESSAGE_BYTES: usize = 4 << 10;

/// `IPSET_CMD_ADD` of subsystem `NFNL_SUBSYS_IPSET`, `NFPROTO_IPV4`, and attributes
/// (include/uapi/linux/netfilter/ipset/ip_set.h).
const ADD_ELEMENTS: u16 = 6 << 8 | 9;
const PROTOCOL: (u16, u8) = (1, 7);
const SET_NAME: u16 = 2;
const ELEMENT: u16 = 7;
const ELEMENTS: u16 = 8;
const LINE: u16 = 9;
const IP: u16 = 1;
const IP_V4: u16 = 1;
const PORT: u16 = 4;
const PROTO: u16 = 7;
const IP2: u16 = 20;
const TCP: u8 = 6;
/// `RTM_NEWADDR`, `AF_INET`, `IFA_LOCAL` (include/uapi/linux/rtnetlink.h, if_addr.h).
const NEW_ADDRESS: u16 = 20;
const INET: u8 = 2;
const LOCAL: u16 = 2;

/// `RTM_NEWROUTE`, `RT_TABLE_LOCAL`, `RT_SCOPE_HOST`, `RTN_LOCAL`, and attributes
/// (include/uapi/linux/rtnetlink.h).
const NEW_ROUTE: u16 = 24;
const LOCAL_TABLE: u8 = 255;
const HOST_SCOPE: u8 = 254;
const LOCAL_TYPE: u8 = 2;
const DESTINATION: u16 = 1;
const OUT_INTERFACE: u16 = 4;
const PRIORITY: u16 = 6;
const PREFERRED_SOURCE: u16 = 7;
/// `LOOPBACK_IFINDEX` (include/net/flow.h).
const LOOPBACK: u32 = 1;

enum Element {
    Ip(Ipv4Addr),
    IpPort(Ipv4Addr, u16),
    IpPortIp(Ipv4Addr, u16),
}

/// Virtual servers with their real servers.
pub(super) fn servers(cluster: &Cluster) -> trimtab_ipvs::Batch {
    let mut batch = trimtab_ipvs::Batch::new();
    for service in 0..cluster.services() {
        let frontend = Load::frontend(service);
        batch.add_virtual_server(&VirtualServer::new(frontend, Scheduler::RoundRobin));
        for endpoint in 0..cluster.endpoints() {
            let address = IpAddr::from(cluster.endpoint(service, endpoint));
            let key = RealServerKey::new(address, Cluster::TARGET_PORT);
            batch.add_real_server(&frontend, &RealServer::masqueraded(key));
        }
    }
    batch
}

/// Elements of ipsets: every VIP with its port, every VIP, and endpoints of the first node against
/// themselves.
pub(super) fn elements(cluster: &Cluster) -> Batch {
    let mut batch = Batch::new();
    // In groups of as many Services as make a round, so that messages end where the program's do.
    let services = (ROUND / (cluster.endpoints() + 4)).max(1);
    let all: Vec<usize> = (0..cluster.services()).collect();
    for round in all.chunks(services) {
        let vips = round.iter().map(|service| Cluster::vip(*service));
        let with_port = vips.clone().map(|vip| Element::IpPort(vip, Cluster::PORT));
        add(&mut batch, SetKind::ClusterIp, &with_port.collect::<Vec<_>>());
        add(&mut batch, SetKind::IpvsIps, &vips.map(Element::Ip).collect::<Vec<_>>());
        let pods = round
            .iter()
            .flat_map(|service| (0..cluster.endpoints()).map(move |endpoint| (*service, endpoint)));
        let local = pods.filter(|(service, endpoint)| cluster.node_of(*service, *endpoint) == 0);
        let local = local.map(|(service, endpoint)| {
            Element::IpPortIp(cluster.endpoint(service, endpoint), Cluster::TARGET_PORT)
        });
        add(&mut batch, SetKind::LoopBack, &local.collect::<Vec<_>>());
    }
    batch
}

fn add(batch: &mut Batch, kind: SetKind, elements: &[Element]) {
    for (number, part) in elements.chunks(MESSAGE_BYTES / ELEMENT_BYTES).enumerate() {
        let first = number * (MESSAGE_BYTES / ELEMENT_BYTES) + 1;
        let mut message = batch.message(ADD_ELEMENTS, flags::REQUEST);
        // struct nfgenmsg
        message.put(&[INET, 0, 0, 0]);
        message.attribute_u8(PROTOCOL.0, PROTOCOL.1);
        message.attribute_text(SET_NAME, SetId::new(kind, Family::V4).name());
        message.attribute_u32(LINE, 0);
        message.nested(ELEMENTS, |all| {
            for (line, element) in (first..).zip(part) {
                all.nested(ELEMENT, |message| {
                    write(message, element);
                    message.attribute_u32(LINE, u32::try_from(line).unwrap_or(u32::MAX));
                });
            }
        });
    }
}

fn write(message: &mut Builder<'_>, element: &Element) {
    let ip = |message: &mut Builder<'_>, kind, ip: Ipv4Addr| {
        message.nested(kind, |message| message.attribute_net(IP_V4, &ip.octets()));
    };
    let (Element::Ip(address) | Element::IpPort(address, _) | Element::IpPortIp(address, _)) =
        *element;
    ip(message, IP, address);
    if let Element::IpPort(_, port) | Element::IpPortIp(_, port) = *element {
        message.attribute_net(PORT, &port.to_be_bytes());
        message.attribute_u8(PROTO, TCP);
    }
    if let Element::IpPortIp(..) = element {
        ip(message, IP2, address);
    }
}

/// VIPs on the dummy interface.
pub(super) fn addresses(cluster: &Cluster, interface: u32) -> Batch {
    let mut batch = Batch::new();
    let all = flags::REQUEST | flags::CREATE | flags::EXCL;
    for service in 0..cluster.services() {
        let mut message = batch.message(NEW_ADDRESS, all);
        // struct ifaddrmsg: family, prefix length, flags, scope, interface.
        let [a, b, c, d] = interface.to_ne_bytes();
        message.put(&[INET, 32, 0, 0, a, b, c, d]);
        message.attribute(LOCAL, &Cluster::vip(service).octets());
    }
    batch
}

/// VIPs as local routes.
pub(super) fn routes(cluster: &Cluster) -> Batch {
    let mut batch = Batch::new();
    let all = flags::REQUEST | flags::CREATE | flags::REPLACE;
    for service in 0..cluster.services() {
        let mut message = batch.message(NEW_ROUTE, all);
        // struct rtmsg: family, lengths of destination and source, type of service, table, protocol,
        // scope, type, flags.
        message.put(&[INET, 32, 0, 0, LOCAL_TABLE, local_route::PROTOCOL, HOST_SCOPE, LOCAL_TYPE]);
        message.put(&[0; 4]);
        message.attribute(DESTINATION, &Cluster::vip(service).octets());
        message.attribute_u32(OUT_INTERFACE, LOOPBACK);
        message.attribute_u32(PRIORITY, 1024);
        message.attribute(PREFERRED_SOURCE, &node::ADDRESS.octets());
    }
    batch
}
