//! Serving HTTP/1.1 on the socket.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::claim::claim;
use super::desk::{Desk, Reply};

/// Time between two attempts to claim the path.
const RETRY: Duration = Duration::from_secs(5);
/// Connections at once; others wait.
const CONNECTIONS: usize = 32;
/// The longest time between two questions of a connection.
const IDLE: Duration = Duration::from_secs(10);

/// Serves at `path` until the task is dropped. While it cannot, it retries: without the socket, only
/// commands that ask the daemon do not work.
pub async fn serve(path: &Path, desk: Desk) {
    let desk = Arc::new(desk);
    let mut told = String::new();
    loop {
        match claim(path) {
            Ok(claimed) => {
                info!(path = %path.display(), "the admin socket is ready");
                accept(&claimed.listener, &desk).await;
            }
            Err(error) => {
                let error = format!("{error:#}");
                if error != told {
                    warn!(path = %path.display(), %error, "no admin socket here, retrying");
                }
                told = error;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn accept(listener: &UnixListener, desk: &Arc<Desk>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = Arc::clone(desk);
                connections.spawn(async move {
                    talk(stream, desk).await;
                    drop(place);
                });
            }
            Err(error) => {
                debug!(%error, "cannot accept a connection to the admin socket");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers the questions of one connection.
async fn talk(stream: UnixStream, desk: Arc<Desk>) {
    // The mode of the socket already says so; it can be changed by mistake.
    let is_allowed = stream.peer_cred().is_ok_and(|peer| may_ask(peer.uid()));
    let service = service_fn(move |request: Request<Incoming>| {
        let desk = Arc::clone(&desk);
        async move {
            let reply = if is_allowed {
                let (uri, method) = (request.uri(), request.method());
                desk.answer(method, uri.path(), uri.query().unwrap_or_default()).await
            } else {
                Reply::forbidden()
            };
            Ok::<_, Infallible>(response(reply))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a connection to the admin socket ended early");
    }
}

/// Root, and the user that runs this daemon.
fn may_ask(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
