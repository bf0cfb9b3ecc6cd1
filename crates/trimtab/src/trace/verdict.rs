//! The result in one or two sentences.

use trimtab_core::{Protocol, SetId, SetKind};
use trimtab_trace::{End, Outcome, Place, RuleStep, Step, Trace, Way, Where};

/// What becomes of the packet, and what its sender notices.
pub(super) fn verdict(trace: &Trace) -> Vec<String> {
    match &trace.outcome {
        Outcome::Balanced { ways, .. } => answered(trace, ways),
        Outcome::NoRealServer { .. } => vec![
            format!(
                "refused: the virtual server has no real server for new connections. {}",
                notices(trace)
            ),
            why_none(trace).to_owned(),
        ],
        Outcome::Dropped => vec![format!("{}.", dropped(&trace.steps))],
        Outcome::Rejected => vec![format!(
            "refused: {} is a Service's address, and no Service has this port and protocol there. {}",
            trace.packet.destination.ip(),
            notices(trace),
        )],
        Outcome::ForNode => vec![for_node(trace)],
        Outcome::ForOthers { masqueraded } => {
            let source = if *masqueraded { "with an address of this node" } else { "unchanged" };
            vec![format!(
                "not a Service of this node: the packet goes on to {}, {source}, as far as Trimtab is \
                 concerned.",
                trace.packet.destination
            )]
        }
    }
}

fn answered(trace: &Trace, ways: &[Way]) -> Vec<String> {
    let mut lines = match ways {
        [only] => vec![format!("{}.", end(trace, only))],
        several => {
            let count: usize = several.iter().map(|way| way.candidates.len()).sum();
            let mut lines = vec![format!("one of {count} real servers is chosen:")];
            lines.extend(several.iter().map(|way| format!("{}.", end(trace, way))));
            lines
        }
    };
    let may_bypass = |way: &Way| {
        way.end == (End::Arrives { masqueraded: false })
            && way.candidates.iter().any(|candidate| candidate.place == Where::Elsewhere)
    };
    let comes_from_elsewhere = matches!(trace.packet.place, Place::PodElsewhere | Place::Outside);
    if comes_from_elsewhere && ways.iter().any(may_bypass) {
        lines.push(
            "The answer has to come back through this node: sent to the client directly, it would \
             have the real server's address as its source, which the client does not expect."
                .to_owned(),
        );
    }
    lines
}

/// How one way ends.
fn end(trace: &Trace, way: &Way) -> String {
    let who = match way.candidates.as_slice() {
        [only] => only.server.key.to_string(),
        many => format!("one of {} real servers", many.len()),
    };
    match way.end {
        End::Arrives { masqueraded: true } => {
            format!("answered by {who}, which sees an address of this node as the client's")
        }
        End::Arrives { masqueraded: false } => {
            format!("answered by {who}, which sees the client as {}", trace.packet.source)
        }
        End::FromItself => format!(
            "lost: {who} is the client itself, and drops what comes in with its own address as its source"
        ),
        End::Dropped => dropped(&way.steps),
        End::Rejected => format!("refused on the way to {who}"),
    }
}

fn dropped(steps: &[Step]) -> String {
    let is_about_ranges = |step: &RuleStep| {
        step.chain == "KUBE-SOURCE-RANGES-FIREWALL" || step.chain == "KUBE-IPVS-OUT-FILTER"
    };
    let by = match steps.last() {
        Some(Step::Rule(step)) if is_about_ranges(step) => {
            "the Service's loadBalancerSourceRanges do not let this client in"
        }
        _ => "by the last rule above",
    };
    format!("dropped: {by}. The client gets no answer and waits until it gives up")
}

/// What a client notices that is refused.
fn notices(trace: &Trace) -> &'static str {
    match (trace.packet.protocol, trace.packet.place) {
        (Protocol::Sctp, Place::Pod | Place::PodElsewhere | Place::Outside) => {
            "The client gets an ICMP error, which SCTP takes for a hint only: it tries until it gives \
             up."
        }
        (_, Place::Node) => {
            "The program gets the error \"connection refused\" or \"operation not permitted\"."
        }
        (Protocol::Tcp, _) => "The client gets the error \"connection refused\".",
        _ => "The client gets an ICMP error, port unreachable.",
    }
}

/// Why there may be no real server.
fn why_none(trace: &Trace) -> &'static str {
    let has =
        |kinds: &[SetKind]| trace.sets.iter().any(|(SetId { kind, .. }, _)| kinds.contains(kind));
    if has(&[
        SetKind::LoadBalancerLocal,
        SetKind::ExternalIpLocal,
        SetKind::NodePortLocalTcp,
        SetKind::NodePortLocalUdp,
        SetKind::NodePortLocalSctp,
    ]) {
        "Its externalTrafficPolicy is Local: clients outside reach pods of this node only. Either no \
         pod here is ready, or the Service has no endpoints."
    } else {
        "Either the Service has no ready endpoints, or its internalTrafficPolicy is Local and none is \
         on this node."
    }
}

fn for_node(trace: &Trace) -> String {
    let is_health_check =
        trace.sets.iter().any(|(set, _)| set.kind == SetKind::HealthCheckNodePort);
    let who = if is_health_check {
        "Trimtab itself answers, as this is a health-check node port"
    } else {
        "a program of this node gets the packet, if one listens there, else it is refused"
    };
    format!("no virtual server of this node has {}: {who}.", trace.packet.destination)
}
