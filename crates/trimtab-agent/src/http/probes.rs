//! The paths and their responses.

use std::sync::Arc;

use hyper::StatusCode;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use super::serve::Reply;
use crate::health::{Answer, Health};
use crate::traffic::Shown;
use trimtab_config::{Config, written};
use trimtab_metrics as metric;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/healthz`, `/livez` and `/readyz`, on port 10256 unless configured.
pub fn health_routes(health: Arc<Health>) -> impl Fn(&str) -> Reply + Send + Sync + 'static {
    move |path| match path {
        "/healthz" => counted(path, probe(health.healthz())),
        "/livez" => counted(path, probe(health.livez())),
        "/readyz" => probe(health.readyz()),
        _ => Reply::not_found(),
    }
}

/// `/metrics`, `/proxyMode`, `/configz` and a plain `/healthz`, on port 10249 unless configured.
pub fn metrics_routes(
    metrics: PrometheusHandle,
    traffic: Arc<Shown>,
    config: &Config,
) -> impl Fn(&str) -> Reply + Send + Sync + use<> {
    let config = json!({"kubeproxy.config.k8s.io": written(config)}).to_string();
    move |path| {
        let ok = |content_type, body| Reply::new(StatusCode::OK, content_type, body);
        match path {
            "/metrics" => ok(EXPOSITION, metrics.render() + &traffic.text()),
            "/configz" => ok(JSON, config.clone()),
            "/proxyMode" => ok(TEXT, "ipvs".to_owned()),
            "/healthz" => ok(TEXT, "ok".to_owned()),
            _ => Reply::not_found(),
        }
    }
}

fn counted(path: &str, reply: Reply) -> Reply {
    metric::probed(path, reply.status.as_u16());
    reply
}

fn probe(answer: Answer) -> Reply {
    let status = if answer.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::new(status, JSON, answer.body)
}
