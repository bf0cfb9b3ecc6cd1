//! Who answers and who does not.

use trimtab_admin::{
    Endpoint, ExplainedFrontend, ExplainedPort, Explanation, Policy, Reason, Topology, Verdict,
};

use super::named;
use crate::status::socket;

/// The endpoints of a port, by each policy that a frontend of it has.
pub(super) fn lines(explanation: &Explanation, port: &ExplainedPort) -> Vec<String> {
    let title = capitalised(&named(&port.port));
    if port.slices == 0 {
        return vec![format!("{title} has no endpoints: no EndpointSlice has this port.")];
    }
    let endpoints = match port.endpoint_count {
        0 => "no endpoints".to_owned(),
        1 => "1 endpoint".to_owned(),
        count => format!("{count} endpoints"),
    };
    let slices = match port.slices {
        1 => "1 EndpointSlice".to_owned(),
        count => format!("{count} EndpointSlices"),
    };
    let mut lines = vec![format!("{title} has {endpoints} in {slices}.")];
    let uses = |policy| {
        let mut frontends = explanation.frontends.iter();
        frontends.any(|it: &ExplainedFrontend| {
            it.service_port == port.port && it.policy == policy && it.held.is_none()
        })
    };
    if uses(Policy::Cluster) {
        let sentence = topology(port.topology, explanation.zone.as_deref());
        lines.push(format!("  Where endpoints on any node may answer: {sentence}"));
        lines.extend(listed(port, explanation, |endpoint| endpoint.cluster));
    }
    if uses(Policy::Local) {
        lines.push("  Where only endpoints on this node may answer:".to_owned());
        lines.extend(listed(port, explanation, |endpoint| endpoint.local));
    }
    lines
}

fn listed(
    port: &ExplainedPort,
    explanation: &Explanation,
    verdict: impl Fn(&Endpoint) -> Verdict,
) -> Vec<String> {
    let line = |endpoint: &Endpoint| {
        let verdict = verdict(endpoint);
        let does = if verdict.answers { "answers:        " } else { "does not answer:" };
        let at = socket(endpoint.address, endpoint.port);
        let node = endpoint.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        let weight = match (verdict.answers, endpoint.weight) {
            (true, weight) if weight != 1 => format!("; its weight is {weight}"),
            _ => String::new(),
        };
        let why = reason(verdict.reason, endpoint, explanation);
        format!("    {does} {at}{node}: {why}{weight}")
    };
    let mut lines: Vec<String> = port.endpoints.iter().map(line).collect();
    if !port.endpoints.iter().any(|endpoint| verdict(endpoint).answers) {
        lines.push("    Nobody answers.".to_owned());
    }
    lines
}

fn topology(topology: Topology, zone: Option<&str>) -> String {
    let sentence = match topology {
        Topology::NoneReady => {
            "none is ready, so those that are terminating but still serve are the last resort."
        }
        Topology::SameNode => {
            "every ready one is hinted for nodes, and those for this node are used."
        }
        Topology::SameZone => {
            "every ready one is hinted for zones, and those for this node's zone are used."
        }
        Topology::NoHints => "no ready one has a topology hint, so none is preferred.",
        Topology::SomeWithoutHint => {
            "some ready ones have no topology hint, so hints are not followed."
        }
        Topology::NoneForHere if zone.is_none() => {
            "every ready one has topology hints, but this node has no zone, so they are not followed."
        }
        Topology::NoneForHere => {
            "every ready one has topology hints, but none is for this node or its zone, so they are \
             not followed."
        }
    };
    sentence.to_owned()
}

/// Why an endpoint answers, or does not, with what that is about.
fn reason(reason: Reason, endpoint: &Endpoint, explanation: &Explanation) -> String {
    let zone = explanation.zone.as_deref().unwrap_or_default();
    match reason {
        Reason::Ready => "it is ready".to_owned(),
        Reason::HintedForNode => "it is ready and hinted for this node".to_owned(),
        Reason::HintedForZone => format!("it is ready and hinted for this node's zone, {zone}"),
        Reason::ReadyHere => "it is ready and on this node".to_owned(),
        Reason::LastServing => "it is terminating but still serves, and none is ready".to_owned(),
        Reason::LastServingHere => {
            "it is terminating but still serves, and none on this node is ready".to_owned()
        }
        Reason::NotReady => "it is not ready".to_owned(),
        Reason::Terminating => "it is terminating, and others are ready".to_owned(),
        Reason::Terminated => "it is terminating and no longer serves".to_owned(),
        Reason::HintedForOtherNodes => {
            format!("it is hinted for another node: {}", endpoint.node_hints.join(", "))
        }
        Reason::HintedForOtherZones => {
            format!("it is hinted for another zone: {}", endpoint.zone_hints.join(", "))
        }
        Reason::NotHere if endpoint.node.is_none() => {
            "its EndpointSlice does not say on which node it is".to_owned()
        }
        Reason::NotHere => "it is not on this node".to_owned(),
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}
