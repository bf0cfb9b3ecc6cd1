//! Without a daemon: virtual servers as the kernel has them.

use std::net::IpAddr;

use serde::Serialize;
use trimtab_admin::Connections;
use trimtab_core::{Family, Frontend, Protocol};
use trimtab_linux::{CountedRealServer, IpvsView};

use super::View;
use super::table::Table;
use super::target::Target;

/// A virtual server of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KernelServer {
    /// The address, unless the frontend is a mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// The port, unless the frontend is a mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// The firewall mark, unless the frontend is an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<u32>,
    /// Whether its packets are of IPv6.
    ipv6: bool,
    /// The protocol of its packets, which a mark does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'static str>,
    scheduler: String,
    /// How long a client keeps its real server.
    #[serde(skip_serializing_if = "Option::is_none")]
    persistence_seconds: Option<u32>,
    real_servers: Vec<KernelRealServer>,
}

/// A real server of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct KernelRealServer {
    address: IpAddr,
    port: u16,
    weight: u32,
    connections: Connections,
}

/// Reads what is asked for.
///
/// # Errors
/// If the kernel cannot be read.
pub(crate) fn read(target: &Target) -> Result<Vec<KernelServer>, trimtab_linux::IpvsError> {
    let mut ipvs = IpvsView::open()?;
    let mut found = Vec::new();
    for server in ipvs.virtual_servers()? {
        let (address, port) = match server.frontend {
            Frontend::Address { address, port, .. } => (Some(address), Some(port)),
            Frontend::Mark { .. } => (None, None),
        };
        let is_asked = match target {
            Target::Address(asked, asked_port) => {
                address == Some(*asked) && (asked_port.is_none() || *asked_port == port)
            }
            Target::All(_) | Target::Service(..) => true,
        };
        if !is_asked {
            continue;
        }
        let mark = match server.frontend {
            Frontend::Mark { mark, .. } => Some(mark),
            Frontend::Address { .. } => None,
        };
        found.push(KernelServer {
            address,
            port,
            mark,
            ipv6: server.frontend.family() == Family::V6,
            protocol: server.frontend.protocol().map(Protocol::upper),
            scheduler: server.scheduler.name().to_owned(),
            persistence_seconds: server.persistence.map(|persistence| persistence.timeout),
            real_servers: ipvs.real_servers(&server.frontend)?.iter().map(real_server).collect(),
        });
    }
    Ok(found)
}

fn real_server(counted: &CountedRealServer) -> KernelRealServer {
    KernelRealServer {
        address: counted.server.key.address,
        port: counted.server.key.port,
        weight: counted.server.weight,
        connections: Connections { active: counted.active, inactive: counted.inactive },
    }
}

/// As a table.
pub(crate) fn text(servers: &[KernelServer], view: View) -> String {
    let columns =
        ["FRONTEND", "SCHEDULER", "AFFINITY", "REAL SERVER", "WEIGHT", "ACTIVE", "INACTIVE"];
    let mut table = Table::new(&columns, view.colours);
    for server in servers {
        let mut cells = vec![
            frontend(server),
            server.scheduler.clone(),
            server.persistence_seconds.map(|seconds| format!("{seconds}s")).unwrap_or_default(),
        ];
        if server.real_servers.is_empty() {
            table.row(&cells);
        }
        for real in &server.real_servers {
            cells.extend([
                socket(real.address, real.port),
                real.weight.to_string(),
                real.connections.active.to_string(),
                real.connections.inactive.to_string(),
            ]);
            table.row(&std::mem::replace(&mut cells, vec![String::new(); 3]));
        }
    }
    table.text()
}

fn frontend(server: &KernelServer) -> String {
    match (server.address, server.port, server.mark) {
        (Some(address), Some(port), _) => {
            format!("{} {}", server.protocol.unwrap_or_default(), socket(address, port))
        }
        (_, _, mark) => mark_of(mark.unwrap_or_default(), server.ipv6),
    }
}

/// A frontend that is a mark.
pub(crate) fn mark_of(mark: u32, ipv6: bool) -> String {
    format!("mark {mark:#x}{}", if ipv6 { " (IPv6)" } else { "" })
}

/// An address and a port.
pub(crate) fn socket(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}
