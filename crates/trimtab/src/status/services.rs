//! Services as a table, and their errors and warnings below it.

use std::fmt::Write as _;

use anstyle::Style;
use jiff::Timestamp;
use trimtab_admin::{Frontend, Kind, Policy, Protocol, RealServer, Service};
use trimtab_core::Printable;

use super::kernel::{mark_of, socket};
use super::summary::age;
use super::table::{Table, Tone};
use super::{View, Width};

/// As text.
pub(crate) fn text(services: &[Service], view: View) -> String {
    let View { width, colours, now } = view;
    if services.is_empty() {
        return "no such Service\n".to_owned();
    }
    let mut columns = vec!["SERVICE", "PORT", "FRONTEND", "FROM", "SCHEDULER"];
    if width == Width::Wide {
        columns.extend(["POLICY", "AFFINITY", "INSIDE", "LIMIT"]);
    }
    columns.extend(["REAL SERVER", "WEIGHT", "ACTIVE", "INACTIVE", "CHANGED", "STATE"]);
    let mut table = Table::new(&columns, colours);
    for service in services {
        add(&mut table, service, view);
    }
    let mut text = table.text();
    let style = if colours { Tone::Wrong.style() } else { Style::new() };
    for service in services {
        let name = format!("{}/{}", service.namespace, service.name);
        let name = Printable(&name);
        for warning in &service.warnings {
            let message = Printable(&warning.message);
            let reason = &warning.reason;
            let _ = writeln!(text, "{style}warning: {name}: {reason}: {message}{style:#}");
        }
        if let Some(error) = &service.last_error {
            let (age, message) = (age(error.at, now), Printable(&error.message));
            let over = if service.retrying > 0 { "is tried again" } else { "is over" };
            let _ = writeln!(text, "last error: {name}: {age} ago, {over}: {message}");
        }
    }
    text
}

/// The cells that are empty in all lines of a Service but the first, and of a frontend but the first.
fn add(table: &mut Table, service: &Service, view: View) {
    let View { width, now, .. } = view;
    let mut name = format!("{}/{}", service.namespace, service.name);
    let mut changed = service.last_change.map_or_else(|| "-".to_owned(), |at| age(at, now));
    if service.frontends.is_empty() {
        table.row(&[name, String::new(), "none".to_owned()]);
        return;
    }
    for frontend in &service.frontends {
        let mut cells = vec![std::mem::take(&mut name)];
        cells.extend(described(frontend, width));
        let (state, tone) = state(service, frontend);
        let state = state.unwrap_or_default();
        if frontend.real_servers.is_empty() {
            cells.extend(["none", "", "", ""].map(ToOwned::to_owned));
            cells.extend([std::mem::take(&mut changed), state]);
            table.toned_row(&cells, tone);
            continue;
        }
        let empty = cells.len();
        let mut said = state;
        for real in &frontend.real_servers {
            let count =
                |count: Option<u32>| count.map_or("-".to_owned(), |count| count.to_string());
            let (own, own_tone) = state_of(real, now);
            let state = [std::mem::take(&mut said), own.unwrap_or_default()];
            cells.extend([
                socket(real.address, real.port),
                real.weight.map_or("-".to_owned(), |weight| weight.to_string()),
                count(real.connections.map(|it| it.active)),
                count(real.connections.map(|it| it.inactive)),
                std::mem::take(&mut changed),
                state.iter().filter(|it| !it.is_empty()).cloned().collect::<Vec<_>>().join("; "),
            ]);
            let tone = if own_tone == Tone::Plain { tone } else { own_tone };
            table.toned_row(&std::mem::replace(&mut cells, vec![String::new(); empty]), tone);
        }
    }
}

/// The cells of a frontend.
fn described(frontend: &Frontend, width: Width) -> Vec<String> {
    let at = match (frontend.address, frontend.port, frontend.mark) {
        (Some(address), Some(port), _) => {
            format!("{} {}", protocol(frontend.protocol), socket(address, port))
        }
        (_, _, mark) => mark_of(mark.unwrap_or_default(), frontend.ipv6),
    };
    let one_packet = if frontend.one_packet { " ops" } else { "" };
    let mut cells = vec![
        frontend.port_name.clone(),
        at,
        kind(frontend.kind).to_owned(),
        format!("{}{one_packet}", frontend.scheduler),
    ];
    if width == Width::Wide {
        let policy = match frontend.policy {
            Policy::Cluster => "Cluster",
            Policy::Local => "Local",
        };
        cells.extend([
            policy.to_owned(),
            frontend.persistence_seconds.map(|it| format!("{it}s")).unwrap_or_default(),
            frontend.inside_mark.map(|mark| format!("{mark:#x}")).unwrap_or_default(),
            Some(frontend.max_connections)
                .filter(|it| *it > 0)
                .map(|it| it.to_string())
                .unwrap_or_default(),
        ]);
    }
    cells
}

/// What is to be said of a frontend, if anything.
fn state(service: &Service, frontend: &Frontend) -> (Option<String>, Tone) {
    if let Some(holder) = &frontend.held_by {
        let words = format!("served for {}/{} instead", holder.namespace, holder.name);
        return (Some(words), Tone::Wrong);
    }
    match (frontend.programmed, service.retrying > 0, service.pending) {
        (false, true, _) => (Some("not programmed, is tried again".to_owned()), Tone::Wrong),
        (false, false, _) => (Some("not programmed".to_owned()), Tone::Wrong),
        (true, true, _) => (Some("something is tried again".to_owned()), Tone::Wrong),
        (true, false, true) => (Some("changes pending".to_owned()), Tone::Passing),
        (true, false, false) => (None, Tone::Plain),
    }
}

/// What is to be said of a real server, if anything.
fn state_of(real: &RealServer, now: Timestamp) -> (Option<String>, Tone) {
    if let Some(draining) = real.draining {
        let left = draining.until.duration_since(now).as_secs().max(0);
        let words = format!("draining for {}, {left}s left", age(draining.since, now));
        return (Some(words), Tone::Passing);
    }
    match (real.wanted_weight, real.weight) {
        (Some(_), None) => (Some("not in the kernel".to_owned()), Tone::Wrong),
        (None, Some(_)) => (Some("leaving".to_owned()), Tone::Passing),
        (Some(wanted), Some(weight)) if u32::from(wanted) != weight => {
            (Some(format!("weight should be {wanted}")), Tone::Wrong)
        }
        _ => (None, Tone::Plain),
    }
}

/// The field from which a Service has a frontend, in words.
pub(crate) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::ClusterIp => "cluster IP",
        Kind::LoadBalancer => "load-balancer IP",
        Kind::NodePort => "node port",
        Kind::ExternalIp => "external IP",
        Kind::Inside => "inside",
    }
}

/// A protocol's usual name.
pub(crate) const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}
