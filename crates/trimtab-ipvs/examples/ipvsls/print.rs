//! ipvsadm's lines.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use trimtab_core::{
    Family, ForwardingMethod, Frontend, Persistence, Scheduler, VirtualServerFlags,
};
use trimtab_ipvs::{Info, ObservedRealServer, ObservedVirtualServer};

/// The three lines above every listing.
pub(crate) fn title(out: &mut impl Write, info: &Info) -> io::Result<()> {
    let Info { version, connection_table_size: size, .. } = info;
    writeln!(out, "IP Virtual Server version {version} (size={size})")?;
    writeln!(out, "Prot LocalAddress:Port Scheduler Flags")?;
    writeln!(out, "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn")
}

/// `TCP  10.96.0.10:53 sh (sh-port) persistent 600 mask 255.255.255.0 pe sip ops`.
pub(crate) fn virtual_server(
    out: &mut impl Write,
    observed: &ObservedVirtualServer,
) -> io::Result<()> {
    let server = &observed.server;
    match server.frontend {
        Frontend::Address { protocol, address, port } => {
            write!(out, "{:<4} {}", protocol.upper(), Endpoint(address, port))?;
        }
        // ipvsadm prints the mark as a signed number.
        Frontend::Mark { mark, family } => {
            write!(out, "FWM  {}", mark.cast_signed())?;
            if family == Family::V6 {
                write!(out, " IPv6")?;
            }
        }
    }
    write!(out, " {}", server.scheduler)?;
    if let Some(flags) = scheduler_flags(&server.scheduler, server.flags) {
        write!(out, " ({flags})")?;
    }
    if let Some(persistence) = server.persistence {
        write!(out, " persistent {}", persistence.timeout)?;
        match observed.irregular_netmask {
            Some(mask) => write!(out, " mask {mask}")?,
            None => mask(out, server.frontend.family(), persistence)?,
        }
        if let Some(engine) = &server.persistence_engine {
            write!(out, " pe {engine}")?;
        }
    }
    if server.flags.contains(VirtualServerFlags::ONE_PACKET) {
        write!(out, " ops")?;
    }
    writeln!(out)
}

/// `  -> 10.244.0.5:8080              Masq    1      0          0         `, blanks at the end
/// included.
pub(crate) fn real_server(out: &mut impl Write, observed: &ObservedRealServer) -> io::Result<()> {
    let server = &observed.server;
    let forwarding = match server.forwarding {
        ForwardingMethod::Masquerade => "Masq",
        ForwardingMethod::Local => "Local",
        ForwardingMethod::Tunnel => "Tunnel",
        ForwardingMethod::DirectRoute => "Route",
        // ipvsadm has no name for it, and glibc prints this for a null pointer.
        ForwardingMethod::Bypass => "(null)",
    };
    writeln!(
        out,
        "  -> {:<28} {forwarding:<7} {:<6} {:<10} {:<10}",
        Endpoint(server.key.address, server.key.port).to_string(),
        server.weight.cast_signed(),
        observed.active_connections,
        observed.inactive_connections,
    )
}

fn mask(out: &mut impl Write, family: Family, persistence: Persistence) -> io::Result<()> {
    let prefix = u32::from(persistence.prefix);
    if persistence.prefix == family.host_prefix() {
        return Ok(());
    }
    match family {
        Family::V4 => {
            let bits = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            write!(out, " mask {}", Ipv4Addr::from_bits(bits))
        }
        Family::V6 => write!(out, " mask {prefix}"),
    }
}

/// The names of the flags that are set, if any is; `sh` and `mh` have none for the third.
fn scheduler_flags(scheduler: &Scheduler, flags: VirtualServerFlags) -> Option<String> {
    let names = match scheduler {
        Scheduler::SourceHashing => ["sh-fallback", "sh-port", ""],
        Scheduler::MaglevHashing => ["mh-fallback", "mh-port", ""],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    let bits = [
        VirtualServerFlags::SCHEDULER_1,
        VirtualServerFlags::SCHEDULER_2,
        VirtualServerFlags::SCHEDULER_3,
    ];
    if !bits.into_iter().any(|bit| flags.contains(bit)) {
        return None;
    }
    let set = bits.into_iter().zip(names).filter(|(bit, _)| flags.contains(*bit));
    let set: Vec<&str> = set.map(|(_, name)| name).filter(|name| !name.is_empty()).collect();
    Some(set.join(","))
}

/// An address as `inet_ntop` prints it, with a port.
struct Endpoint(IpAddr, u16);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}:{}", self.1),
            IpAddr::V6(address) => match compatible(address) {
                Some(v4) => write!(f, "[::{v4}]:{}", self.1),
                None => write!(f, "[{address}]:{}", self.1),
            },
        }
    }
}

/// The IPv4 part of an "IPv4-compatible" address, which C libraries still print as such.
fn compatible(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
            let [.., a, b, c, d] = address.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}
