//! Whether the node's proxy works: what /healthz, /livez and /readyz answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use trimtab_kube::contact::Contact;

/// Health as kube-proxy defines it, and readiness.
#[derive(Debug)]
pub struct Health {
    /// How long a change may wait for the kernel.
    patience: Duration,
    families: Vec<String>,
    contact: Arc<Contact>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is set by another part of the program, at \
    its own time"
)]
struct State {
    queued: Option<Instant>,
    updated: Option<Timestamp>,
    eligible: bool,
    /// The kernel has been programmed once.
    programmed: bool,
    /// The kernel holds the desired state now.
    ready: bool,
    other_proxy: bool,
}

/// An answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200, or 503.
    pub ok: bool,
    /// JSON.
    pub body: String,
}

impl Health {
    /// Healthy but not ready. A change may wait for twice the sync period.
    pub fn new(sync_period: Duration, families: &[trimtab_core::Family]) -> Self {
        Self {
            patience: sync_period * 2,
            families: families.iter().map(ToString::to_string).collect(),
            contact: Arc::default(),
            state: Mutex::default(),
        }
    }

    /// Contact with the API server: shown in the answers, but the status does not depend on it.
    pub fn contact(&self) -> &Arc<Contact> {
        &self.contact
    }

    /// A change waits.
    pub fn queued(&self) {
        self.state().queued.get_or_insert_with(Instant::now);
    }

    /// Every change so far is in the kernel.
    pub fn updated(&self) {
        let mut state = self.state();
        state.queued = None;
        state.updated = Some(Timestamp::now());
    }

    /// Whether our Node exists and is not about to be deleted.
    pub fn set_node(&self, eligible: bool) {
        self.state().eligible = eligible;
    }

    /// The kernel has been programmed; `ready` says whether it holds the desired state, except for
    /// single Services.
    pub fn set_programmed(&self, ready: bool) {
        let mut state = self.state();
        state.programmed = true;
        state.ready = ready;
    }

    /// Whether the kernel has been programmed since the start, with or without success.
    pub(crate) fn is_programmed(&self) -> bool {
        self.state().programmed
    }

    /// Whether the kernel holds the desired state, except for single Services.
    pub fn is_ready(&self) -> bool {
        self.state().ready
    }

    /// Whether another service proxy also programs this node, so that packets may not reach IPVS.
    pub(crate) fn set_other_proxy(&self, other_proxy: bool) {
        self.state().other_proxy = other_proxy;
    }

    /// Whether another service proxy was found to program this node, too.
    pub(crate) fn has_other_proxy(&self) -> bool {
        self.state().other_proxy
    }

    /// Whether the proxy keeps up with changes.
    pub(crate) fn is_healthy(&self) -> bool {
        self.state().queued.is_none_or(|since| since.elapsed() < self.patience)
    }

    /// `/livez`: whether the proxy keeps up with changes.
    pub fn livez(&self) -> Answer {
        let healthy = self.is_healthy();
        self.answer(healthy, healthy, None)
    }

    /// `/healthz`: also whether load balancers should send new connections here.
    pub fn healthz(&self) -> Answer {
        let healthy = self.is_healthy();
        let eligible = self.state().eligible;
        self.answer(healthy && eligible, healthy, Some(eligible))
    }

    /// `/readyz`: whether the kernel holds the desired state, except for single Services that are
    /// named in warnings, and no other service proxy programs this node.
    pub fn readyz(&self) -> Answer {
        let ready = {
            let state = self.state();
            state.ready && !state.other_proxy
        };
        let healthy = self.is_healthy();
        Answer {
            ok: ready && healthy,
            body: json!({"ready": ready, "healthy": healthy}).to_string(),
        }
    }

    /// The checks of a probe (`healthz`, `livez` or `readyz`), each with whether it succeeds now.
    pub(crate) fn checks(&self, probe: &str) -> Vec<(&'static str, bool)> {
        let programming = ("programming", self.is_healthy());
        let state = self.state();
        match probe {
            "healthz" => vec![programming, ("node-eligible", state.eligible)],
            "readyz" => vec![
                programming,
                ("kernel-programmed", state.ready),
                ("no-other-proxy", !state.other_proxy),
            ],
            _ => vec![programming],
        }
    }

    fn answer(&self, ok: bool, healthy: bool, eligible: Option<bool>) -> Answer {
        let now = Timestamp::now();
        let updated = self.state().updated;
        let last = if ok { Some(now) } else { updated };
        let mut body = json!({
            "lastUpdated": time(last),
            "currentTime": time(Some(now)),
            "healthy": healthy,
        });
        if let Some(silence) = self.contact.silence() {
            body["apiServer"] =
                json!({"followed": self.contact.is_whole(), "silentSeconds": silence.as_secs()});
        }
        if let Some(eligible) = eligible {
            body["nodeEligible"] = eligible.into();
        }
        if updated.is_some() {
            for family in &self.families {
                body["status"][family] = json!({"lastUpdated": time(updated), "healthy": healthy});
            }
        }
        Answer { ok, body: body.to_string() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// RFC 3339 with nanoseconds; "never" as Go prints its zero time, which kube-proxy's clients know.
fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |time| format!("{time:.9}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_that_waits_too_long_is_unhealthy() {
        let health = Health::new(Duration::from_secs(30), &trimtab_core::Family::ALL);
        assert!(health.livez().ok);
        assert!(!health.healthz().ok, "the Node is not known yet");
        health.set_node(true);
        assert!(health.healthz().ok);
        health.queued();
        tokio::time::advance(Duration::from_secs(59)).await;
        health.queued();
        assert!(health.healthz().ok);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!health.healthz().ok);
        assert!(health.livez().body.contains(r#""healthy":false"#));
        health.updated();
        assert!(health.healthz().ok);
        assert!(health.healthz().body.contains(r#""IPv6":{"#));
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_waits_for_the_first_full_programming() {
        let health = Health::new(Duration::from_secs(30), &trimtab_core::Family::ALL);
        assert!(!health.readyz().ok);
        health.set_programmed(false);
        assert!(health.is_programmed());
        assert!(!health.readyz().ok, "the kernel refused it");
        health.set_programmed(true);
        assert!(health.readyz().ok);
        health.set_other_proxy(true);
        assert!(!health.readyz().ok && health.livez().ok);
        let failing = |probe| -> Vec<&str> {
            let checks = health.checks(probe).into_iter();
            checks.filter(|(_, succeeds)| !succeeds).map(|(name, _)| name).collect()
        };
        assert_eq!(failing("readyz"), ["no-other-proxy"]);
        assert_eq!(failing("healthz"), ["node-eligible"]);
        assert!(failing("livez").is_empty());
        health.set_other_proxy(false);
        assert!(health.readyz().ok);
    }
}
