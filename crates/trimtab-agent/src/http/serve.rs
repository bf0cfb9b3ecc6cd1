//! Serving plain HTTP/1.1 on one address.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, warn};

/// Time between two attempts to bind an address.
const RETRY: Duration = Duration::from_secs(5);
/// The longest time between two requests of a connection, and until the head of a request has
/// arrived.
const IDLE: Duration = Duration::from_secs(10);
/// The most connections of a listener for probes or metrics.
const CONNECTIONS: usize = 128;
/// The listen backlog.
const BACKLOG: u32 = 128;

/// The longest body of a request.
const BODY: usize = 1024;

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its path, without what follows a question mark.
    pub path: &'a str,
    /// Its body; empty unless the method is PUT.
    pub body: &'a [u8],
}

/// An answer with its content type.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Body.
    pub body: String,
}

impl Reply {
    /// An answer without further headers.
    pub const fn new(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, headers: Vec::new(), body }
    }

    /// 404.
    pub fn not_found() -> Self {
        let body = "404 page not found\n".to_owned();
        Self::new(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", body)
    }
}

/// Serves `answer` by path on `address`, or on both families' if it is unspecified, until the task
/// is dropped. If the address cannot be bound, retries every five seconds, unless `hard_fail`.
///
/// # Errors
/// When the address cannot be bound, with `hard_fail`.
pub async fn keep_listening<F>(
    address: SocketAddr,
    hard_fail: bool,
    answer: F,
) -> anyhow::Result<()>
where
    F: Fn(&Ask<'_>) -> Reply + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    loop {
        match listen_widely(address) {
            Ok(listener) => serve(&listener, CONNECTIONS, &answer).await,
            Err(error) if hard_fail => {
                return Err(error).with_context(|| format!("cannot serve on {address}"));
            }
            Err(error) => warn!(%address, %error, "cannot listen here, retrying"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// A listener on one address, or on all addresses of both families if the address is unspecified
/// (`0.0.0.0` or `::`), like Go's `net.Listen` and therefore kube-proxy. A kubelet probes its
/// node's address, of either family. Without IPv6, it listens on all IPv4 addresses.
///
/// # Errors
/// If it cannot listen on the address.
pub(super) fn listen_widely(address: SocketAddr) -> std::io::Result<TcpListener> {
    if !address.ip().is_unspecified() {
        return listen(address);
    }
    let both = TcpSocket::new_v6().and_then(|socket| {
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv6Addr::UNSPECIFIED, address.port()).into())?;
        Ok(socket)
    });
    match both {
        Ok(socket) => socket.listen(BACKLOG),
        // In use by another program.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(error),
        Err(_) => listen((Ipv4Addr::UNSPECIFIED, address.port()).into()),
    }
}

/// A listener on one address, of IPv4 or IPv6 but never both.
///
/// # Errors
/// If it cannot listen on the address.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
            socket
        }
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `answer` by path until the task is dropped, which also closes the connections.
///
/// A probe and a scrape need one connection each. If there are more than `most`, the oldest is
/// closed, so that clients cannot exhaust the program's file descriptors, and new probes are always
/// answered.
pub async fn serve<F>(listener: &TcpListener, most: usize, answer: &Arc<F>)
where
    F: Fn(&Ask<'_>) -> Reply + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
        };
        if oldest_first.len() >= most {
            oldest_first.retain(|connection| !connection.is_finished());
            if oldest_first.len() >= most
                && let Some(oldest) = oldest_first.pop_front()
            {
                oldest.abort();
            }
        }
        let (stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or the client has already closed the connection: keep
                // serving.
                debug!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let answer = Arc::clone(answer);
        let connection = connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = Arc::clone(&answer);
                async move { Ok::<_, Infallible>(response(reply(request, &*answer).await)) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                // As kube-proxy answers, which clients and scripts expect.
                .title_case_headers(true)
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended early");
            }
        });
        oldest_first.push_back(connection);
    }
}

async fn reply(request: Request<Incoming>, answer: &impl Fn(&Ask<'_>) -> Reply) -> Reply {
    let (head, body) = request.into_parts();
    let mut bytes = Bytes::new();
    if head.method == Method::PUT {
        match Limited::new(body, BODY).collect().await {
            Ok(whole) => bytes = whole.to_bytes(),
            Err(error) => {
                let text = "text/plain; charset=utf-8";
                return Reply::new(StatusCode::BAD_REQUEST, text, format!("{error}\n"));
            }
        }
    }
    answer(&Ask { method: &head.method, path: head.uri.path(), body: &bytes })
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.extend(reply.headers);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn is_reached(to: SocketAddr) -> bool {
        tokio::net::TcpStream::connect(to).await.is_ok()
    }

    #[tokio::test]
    async fn an_unspecified_address_is_that_of_both_families_and_another_only_itself() {
        for any in ["0.0.0.0:0", "[::]:0"] {
            let listener = listen_widely(any.parse().unwrap()).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(is_reached((Ipv4Addr::LOCALHOST, port).into()).await, "{any}");
            assert!(is_reached((Ipv6Addr::LOCALHOST, port).into()).await, "{any}");
        }
        let listener = listen_widely("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(is_reached((Ipv4Addr::LOCALHOST, port).into()).await);
        assert!(!is_reached((Ipv6Addr::LOCALHOST, port).into()).await);
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_an_error_whatever_the_family() {
        let taken = listen((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = listen_widely((Ipv4Addr::UNSPECIFIED, port).into()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn idle_connections_keep_nobody_out() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let answer =
            |_: &Ask<'_>| Reply::new(StatusCode::OK, "text/plain; charset=utf-8", "ok".to_owned());
        tokio::spawn(async move { serve(&listener, 4, &Arc::new(answer)).await });
        let mut idle = Vec::new();
        for _ in 0..20 {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let mut probe = TcpStream::connect(address).await.unwrap();
        probe.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        probe.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("\r\n\r\nok"), "{text}");
        // Only the newest connections are left.
        for stream in &mut idle[..15] {
            assert!(matches!(stream.read(&mut [0; 16]).await, Ok(0) | Err(_)));
        }
    }
}
