//! The listener and its connections.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

use super::counters::Counters;
use super::request::answer;
use super::shared::{Shared, stopped};

/// How long a stopping server waits for answers under way.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until told to stop.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    let mut stop = shared.stop.subscribe();
    let mut outage = shared.outage.subscribe();
    let mut listener = Some(listener);
    loop {
        let end_of_outage = *outage.borrow();
        tokio::select! {
            () = stopped(&mut stop) => break,
            _ = outage.changed() => {
                listener = None;
                // All connections are cut, as if the machine had disappeared.
                connections.shutdown().await;
            }
            stream = accept(listener.as_ref()) => if let Some(stream) = stream {
                shared.counters.send_modify(Counters::connected);
                connections.spawn(serve_connection(Arc::clone(&shared), stream));
            },
            () = sleep_until(end_of_outage), if listener.is_none() => {
                match TcpListener::bind(shared.address).await {
                    Ok(bound) => listener = Some(bound),
                    Err(error) => {
                        tracing::warn!(%error, address = %shared.address, "cannot listen again yet");
                        sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, finish).await.is_err() {
        connections.shutdown().await;
    }
}

async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    let Some(listener) = listener else { return std::future::pending().await };
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            // Out of file descriptors, most likely: there is nothing to do but wait.
            sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

async fn serve_connection(shared: Arc<Shared>, stream: TcpStream) {
    // Events are small and must not wait for each other.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let mut stop = shared.stop.subscribe();
    let service = service_fn(|request| answer(Arc::clone(&shared), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}
