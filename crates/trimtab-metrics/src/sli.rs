//! What `/metrics/slis` serves: the results of the health checks, with the names of Kubernetes'
//! components.

use crate::exposition::Exposition;
use crate::table::{Kind, Metric};

const RESULT: Metric = Metric {
    name: "kubernetes_healthcheck",
    kind: Kind::Gauge,
    labels: &["name", "type"],
    meaning: "1 if a health check succeeds now, else 0, by probe and check; at /metrics/slis",
};
const RESULTS: Metric = Metric {
    name: "kubernetes_healthchecks_total",
    kind: Kind::Counter,
    labels: &["name", "type", "status"],
    meaning: "Results of health checks when a probe was answered: success or error; at /metrics/slis",
};

/// Both of them.
pub(crate) const SLIS: &[Metric] = &[RESULT, RESULTS];

/// One health check of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Check {
    /// Name of the check.
    pub name: &'static str,
    /// `healthz`, `livez` or `readyz`.
    pub probe: &'static str,
}

/// How a check is now, and how often it succeeded and failed when its probe was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// Whether it succeeds now.
    pub now: bool,
    /// How often it succeeded.
    pub successes: u64,
    /// How often it failed.
    pub errors: u64,
}

/// The text of `/metrics/slis`.
pub fn write(checks: &[(Check, Results)]) -> String {
    let mut text = Exposition::new();
    text.family(&RESULT);
    for (check, results) in checks {
        text.sample(&RESULT, &[&check.name, &check.probe], u8::from(results.now));
    }
    text.family(&RESULTS);
    for (check, results) in checks {
        for (status, count) in [("success", results.successes), ("error", results.errors)] {
            text.sample(&RESULTS, &[&check.name, &check.probe, &status], count);
        }
    }
    text.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_written_as_kubernetes_components_do() {
        let check = Check { name: "programming", probe: "livez" };
        let text = write(&[(check, Results { now: true, successes: 3, errors: 1 })]);
        for line in [
            "kubernetes_healthcheck{name=\"programming\",type=\"livez\"} 1",
            "kubernetes_healthchecks_total{name=\"programming\",type=\"livez\",status=\"success\"} 3",
            "kubernetes_healthchecks_total{name=\"programming\",type=\"livez\",status=\"error\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
    }
}
