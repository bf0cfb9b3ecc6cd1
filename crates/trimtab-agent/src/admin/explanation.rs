//! From the reconciler's explanations to those of the admin socket.

use trimtab_admin as admin;
use trimtab_core::{Family, Frontend, SetElement, SetId, SetKind};
use trimtab_reconcile::{
    EndpointExplanation, Explanation, FrontendExplanation, InsideView, PortExplanation, PortName,
    Precedence, Topology, Verdict,
};

use super::told::{count, kind, policy, protocol, service_name};

/// As the admin socket tells it.
pub fn explanation(told: Explanation) -> admin::Explanation {
    let problem = |problem: trimtab_reconcile::Problem| admin::Warning {
        reason: problem.reason.as_str().to_owned(),
        message: problem.message,
    };
    admin::Explanation {
        namespace: told.service.namespace().to_owned(),
        name: told.service.name().to_owned(),
        node: told.node.into(),
        zone: told.zone.map(Into::into),
        problems: told.problems.into_iter().map(problem).collect(),
        frontends: told.frontends.iter().map(frontend).collect(),
        ports: told.ports.iter().map(port).collect(),
        other_ports: told.other_ports.iter().map(port_name).collect(),
        elements: told.elements.iter().map(element).collect(),
        next: told.next.map(count),
    }
}

fn frontend(told: &FrontendExplanation) -> admin::ExplainedFrontend {
    let (address, port, mark) = match told.frontend {
        Frontend::Address { address, port, .. } => (Some(address), Some(port), None),
        Frontend::Mark { mark, .. } => (None, None, Some(mark)),
    };
    let (inside, inside_mark) = match told.inside {
        InsideView::Same => (admin::Inside::Same, None),
        InsideView::Mark(mark) => (admin::Inside::Mark, Some(mark)),
        InsideView::WithoutMark => (admin::Inside::WithoutMark, None),
    };
    admin::ExplainedFrontend {
        address,
        port,
        mark,
        kind: kind(told.kind),
        service_port: port_name(&told.port),
        policy: policy(told.policy),
        held: told.held.as_ref().map(|held| admin::Held {
            by: service_name(&held.by),
            kind: kind(held.kind),
            because: match held.because {
                Precedence::StrongerKind => admin::Precedence::StrongerKind,
                Precedence::Older => admin::Precedence::Older,
            },
        }),
        refused_to: told.refused_to.iter().map(service_name).collect(),
        inside,
        inside_mark,
        elements: told.elements.iter().map(element).collect(),
        binds: told.binds,
    }
}

fn port(told: &PortExplanation) -> admin::ExplainedPort {
    admin::ExplainedPort {
        port: port_name(&told.port),
        slices: count(told.slices),
        topology: topology(told.topology),
        endpoints: told.endpoints.iter().map(endpoint).collect(),
        endpoint_count: count(told.endpoint_count),
    }
}

fn port_name(port: &PortName) -> admin::PortName {
    admin::PortName {
        name: port.name.clone().into(),
        protocol: protocol(port.protocol),
        ipv6: port.family == Family::V6,
    }
}

fn endpoint(told: &EndpointExplanation) -> admin::Endpoint {
    let texts = |all: &[Box<str>]| all.iter().map(ToString::to_string).collect();
    admin::Endpoint {
        address: told.key.address,
        port: told.key.port,
        node: told.node.clone().map(Into::into),
        ready: told.conditions.ready,
        serving: told.conditions.serving,
        terminating: told.conditions.terminating,
        zone_hints: texts(&told.hints.zones),
        node_hints: texts(&told.hints.nodes),
        weight: told.weight,
        cluster: verdict(told.cluster),
        local: verdict(told.local),
    }
}

fn element((set, element): &(SetId, SetElement)) -> admin::Element {
    admin::Element { set: set.name().to_owned(), role: role(set.kind), value: element.to_string() }
}

const fn role(kind: SetKind) -> admin::SetRole {
    match kind {
        SetKind::LoopBack => admin::SetRole::LoopBack,
        SetKind::ClusterIp => admin::SetRole::ClusterIp,
        SetKind::ExternalIp => admin::SetRole::ExternalIp,
        SetKind::ExternalIpLocal => admin::SetRole::ExternalIpLocal,
        SetKind::LoadBalancer => admin::SetRole::LoadBalancer,
        SetKind::LoadBalancerLocal => admin::SetRole::LoadBalancerLocal,
        SetKind::LoadBalancerFirewall => admin::SetRole::LoadBalancerFirewall,
        SetKind::LoadBalancerSourceCidr => admin::SetRole::LoadBalancerSourceRange,
        SetKind::LoadBalancerSourceIp => admin::SetRole::LoadBalancerSourceNode,
        SetKind::NodePortTcp | SetKind::NodePortUdp | SetKind::NodePortSctp => {
            admin::SetRole::NodePort
        }
        SetKind::NodePortLocalTcp | SetKind::NodePortLocalUdp | SetKind::NodePortLocalSctp => {
            admin::SetRole::NodePortLocal
        }
        SetKind::HealthCheckNodePort => admin::SetRole::HealthCheckNodePort,
        SetKind::IpvsIps => admin::SetRole::Vip,
        SetKind::Inside => admin::SetRole::Inside,
        SetKind::Marks => admin::SetRole::Marks,
    }
}

const fn topology(topology: Topology) -> admin::Topology {
    match topology {
        Topology::NoneReady => admin::Topology::NoneReady,
        Topology::SameNode => admin::Topology::SameNode,
        Topology::SameZone => admin::Topology::SameZone,
        Topology::NoHints => admin::Topology::NoHints,
        Topology::SomeWithoutHint => admin::Topology::SomeWithoutHint,
        Topology::NoneForHere => admin::Topology::NoneForHere,
    }
}

const fn verdict(verdict: Verdict) -> admin::Verdict {
    let reason = match verdict {
        Verdict::Ready => admin::Reason::Ready,
        Verdict::HintedForNode => admin::Reason::HintedForNode,
        Verdict::HintedForZone => admin::Reason::HintedForZone,
        Verdict::ReadyHere => admin::Reason::ReadyHere,
        Verdict::LastServing => admin::Reason::LastServing,
        Verdict::LastServingHere => admin::Reason::LastServingHere,
        Verdict::NotReady => admin::Reason::NotReady,
        Verdict::Terminating => admin::Reason::Terminating,
        Verdict::Terminated => admin::Reason::Terminated,
        Verdict::HintedForOtherNodes => admin::Reason::HintedForOtherNodes,
        Verdict::HintedForOtherZones => admin::Reason::HintedForOtherZones,
        Verdict::NotHere => admin::Reason::NotHere,
    };
    admin::Verdict { answers: verdict.is_in(), reason }
}
