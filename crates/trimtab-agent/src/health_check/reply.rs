//! The response to a load balancer, byte for byte like kube-proxy's.

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use trimtab_core::objects::ObjectName;

use crate::http::Reply;

/// Load balancers may use it as the node's weight.
const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");

/// 200 if this node has endpoints and the proxy keeps up, else 503.
pub(super) fn reply(service: &ObjectName, local_endpoints: usize, healthy: bool) -> Reply {
    let status = if local_endpoints > 0 && healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let (namespace, name) = (service.namespace(), service.name());
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": {namespace:?},\n\t\t\"name\": {name:?}\n\t}},\n\
         \t\"localEndpoints\": {local_endpoints},\n\t\"serviceProxyHealthy\": {healthy}\n}}"
    );
    Reply {
        status,
        content_type: "application/json",
        headers: vec![(WEIGHT, HeaderValue::from(local_endpoints))],
        body,
    }
}
