//! What clients connect to.

use trimtab_admin::{ExplainedFrontend, Held, Inside, Kind, Policy, Precedence, ServiceName};

use super::{named, sets};
use crate::status::{kind, mark_of, protocol, socket};

/// A frontend: what it is, and why it is as it is.
pub(super) fn lines(frontend: &ExplainedFrontend) -> Vec<String> {
    let at = match (frontend.address, frontend.port, frontend.mark) {
        (Some(address), Some(port), _) => {
            format!("{} {}", protocol(frontend.service_port.protocol), socket(address, port))
        }
        (_, _, mark) => mark_of(mark.unwrap_or_default(), frontend.service_port.ipv6),
    };
    let from = kind(frontend.kind);
    let mut lines = vec![format!("{at} ({from}) leads to {}.", named(&frontend.service_port))];
    let mut say = |sentence: String| lines.push(format!("  {sentence}"));
    if let Some(held) = &frontend.held {
        say(held_by(held, frontend.kind));
        return lines;
    }
    say(policy(frontend.kind, frontend.policy));
    match (frontend.inside, frontend.inside_mark) {
        (Inside::Same, _) => {}
        (Inside::Mark, mark) => say(format!(
            "Pods and the node itself get what is behind {} instead: endpoints on any node.",
            mark_of(mark.unwrap_or_default(), frontend.service_port.ipv6)
        )),
        (Inside::WithoutMark, _) => say(
            "Pods and the node itself should reach endpoints on any node, but there is no firewall \
             mark for that, so they get the same as everybody."
                .to_owned(),
        ),
    }
    if !frontend.refused_to.is_empty() {
        let others: Vec<String> = frontend.refused_to.iter().map(service).collect();
        say(format!("Other Services ask for it, too, and do not get it: {}.", others.join(", ")));
    }
    if frontend.binds {
        say("Its address is made local to this node.".to_owned());
    }
    for element in &frontend.elements {
        say(sets::sentence(element));
    }
    lines
}

fn held_by(held: &Held, own: Kind) -> String {
    let by = service(&held.by);
    match held.because {
        Precedence::Older => {
            format!("It is not served for this Service: {by} has it, which is older.")
        }
        Precedence::StrongerKind => format!(
            "It is not served for this Service: {by} has it as its {}, which goes before the {} of \
             another Service.",
            kind(held.kind),
            kind(own)
        ),
    }
}

fn policy(kind: Kind, policy: Policy) -> String {
    let field = match kind {
        Kind::ClusterIp => "internalTrafficPolicy",
        Kind::LoadBalancer | Kind::NodePort | Kind::ExternalIp => "externalTrafficPolicy",
        Kind::Inside => {
            return "It is for pods and the node itself: endpoints on any node may answer."
                .to_owned();
        }
    };
    match policy {
        Policy::Cluster => format!("{field} is Cluster: endpoints on any node may answer."),
        Policy::Local => format!("{field} is Local: only endpoints on this node may answer."),
    }
}

fn service(name: &ServiceName) -> String {
    format!("{}/{}", name.namespace, name.name)
}
