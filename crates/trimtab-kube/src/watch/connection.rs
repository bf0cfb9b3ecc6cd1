//! The connection to the API server.

use std::path::Path;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::Client;
use kube::client::{Body, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tower::{BoxError, ServiceBuilder};
use tracing::info;

use crate::Error;

/// How long a connection may take to be established.
const CONNECT: Duration = Duration::from_secs(10);
/// A host that has disappeared is noticed after 15 + 3 x 5 s without answers to keepalives (tcp(7),
/// TCP_KEEPIDLE and so on), or after 30 s without an acknowledgement of sent data
/// (TCP_USER_TIMEOUT). client-go takes 30 to 45 s by its HTTP/2 pings.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What the program does with the API server, as the server's logs and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It programs a node.
    NodeProxy,
    /// It compares a node once.
    Diff,
}

impl Role {
    /// The `User-Agent` of every request.
    const fn agent(self) -> &'static str {
        match self {
            Self::NodeProxy => {
                concat!("trimtab/", env!("CARGO_PKG_VERSION"), " (linux) node-proxy")
            }
            Self::Diff => concat!("trimtab/", env!("CARGO_PKG_VERSION"), " (linux) diff"),
        }
    }
}

/// Connects to the API server, through a kubeconfig or as the pod's service account; `master`
/// overrides the address of either.
///
/// # Errors
/// A kubeconfig that cannot be read or used, or neither a kubeconfig nor an account.
pub async fn connect(
    kubeconfig: Option<&Path>,
    master: Option<&str>,
    role: Role,
) -> Result<Client, Error> {
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|source| Error::ReadKubeconfig {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .map_err(|source| Error::UseKubeconfig {
                    path: path.to_owned(),
                    source: Box::new(source),
                })?
        }
        None => kube::Config::incluster().map_err(|source| Error::NoAccount(Box::new(source)))?,
    };
    if let Some(master) = master {
        config.cluster_url =
            master.parse().map_err(|source| Error::Master { master: master.to_owned(), source })?;
    }
    if config.cluster_url.scheme_str() == Some("http") && config.root_cert.is_none() {
        // Without TLS no certificates are needed; by default all of the host's would be read.
        config.root_cert = Some(Vec::new());
    }
    if config.proxy_url.is_some() {
        return Err(Error::Proxy);
    }
    config.headers.push((USER_AGENT, HeaderValue::from_static(role.agent())));
    info!(server = %config.cluster_url, "using the API server");
    client(config).map_err(|source| Error::Connect(Box::new(source)))
}

/// kube's own stack, except that dead connections are noticed and that nothing is retried
/// internally.
///
/// Each watch has a connection of its own (HTTP/1.1), three on a node, and a fourth while Events are
/// sent. kube-proxy shares one by HTTP/2. With that, all watches would share one window of flow
/// control, so that a burst of EndpointSlices could hold up Services, and dead connections would
/// have to be found by pings in place of the kernel's keepalives below. Nor does kube's TLS connector
/// offer HTTP/2.
fn client(config: kube::Config) -> Result<Client, kube::Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT));
    http.set_keepalive(Some(KEEPALIVE));
    http.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    http.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    http.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let https = config.rustls_https_connector_with_connector(http)?;
    let hyper: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new()).build(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(hyper);
    Ok(Client::new(service, config.default_namespace))
}
