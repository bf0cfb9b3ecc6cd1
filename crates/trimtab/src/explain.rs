//! `trimtab explain`: why a Service is programmed as it is, in sentences.
//!
//! The reasons come from the decisions themselves; here they only become words.
//!
//! | module | what it is about |
//! |---|---|
//! | `frontend` | what clients connect to: policy, conflicts, clients inside |
//! | `endpoints` | who answers and who does not |
//! | `sets` | ipsets, and the rules that match them |

mod endpoints;
mod frontend;
mod sets;

use std::fmt::Write as _;

use trimtab_admin::{Explanation, PortName};
use trimtab_core::Printable;

use crate::status::protocol;

/// As text. What objects say is made printable line by line.
pub(crate) fn text(explanation: &Explanation) -> String {
    let lines = lines(explanation);
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}", Printable(&line));
    }
    text
}

fn lines(explanation: &Explanation) -> Vec<String> {
    let zone = match &explanation.zone {
        Some(zone) => format!("in zone {zone}"),
        None => "whose Node object has no zone".to_owned(),
    };
    let (namespace, name) = (&explanation.namespace, &explanation.name);
    let mut lines =
        vec![format!("Service {namespace}/{name} on node {}, {zone}", explanation.node)];
    for problem in &explanation.problems {
        lines.push(format!("Problem: {}: {}", problem.reason, problem.message));
    }
    if explanation.frontends.is_empty() {
        lines.push("It has no frontend that can be served.".to_owned());
    }
    for frontend in &explanation.frontends {
        lines.push(String::new());
        lines.extend(frontend::lines(frontend));
    }
    for element in &explanation.elements {
        lines.push(String::new());
        lines.push(sets::sentence(element));
    }
    for port in &explanation.ports {
        lines.push(String::new());
        lines.extend(endpoints::lines(explanation, port));
    }
    for other in &explanation.other_ports {
        lines.push(String::new());
        lines.push(format!(
            "Its EndpointSlices have {}, which the Service does not have: its endpoints answer nobody.",
            named(other)
        ));
    }
    lines
}

/// A port in words.
fn named(port: &PortName) -> String {
    let family = if port.ipv6 { "IPv6" } else { "IPv4" };
    let protocol = protocol(port.protocol);
    if port.name.is_empty() {
        format!("the port without a name ({protocol}, {family})")
    } else {
        format!("the port {} ({protocol}, {family})", port.name)
    }
}
