//! What is served on the metrics address, port 10249 unless configured.

use std::sync::Arc;

use hyper::StatusCode;
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use super::debug::{self, SetVerbosity};
use super::serve::{Ask, Reply};
use super::slis::Slis;
use super::zpages;
use crate::health::Health;
use crate::process;
use crate::traffic::Shown;
use trimtab_config::{Config, flags_in_force, written};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const PATHS: [&str; 7] =
    ["/configz", "/flagz", "/healthz", "/metrics", "/metrics/slis", "/proxyMode", "/statusz"];

/// What is served, and where it comes from.
#[derive(Debug)]
pub struct Observability {
    /// The recorded metrics.
    pub metrics: PrometheusHandle,
    /// The metrics of traffic.
    pub traffic: Arc<Shown>,
    /// The results of health checks.
    pub slis: Arc<Slis>,
    /// Health.
    pub health: Arc<Health>,
    /// The configuration.
    pub config: Arc<Config>,
    /// When the program started.
    pub started: Timestamp,
    /// Sets the verbosity of the log.
    pub verbosity: SetVerbosity,
}

impl Observability {
    /// Answers by path.
    pub fn routes(self) -> impl Fn(&Ask<'_>) -> Reply + Send + Sync + use<> {
        let configz = json!({"kubeproxy.config.k8s.io": written(&self.config)}).to_string();
        let flagz = zpages::flagz(&flags_in_force(&self.config));
        move |ask| {
            let ok = |content_type, body| Reply::new(StatusCode::OK, content_type, body);
            match ask.path {
                "/metrics" => ok(EXPOSITION, self.exposition()),
                "/metrics/slis" => ok(EXPOSITION, self.slis.text(&self.health)),
                "/configz" => ok(JSON, configz.clone()),
                "/flagz" => ok(TEXT, flagz.clone()),
                "/statusz" => ok(TEXT, self.statusz()),
                "/proxyMode" => ok(TEXT, "ipvs".to_owned()),
                "/healthz" => ok(TEXT, "ok".to_owned()),
                path if self.config.profiling && path.starts_with("/debug") => {
                    debug::answer(ask, &self.verbosity)
                }
                _ => Reply::not_found(),
            }
        }
    }

    fn exposition(&self) -> String {
        let started = self.started.as_duration().as_secs_f64();
        self.metrics.render() + &process::read(started).write() + &self.traffic.text()
    }

    fn statusz(&self) -> String {
        let mut paths = PATHS.to_vec();
        if self.config.profiling {
            paths.extend(debug::PATHS);
            paths.sort_unstable();
        }
        zpages::statusz(self.started, Timestamp::now(), &paths)
    }
}
