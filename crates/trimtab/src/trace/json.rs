//! A trace as JSON, for programs.

use serde_json::{Value, json};
use trimtab_core::{Frontend, RealServer, VirtualServer, VirtualServerFlags};
use trimtab_trace::{End, Outcome, Place, Step, Trace, Way, Where};

use super::Owners;
use super::verdict::verdict;

/// One object, with a line's end.
pub fn render(trace: &Trace, owners: &Owners) -> String {
    let packet = &trace.packet;
    let mut document = json!({
        "packet": {
            "protocol": packet.protocol.upper(),
            "source": packet.source,
            "sourcePort": packet.source_port,
            "destination": packet.destination.ip(),
            "port": packet.destination.port(),
            "from": place(packet.place),
        },
        "sets": trace.sets.iter().map(|(set, element)| {
            json!({"set": set.name(), "element": element.to_string()})
        }).collect::<Vec<_>>(),
        "steps": steps(&trace.steps),
        "result": result(&trace.outcome),
        "words": verdict(trace),
    });
    match &trace.outcome {
        Outcome::Balanced { server, ways, drained } => {
            document["virtualServer"] = virtual_server(server, drained, owners);
            document["ways"] = ways.iter().map(way).collect();
        }
        Outcome::NoRealServer { server, drained } => {
            document["virtualServer"] = virtual_server(server, drained, owners);
        }
        _ => {}
    }
    format!("{document:#}\n")
}

const fn place(place: Place) -> &'static str {
    match place {
        Place::Pod => "pod",
        Place::PodElsewhere => "other-pod",
        Place::Node => "node",
        Place::Outside => "outside",
    }
}

const fn result(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Balanced { .. } => "balanced",
        Outcome::NoRealServer { .. } => "no-real-server",
        Outcome::Dropped => "dropped",
        Outcome::Rejected => "rejected",
        Outcome::ForNode => "for-node",
        Outcome::ForOthers { .. } => "for-others",
    }
}

fn steps(steps: &[Step]) -> Vec<Value> {
    let value = |step: &Step| {
        let mut value = json!({"place": step.place(), "event": step.event()});
        if let Step::Rule(step) = step {
            value["rule"] = json!({
                "table": step.table,
                "hook": step.hook.name(),
                "chain": step.chain,
                "number": step.number,
                "text": step.rule.to_string(),
            });
        }
        value
    };
    steps.iter().map(value).collect()
}

fn virtual_server(server: &VirtualServer, drained: &[RealServer], owners: &Owners) -> Value {
    let frontend = match server.frontend {
        Frontend::Address { protocol, address, port } => {
            json!({"protocol": protocol.upper(), "address": address, "port": port})
        }
        Frontend::Mark { mark, family } => json!({"mark": mark, "family": family.to_string()}),
    };
    json!({
        "frontend": frontend,
        "service": owners.of(&server.frontend).map(|owner| owner.service.as_str()),
        "scheduler": server.scheduler.name(),
        "persistenceSeconds": server.persistence.map(|it| it.timeout),
        "onePacket": server.flags.contains(VirtualServerFlags::ONE_PACKET),
        "drained": drained.iter().map(real_server).collect::<Vec<_>>(),
    })
}

fn real_server(real: &RealServer) -> Value {
    json!({"address": real.key.address, "port": real.key.port, "weight": real.weight})
}

fn way(way: &Way) -> Value {
    let candidate = |candidate: &trimtab_trace::Candidate| {
        let mut value = real_server(&candidate.server);
        value["where"] = match candidate.place {
            Where::Node => "node",
            Where::Here => "pod-here",
            Where::Elsewhere => "elsewhere",
        }
        .into();
        value
    };
    let (end, masqueraded) = match way.end {
        End::Arrives { masqueraded } => ("arrives", masqueraded),
        End::FromItself => ("from-itself", false),
        End::Dropped => ("dropped", false),
        End::Rejected => ("rejected", false),
    };
    json!({
        "realServers": way.candidates.iter().map(candidate).collect::<Vec<_>>(),
        "steps": steps(&way.steps),
        "end": end,
        "masqueraded": masqueraded,
    })
}
