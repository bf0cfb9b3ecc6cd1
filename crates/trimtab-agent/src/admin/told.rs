//! From the loop's answers to those of the admin socket.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};
use trimtab_admin as admin;
use trimtab_config::Config;
use trimtab_core::objects::{ObjectName, TrafficPolicy};
use trimtab_core::{Family, Frontend, Protocol, VirtualServerFlags};
use trimtab_kube::warning::Warning;
use trimtab_reconcile::{
    Drift, FrontendKind, FrontendStatus, Place, Query, RealServerStatus, Select, ServiceStatus,
};

use crate::health::Health;
use crate::questions::LoopState;

/// For a `from` that is none.
pub(super) const WRONG_FROM: &str = "from: expected the `next` of the page before";

/// What the times of the loop's clock are by the system's. The system's clock may be set while the
/// daemon runs, so that is worked out anew for each answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    now: Duration,
    time: Timestamp,
}

impl Clock {
    /// `now` on the loop's clock is this time.
    pub(super) const fn at(now: Duration, time: Timestamp) -> Self {
        Self { now, time }
    }

    fn time(self, moment: Duration) -> Timestamp {
        let signed = |time| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        let since = signed(self.now) - signed(moment);
        let time = self.time.checked_sub(since).unwrap_or(self.time);
        to_milliseconds(time)
    }
}

/// No time that is told is more exact.
pub(super) fn to_milliseconds(time: Timestamp) -> Timestamp {
    time.round(TimestampRound::new().smallest(Unit::Millisecond)).unwrap_or(time)
}

pub(super) fn summary(
    state: &LoopState,
    health: &Health,
    warnings: usize,
    config: &Config,
    started: Timestamp,
) -> admin::Summary {
    let clock = Clock::at(state.now, Timestamp::now());
    let contact = health.contact();
    let compared = &state.compared;
    admin::Summary {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: config.node_name.clone(),
        started,
        stage: match (state.is_listing, health.is_programmed()) {
            (true, _) => admin::Stage::Listing,
            (false, false) => admin::Stage::Programming,
            (false, true) => admin::Stage::Ready,
        },
        ready: health.readyz().ok,
        healthy: health.is_healthy(),
        other_proxy: health.has_other_proxy(),
        services: count(state.services),
        virtual_servers: count(state.virtual_servers),
        real_servers: count(state.real_servers),
        draining: count(state.draining),
        pending: count(state.pending),
        retrying: count(state.retrying),
        failing_services: count(state.failing_services),
        warnings: count(warnings),
        lag_seconds: state.lag.map(|lag| lag.as_secs_f64()),
        comparison: admin::Comparison {
            period_seconds: config.sync_period.as_secs_f64(),
            completed: compared.completed.map(|at| clock.time(at)),
            drift: drift(compared.drift),
            last_drift: compared
                .last_drift
                .map(|(at, found)| admin::DriftFound { at: clock.time(at), drift: drift(found) }),
        },
        api_server: contact.silence().map(|silence| admin::ApiServer {
            followed: contact.is_whole(),
            silent_seconds: silence.as_secs_f64(),
        }),
    }
}

fn drift(drift: Drift) -> admin::Drift {
    admin::Drift {
        virtual_servers: count(drift.virtual_servers),
        real_servers: count(drift.real_servers),
        elements: count(drift.elements),
        addresses: count(drift.addresses),
    }
}

/// The question to the loop.
///
/// # Errors
/// If the selection's `from` is none that [`place`] wrote.
pub(super) fn query(selection: &admin::Selection) -> Result<Query, String> {
    let select = match (&selection.address, &selection.namespace, &selection.name) {
        (Some(address), ..) => Select::Address { address: *address, port: selection.port },
        (None, Some(namespace), Some(name)) => Select::Service(ObjectName::new(namespace, name)),
        (None, Some(namespace), None) => Select::Namespace(namespace.as_str().into()),
        (None, None, _) => Select::All,
    };
    let from = match &selection.from {
        Some(from) => read_place(from).ok_or(WRONG_FROM)?,
        None => Place::default(),
    };
    Ok(Query { select, from, limit: selection.rows() })
}

/// A place as text: how many frontends were told, how many real servers of the next one, and the
/// name of the Service.
pub(super) fn place(place: &Place) -> Option<String> {
    let service = place.service.as_ref()?;
    Some(format!("{}.{}/{}", place.frontends, place.real_servers, service.as_str()))
}

fn read_place(text: &str) -> Option<Place> {
    let (counts, name) = text.split_once('/')?;
    let (frontends, real_servers) = counts.split_once('.')?;
    let (namespace, name) = name.split_once('/')?;
    Some(Place {
        service: Some(ObjectName::new(namespace, name)),
        frontends: frontends.parse().ok()?,
        real_servers: real_servers.parse().ok()?,
    })
}

pub(super) fn service(
    status: ServiceStatus,
    warnings: Vec<Warning>,
    clock: Clock,
) -> admin::Service {
    let warning = |warning: Warning| admin::Warning {
        reason: warning.reason.as_str().to_owned(),
        message: warning.note,
    };
    admin::Service {
        namespace: status.service.namespace().to_owned(),
        name: status.service.name().to_owned(),
        pending: status.pending,
        retrying: count(status.retrying),
        last_change: status.changed.map(|at| clock.time(at)),
        last_error: status.failure.map(|failure| admin::Failure {
            at: clock.time(failure.at),
            message: failure.message.into(),
        }),
        warnings: warnings.into_iter().map(warning).collect(),
        frontends: status.frontends.into_iter().map(|it| frontend(it, clock)).collect(),
    }
}

fn frontend(status: FrontendStatus, clock: Clock) -> admin::Frontend {
    let (address, port, mark) = match status.frontend {
        Frontend::Address { address, port, .. } => (Some(address), Some(port), None),
        Frontend::Mark { mark, .. } => (None, None, Some(mark)),
    };
    admin::Frontend {
        address,
        port,
        mark,
        ipv6: status.frontend.family() == Family::V6,
        protocol: protocol(status.protocol),
        kind: kind(status.kind),
        port_name: status.port.into(),
        policy: policy(status.policy),
        held_by: status.held_by.as_ref().map(service_name),
        inside_mark: status.inside,
        scheduler: status.scheduler.name().to_owned(),
        persistence_seconds: status.persistence.map(|persistence| persistence.timeout),
        one_packet: status.flags.contains(VirtualServerFlags::ONE_PACKET),
        max_connections: status.max_connections,
        programmed: status.present,
        real_servers: status.real_servers.iter().map(|real| real_server(real, clock)).collect(),
        real_server_count: count(status.real_server_count),
    }
}

fn real_server(status: &RealServerStatus, clock: Clock) -> admin::RealServer {
    admin::RealServer {
        address: status.key.address,
        port: status.key.port,
        wanted_weight: status.wanted,
        weight: status.present,
        draining: status.draining.map(|draining| admin::Draining {
            since: clock.time(draining.since),
            until: clock.time(draining.until),
        }),
        connections: None,
    }
}

pub(super) fn service_name(name: &ObjectName) -> admin::ServiceName {
    admin::ServiceName { namespace: name.namespace().to_owned(), name: name.name().to_owned() }
}

pub(super) const fn kind(kind: FrontendKind) -> admin::Kind {
    match kind {
        FrontendKind::ClusterIp => admin::Kind::ClusterIp,
        FrontendKind::LoadBalancer => admin::Kind::LoadBalancer,
        FrontendKind::NodePort => admin::Kind::NodePort,
        FrontendKind::ExternalIp => admin::Kind::ExternalIp,
        FrontendKind::Inside => admin::Kind::Inside,
    }
}

pub(super) const fn policy(policy: TrafficPolicy) -> admin::Policy {
    match policy {
        TrafficPolicy::Cluster => admin::Policy::Cluster,
        TrafficPolicy::Local => admin::Policy::Local,
    }
}

pub(super) const fn protocol(protocol: Protocol) -> admin::Protocol {
    match protocol {
        Protocol::Tcp => admin::Protocol::Tcp,
        Protocol::Udp => admin::Protocol::Udp,
        Protocol::Sctp => admin::Protocol::Sctp,
    }
}

pub(super) fn count(count: usize) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_after_its_text() {
        let service = Some(ObjectName::new("n", "web"));
        let here = Place { service, frontends: 3, real_servers: 500 };
        assert_eq!(place(&here).as_deref(), Some("3.500/n/web"));
        assert_eq!(read_place("3.500/n/web"), Some(here));
        for wrong in ["", "web", "n/web", "3/n/web", "a.b/n/web", "1.-1/n/web", "1.1/web"] {
            assert_eq!(read_place(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_the_systems_before_and_after_now() {
        let now = Duration::from_secs(100);
        let time: Timestamp = "2026-01-01T00:00:00.1234Z".parse().unwrap();
        let clock = Clock::at(now, time);
        let words = |moment| clock.time(Duration::from_secs(moment)).to_string();
        assert_eq!(words(40), "2025-12-31T23:59:00.123Z");
        assert_eq!(words(160), "2026-01-01T00:01:00.123Z");
    }
}
