//! Virtual servers as `ipvsadm -Sn` prints them.

use std::fmt::Write as _;

use trimtab_core::{
    Family, ForwardingMethod, Frontend, Protocol, Scheduler, VirtualServer, VirtualServerFlags,
};
use trimtab_reconcile::KernelState;

pub(crate) fn render(state: &KernelState, families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let of_family = state.virtual_servers.iter().filter(|(f, _)| f.family() == *family);
        for (frontend, virtual_server) in of_family {
            let _ = writeln!(text, "-A {}", service(&virtual_server.server));
            for real in virtual_server.real_servers.values() {
                let method = match real.forwarding {
                    ForwardingMethod::Tunnel => "-i",
                    ForwardingMethod::DirectRoute | ForwardingMethod::Local => "-g",
                    ForwardingMethod::Masquerade | ForwardingMethod::Bypass => "-m",
                };
                let _ = writeln!(
                    text,
                    "-a {} -r {} {method} -w {}",
                    frontend_option(frontend),
                    real.key,
                    real.weight
                );
            }
        }
    }
    text
}

fn frontend_option(frontend: &Frontend) -> String {
    match *frontend {
        Frontend::Address { protocol, address, port } => {
            let option = match protocol {
                Protocol::Tcp => "-t",
                Protocol::Udp => "-u",
                Protocol::Sctp => "--sctp-service",
            };
            format!("{option} {}", std::net::SocketAddr::new(address, port))
        }
        Frontend::Mark { mark, family: Family::V4 } => format!("-f {mark}"),
        Frontend::Mark { mark, family: Family::V6 } => format!("-f {mark} -6"),
    }
}

fn service(server: &VirtualServer) -> String {
    let mut text = format!("{} -s {}", frontend_option(&server.frontend), server.scheduler);
    if let Some(persistence) = server.persistence {
        let _ = write!(text, " -p {}", persistence.timeout);
        let family = server.frontend.family();
        if persistence.prefix != family.host_prefix() {
            let _ = match family {
                Family::V4 => {
                    let mask = u32::MAX.checked_shl(32 - u32::from(persistence.prefix));
                    write!(text, " -M {}", std::net::Ipv4Addr::from(mask.unwrap_or(0)))
                }
                Family::V6 => write!(text, " -M {}", persistence.prefix),
            };
        }
    }
    let words = scheduler_flags(server);
    if !words.is_empty() {
        let _ = write!(text, " -b {}", words.join(","));
    }
    if server.flags.contains(VirtualServerFlags::ONE_PACKET) {
        text.push_str(" -o");
    }
    text
}

fn scheduler_flags(server: &VirtualServer) -> Vec<&'static str> {
    let names = match server.scheduler {
        Scheduler::SourceHashing => ["sh-fallback", "sh-port", "flag-3"],
        Scheduler::MaglevHashing => ["mh-fallback", "mh-port", "flag-3"],
        _ => ["flag-1", "flag-2", "flag-3"],
    };
    let bits = [
        VirtualServerFlags::SCHEDULER_1,
        VirtualServerFlags::SCHEDULER_2,
        VirtualServerFlags::SCHEDULER_3,
    ];
    let present = bits.into_iter().zip(names).filter(|(bit, _)| server.flags.contains(*bit));
    present.map(|(_, name)| name).collect()
}
