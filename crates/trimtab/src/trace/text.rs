//! A trace as text.

use std::fmt::Write as _;

use trimtab_core::{Printable, RealServer, SetElement, VirtualServer, VirtualServerFlags};
use trimtab_trace::{Candidate, Outcome, Step, Trace, Way, Where};

use super::Owners;
use super::verdict::verdict;

/// Numbered steps in the order in which the kernel takes them, and the result.
pub fn render(trace: &Trace, owners: &Owners) -> String {
    let mut text = Text { text: String::new(), number: 0 };
    text.head(trace);
    for step in &trace.steps {
        text.step(step);
    }
    match &trace.outcome {
        Outcome::Balanced { server, ways, drained } => {
            text.server(server, owners);
            for candidate in ways.iter().flat_map(|way| &way.candidates) {
                text.candidate(candidate);
            }
            text.drained(drained);
            for way in ways {
                text.way(way, ways.len() > 1);
            }
        }
        Outcome::NoRealServer { server, drained } => {
            text.server(server, owners);
            text.drained(drained);
        }
        _ => {}
    }
    text.line("");
    for (at, line) in verdict(trace).iter().enumerate() {
        text.line(&if at == 0 { format!("Result: {line}") } else { format!("        {line}") });
    }
    text.text
}

struct Text {
    text: String,
    number: usize,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn head(&mut self, trace: &Trace) {
        let packet = &trace.packet;
        let source = packet.source_port.map_or_else(
            || packet.source.to_string(),
            |port| std::net::SocketAddr::new(packet.source, port).to_string(),
        );
        let _ = writeln!(self.text, "{} from {source} to {}", packet.protocol, packet.destination);
        let _ = writeln!(self.text, "  comes from {}", packet.place);
        for (at, (set, element)) in trace.sets.iter().enumerate() {
            let begin = if at == 0 { "  is in      " } else { "             " };
            let mark = match element {
                SetElement::IpPortMark(.., mark) => format!(", with the mark {mark:#x}"),
                SetElement::IpPortNet(.., network) => format!(", by {network}"),
                _ => String::new(),
            };
            let _ = writeln!(self.text, "{begin}{set}{mark}");
        }
        if trace.sets.is_empty() {
            self.line("  is in no set");
        }
        self.line("");
    }

    fn step(&mut self, step: &Step) {
        self.number += 1;
        let _ = writeln!(self.text, "{:>2}. {}", self.number, step.place());
        let _ = writeln!(self.text, "    {}", step.event());
    }

    fn server(&mut self, server: &VirtualServer, owners: &Owners) {
        let mut about = format!("    scheduler {}", server.scheduler);
        match server.persistence {
            Some(persistence) => {
                let _ = write!(
                    about,
                    ", a client stays with its real server for {} s",
                    persistence.timeout
                );
            }
            None => about.push_str(", no persistence"),
        }
        if server.flags.contains(VirtualServerFlags::ONE_PACKET) {
            about.push_str(", each packet by itself");
        }
        if let Some(owner) = owners.of(&server.frontend) {
            let _ = write!(about, ", of Service {}", Printable(&owner.service));
            if owner.is_pending {
                about.push_str(", for which Trimtab still has something to do");
            }
        }
        self.line(&about);
    }

    fn candidate(&mut self, candidate: &Candidate) {
        let place = match candidate.place {
            Where::Node => "this node itself",
            Where::Here => "a pod of this node",
            Where::Elsewhere => "elsewhere",
        };
        let (key, weight) = (candidate.server.key, candidate.server.weight);
        let _ = writeln!(self.text, "    real server {key}, weight {weight}, {place}");
    }

    fn drained(&mut self, drained: &[RealServer]) {
        for real in drained {
            let key = real.key;
            let _ = writeln!(self.text, "    real server {key}, weight 0: gets no new connections");
        }
    }

    fn way(&mut self, way: &Way, is_one_of_several: bool) {
        if is_one_of_several {
            let keys: Vec<String> =
                way.candidates.iter().map(|it| it.server.key.to_string()).collect();
            let _ = writeln!(self.text, "  to {}:", keys.join(", "));
        }
        let before = self.number;
        for step in &way.steps {
            self.step(step);
        }
        if is_one_of_several {
            self.number = before;
        }
    }
}
