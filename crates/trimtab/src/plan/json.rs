//! A plan as JSON, for programs: each object, and the Service that needs it.

use serde_json::{Value, json};
use trimtab_core::{Family, Frontend, Persistence, VirtualServerFlags};
use trimtab_reconcile::VirtualServerState;

use super::Planned;

pub(super) fn render(planned: &Planned, families: &[Family], rules: &str) -> String {
    let services: Vec<Value> = planned
        .services
        .iter()
        .map(|service| {
            let frontends = service.frontends.iter().filter(|f| families.contains(&f.family()));
            let elements = service.elements.iter().filter(|(s, _)| families.contains(&s.family));
            let addresses =
                service.addresses.iter().filter(|a| families.contains(&Family::of(**a)));
            json!({
                "namespace": service.service.namespace(),
                "name": service.service.name(),
                "virtualServers": frontends
                    .filter_map(|frontend| planned.state.virtual_servers.get(frontend))
                    .map(virtual_server)
                    .collect::<Vec<_>>(),
                "conflicts": service.conflicts.iter().map(frontend).collect::<Vec<_>>(),
                "elements": elements
                    .map(|(set, element)| {
                        json!({"set": set.name(), "element": element.to_string()})
                    })
                    .collect::<Vec<_>>(),
                "addresses": addresses.map(ToString::to_string).collect::<Vec<_>>(),
            })
        })
        .collect();
    let document = json!({"services": services, "rules": rules});
    format!("{document:#}\n")
}

fn frontend(frontend: &Frontend) -> Value {
    match frontend {
        Frontend::Address { protocol, address, port } => {
            json!({"protocol": protocol.upper(), "address": address.to_string(), "port": port})
        }
        Frontend::Mark { mark, family } => json!({"mark": mark, "family": family.to_string()}),
    }
}

fn virtual_server(state: &VirtualServerState) -> Value {
    let server = &state.server;
    let flags: Vec<String> = (server.flags - VirtualServerFlags::ONE_PACKET)
        .iter()
        .map(|flag| format!("{:#x}", flag.bits()))
        .collect();
    json!({
        "frontend": frontend(&server.frontend),
        "scheduler": server.scheduler.name(),
        "schedulerFlags": flags,
        "onePacket": server.flags.contains(VirtualServerFlags::ONE_PACKET),
        "persistenceSeconds": server.persistence.map(|Persistence { timeout, .. }| timeout),
        "realServers": state
            .real_servers
            .values()
            .map(|real| json!({
                "address": real.key.address.to_string(),
                "port": real.key.port,
                "weight": real.weight,
                "upperThreshold": real.upper_threshold,
            }))
            .collect::<Vec<_>>(),
    })
}
