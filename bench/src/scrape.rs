//! The metrics of a proxy, over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use trimtab_integration::metrics::Metrics;

/// Where kube-proxy and Trimtab serve metrics unless told otherwise.
const METRICS: u16 = 10249;

/// Asks the proxy of this namespace for its metrics.
///
/// # Errors
/// When it does not answer.
pub fn metrics() -> Result<Metrics> {
    let (status, body) = get(METRICS, "/metrics")?;
    ensure!(status == 200, "/metrics: {status}");
    Ok(Metrics::parse(&body))
}

/// kube-proxy's name for the time from a change's arrival to the end of the sync.
const SYNC_DURATION: &str = "kubeproxy_sync_proxy_rules_duration_seconds";

/// What a proxy has counted of the times that changes took, so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnSum {
    seconds: f64,
    count: f64,
}

impl OwnSum {
    /// Asks the proxy of this namespace; `None` if it does not count.
    pub fn read() -> Option<Self> {
        let metrics = metrics().ok()?;
        let part = |part: &str| metrics.sum(&format!("{SYNC_DURATION}_{part}"), "");
        Some(Self { seconds: part("sum")?, count: part("count")? })
    }

    /// The time of the one change since then; `None` if there was none or several.
    pub fn only_since(self, before: Self) -> Option<Duration> {
        let is_one = (self.count - before.count - 1.0).abs() < 0.5;
        is_one.then(|| Duration::try_from_secs_f64(self.seconds - before.seconds).ok()).flatten()
    }
}

/// What a proxy says itself about the times that changes took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Own {
    /// Their mean.
    pub mean: f64,
    /// 99 in a hundred took at most so long: the upper end of a bucket.
    pub p99_below: f64,
}

impl Own {
    /// Of all times between two moments; `None` without any.
    pub fn between(before: &Metrics, after: &Metrics) -> Option<Self> {
        let grown = |part: &str, labels: &str| {
            let name = format!("{SYNC_DURATION}_{part}");
            Some(after.sum(&name, labels)? - before.sum(&name, labels).unwrap_or(0.0))
        };
        let count = grown("count", "").filter(|count| *count > 0.0)?;
        // Twice the lower one each, from a millisecond on.
        let mut bounds = (0..15).map(|power| 0.001 * f64::from(1 << power));
        let p99_below = bounds.find(|bound| {
            let below = grown("bucket", &format!("le=\"{bound}\""));
            below.is_some_and(|below| below >= 0.99 * count)
        });
        let p99_below = p99_below.unwrap_or(f64::INFINITY);
        Some(Self { mean: 1e3 * grown("sum", "")? / count, p99_below: 1e3 * p99_below })
    }
}

/// Netlink traffic that changed something, by what Trimtab counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Traffic {
    /// Messages to IPVS.
    pub ipvs_messages: f64,
    /// Messages of all kinds.
    pub messages: f64,
    /// System calls that sent them.
    pub sends: f64,
    /// Their bytes.
    pub bytes: f64,
}

impl Traffic {
    /// So far; `None` if the program does not count it.
    pub fn of(metrics: &Metrics) -> Option<Self> {
        Some(Self {
            ipvs_messages: metrics
                .sum("trimtab_netlink_messages_total", "objects=\"ipvs\"")
                .unwrap_or(0.0),
            messages: metrics.sum("trimtab_netlink_messages_total", "")?,
            sends: metrics.sum("trimtab_netlink_sends_total", "")?,
            bytes: metrics.sum("trimtab_netlink_bytes_total", "")?,
        })
    }

    /// What came since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            ipvs_messages: self.ipvs_messages - before.ipvs_messages,
            messages: self.messages - before.messages,
            sends: self.sends - before.sends,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// Status and body of a path on a port of this namespace's loopback.
///
/// # Errors
/// When nobody answers there.
pub fn get(port: u16, path: &str) -> Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    // HTTP/1.0: no chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without an end of head")?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok((status.context("an answer without a status")?, body.to_owned()))
}
