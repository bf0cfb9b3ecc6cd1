//! Serving plain HTTP/1.1 on one address.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tracing::{debug, warn};

/// Time between two attempts to bind an address.
const RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// An answer with its content type.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

impl Reply {
    /// 404.
    pub fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            content_type: "text/plain; charset=utf-8",
            body: "404 page not found\n".to_owned(),
        }
    }
}

/// Serves `answer` by path on `address` until the task is dropped. While the address cannot be
/// bound, tries again every five seconds, unless `hard_fail`.
///
/// # Errors
/// When the address cannot be bound, with `hard_fail`.
pub async fn keep_listening<F>(
    address: SocketAddr,
    hard_fail: bool,
    answer: F,
) -> anyhow::Result<()>
where
    F: Fn(&str) -> Reply + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => serve(&listener, &answer).await,
            Err(error) if hard_fail => {
                return Err(error).with_context(|| format!("cannot serve on {address}"));
            }
            Err(error) => warn!(%address, %error, "cannot serve here, trying again"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn serve<F>(listener: &TcpListener, answer: &Arc<F>)
where
    F: Fn(&str) -> Reply + Send + Sync + 'static,
{
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a client that left already: neither ends the server.
                debug!(%error, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let answer = Arc::clone(answer);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let reply = answer(request.uri().path());
                async move { Ok::<_, Infallible>(response(reply)) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended early");
            }
        });
    }
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static(reply.content_type),
    );
    headers.insert(
        hyper::header::X_CONTENT_TYPE_OPTIONS,
        hyper::header::HeaderValue::from_static("nosniff"),
    );
    response
}
