//! The structures of IPVS's older interface, `getsockopt` (include/uapi/linux/ip_vs.h). It knows
//! IPv4 only and no tunnel kinds, and its packet counters have 32 bits; in exchange one system call
//! reads all real servers of a virtual server, several times as fast as netlink.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr};

use trimtab_core::{
    Family, ForwardingMethod, Frontend, RealServer, RealServerKey, Tunnel, TunnelKind,
};

use super::{constants as k, real_server};
use crate::CountedRealServer;

/// `struct ip_vs_get_dests` without its table, for its layout.
#[repr(C)]
struct Header {
    protocol: u16,
    addr: u32,
    port: u16,
    fwmark: u32,
    num_dests: u32,
    entrytable: [Entry; 0],
}

/// `struct ip_vs_dest_entry`
#[repr(C)]
struct Entry {
    addr: u32,
    port: u16,
    conn_flags: u32,
    weight: i32,
    u_threshold: u32,
    l_threshold: u32,
    activeconns: u32,
    inactconns: u32,
    persistconns: u32,
    stats: Stats,
}

/// `struct ip_vs_stats_user`
#[repr(C)]
struct Stats {
    conns: u32,
    inpkts: u32,
    outpkts: u32,
    inbytes: u64,
    outbytes: u64,
    rates: [u32; 5],
}

/// What fills the table before the kernel writes to it: no real server has all of these flags.
const UNTOUCHED: u8 = 0xff;

/// Writes the request for the real servers of `frontend` with room for `capacity` of them; false if
/// this interface cannot name it.
pub(crate) fn encode(request: &mut Vec<u8>, frontend: &Frontend, capacity: usize) -> bool {
    let (protocol, address, port, mark) = match *frontend {
        Frontend::Address { protocol, address: IpAddr::V4(address), port } => {
            (u16::from(protocol.number()), address, port, 0)
        }
        Frontend::Mark { mark, family: Family::V4 } if mark != 0 => {
            (0, Ipv4Addr::UNSPECIFIED, 0, mark)
        }
        _ => return false,
    };
    let Ok(count) = u32::try_from(capacity) else { return false };
    request.clear();
    request.resize(offset_of!(Header, entrytable), 0);
    put(request, offset_of!(Header, protocol), protocol.to_ne_bytes());
    put(request, offset_of!(Header, addr), address.octets());
    put(request, offset_of!(Header, port), port.to_be_bytes());
    put(request, offset_of!(Header, fwmark), mark.to_ne_bytes());
    put(request, offset_of!(Header, num_dests), count.to_ne_bytes());
    request.resize(offset_of!(Header, entrytable) + capacity * size_of::<Entry>(), UNTOUCHED);
    true
}

/// What an answer says.
pub(crate) enum Answer {
    /// The real servers, all of them.
    All(Vec<CountedRealServer>),
    /// There may be more than there was room for.
    NoRoom,
    /// There are some that this interface cannot represent.
    Unknown,
}

/// Reads what the kernel made of a request of [`encode`].
pub(crate) fn decode(answer: &[u8]) -> Answer {
    let table = answer.get(offset_of!(Header, entrytable)..).unwrap_or_default();
    let mut found = Vec::new();
    for entry in table.chunks_exact(size_of::<Entry>()) {
        let flags = number(entry, offset_of!(Entry, conn_flags));
        if flags == u32::from_ne_bytes([UNTOUCHED; 4]) {
            return Answer::All(found);
        }
        // The kind of a tunnel is missing here.
        let method = real_server::forwarding(flags & k::IP_VS_CONN_F_FWD_MASK);
        let Some(forwarding) = method.filter(|method| *method != ForwardingMethod::Tunnel) else {
            return Answer::Unknown;
        };
        let address = Ipv4Addr::from(bytes(entry, offset_of!(Entry, addr)));
        let port = u16::from_be_bytes(bytes(entry, offset_of!(Entry, port)));
        found.push(CountedRealServer {
            server: RealServer {
                key: RealServerKey::new(address.into(), port),
                forwarding,
                weight: number(entry, offset_of!(Entry, weight)),
                upper_threshold: number(entry, offset_of!(Entry, u_threshold)),
                lower_threshold: number(entry, offset_of!(Entry, l_threshold)),
                tunnel: Tunnel { kind: TunnelKind::IpIp, flags: 0 },
            },
            active_connections: number(entry, offset_of!(Entry, activeconns)),
            inactive_connections: number(entry, offset_of!(Entry, inactconns)),
        });
    }
    Answer::NoRoom
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

fn bytes<const N: usize>(entry: &[u8], at: usize) -> [u8; N] {
    entry.get(at..at + N).and_then(|found| found.try_into().ok()).unwrap_or([0; N])
}

fn number(entry: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes(entry, at))
}

#[cfg(test)]
mod tests {
    use trimtab_core::Protocol;

    use super::*;

    fn request(capacity: usize) -> Vec<u8> {
        let frontend = Frontend::new(Protocol::Tcp, "10.96.0.10".parse().unwrap(), 80);
        let mut request = Vec::new();
        assert!(encode(&mut request, &frontend, capacity));
        request
    }

    /// As the kernel fills in one entry.
    fn answer(entry: usize, mut request: Vec<u8>, flags: u32, weight: u32) -> Vec<u8> {
        let at = offset_of!(Header, entrytable) + entry * size_of::<Entry>();
        let place = &mut request[at..at + size_of::<Entry>()];
        place.fill(0);
        put(place, 0, [10, 244, 0, 5]);
        put(place, 4, 8080_u16.to_be_bytes());
        put(place, 8, flags.to_ne_bytes());
        put(place, 12, weight.to_ne_bytes());
        put(place, 24, 7_u32.to_ne_bytes());
        put(place, 28, 9_u32.to_ne_bytes());
        request
    }

    #[test]
    fn the_request_has_the_kernels_layout() {
        let request = request(3);
        assert_eq!(
            request[..24],
            [6, 0, 0, 0, 10, 96, 0, 10, 0, 80, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(request.len(), 24 + 3 * 96);
    }

    #[test]
    fn entries_that_the_kernel_wrote_are_read_and_no_others() {
        let Answer::All(none) = decode(&request(2)) else { panic!("an empty table") };
        assert_eq!(none, []);
        // The kernel keeps other flags beside the forwarding method.
        let filled = answer(0, request(2), 0x0100, 3);
        let Answer::All(found) = decode(&filled) else { panic!("one entry") };
        let key = RealServerKey::new("10.244.0.5".parse().unwrap(), 8080);
        let server = RealServer { weight: 3, ..RealServer::masqueraded(key) };
        let expected = CountedRealServer { server, active_connections: 7, inactive_connections: 9 };
        assert_eq!(found, [expected]);
        assert!(matches!(decode(&answer(1, filled, 0, 1)), Answer::NoRoom));
    }

    #[test]
    fn what_it_cannot_represent_is_no_answer() {
        assert!(matches!(
            decode(&answer(0, request(2), k::IP_VS_CONN_F_TUNNEL, 1)),
            Answer::Unknown
        ));
        assert!(matches!(decode(&answer(0, request(2), 7, 1)), Answer::Unknown));
        let mut request = Vec::new();
        let v6 = Frontend::new(Protocol::Tcp, "fd00::1".parse().unwrap(), 80);
        assert!(!encode(&mut request, &v6, 1));
        let mark = Frontend::Mark { mark: 5, family: Family::V6 };
        assert!(!encode(&mut request, &mark, 1));
    }
}
