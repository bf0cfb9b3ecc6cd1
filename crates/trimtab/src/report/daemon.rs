//! What a running Trimtab answers to HTTP requests.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use trimtab_admin::{Client, Selection};

use super::Text;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The summary and all Services, from the admin socket.
pub(crate) fn admin(socket: Option<&Path>, room: usize) -> anyhow::Result<Text> {
    let mut client = Client::connect(socket.context("disabled by the configuration")?)?;
    let mut text = Text::new(room);
    let _ = writeln!(text, "{}", serde_json::to_string_pretty(&client.summary()?)?);
    client.services(&Selection::default(), |service| {
        let _ = writeln!(text, "{}", serde_json::to_string(&service).unwrap_or_default());
    })?;
    Ok(text)
}

/// The answers to these paths from an address on which the daemon listens.
pub(crate) fn over_tcp(
    address: Option<SocketAddr>,
    paths: &[&str],
    room: usize,
) -> anyhow::Result<Text> {
    let address = reachable(address.context("disabled by the configuration")?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut text = Text::new(room);
    for path in paths {
        let answered =
            runtime.block_on(async { timeout(PATIENCE, take(&mut text, address, path)).await });
        let answered = answered.map_err(anyhow::Error::from).flatten();
        answered.with_context(|| format!("http://{address}{path}"))?;
    }
    Ok(text)
}

/// An unspecified address is listened on, and cannot be connected to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn take(text: &mut Text, address: SocketAddr, path: &str) -> anyhow::Result<()> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path).header(HOST, "localhost").body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let _ = writeln!(text, "## {path}: {}", answer.status());
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            text.push_str(&String::from_utf8_lossy(data));
        }
    }
    text.push_str("\n");
    connection.abort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_reached_at_loopback() {
        for (listens, reached) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(listens.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
