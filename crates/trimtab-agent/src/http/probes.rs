//! The probes.

use std::sync::Arc;

use hyper::StatusCode;

use super::serve::{Ask, Reply};
use super::slis::Slis;
use crate::health::{Answer, Health};
use trimtab_metrics as metric;

/// `/healthz`, `/livez` and `/readyz`, on port 10256 unless configured.
pub fn health_routes(
    health: Arc<Health>,
    slis: Arc<Slis>,
) -> impl Fn(&Ask<'_>) -> Reply + Send + Sync + 'static {
    move |ask| {
        let (name, answer) = match ask.path {
            "/healthz" => ("healthz", health.healthz()),
            "/livez" => ("livez", health.livez()),
            "/readyz" => ("readyz", health.readyz()),
            _ => return Reply::not_found(),
        };
        let reply = probe(answer);
        slis.count(name, &health);
        // kube-proxy has no readyz, and no metric for it.
        if name != "readyz" {
            metric::probed(ask.path, reply.status.as_u16());
        }
        reply
    }
}

fn probe(answer: Answer) -> Reply {
    let status = if answer.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::new(status, "application/json", answer.body)
}
