//! The probes of a container, by a kubelet's rules.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::topology::Host;

/// A probe by HTTP. <https://kubernetes.io/docs/concepts/workloads/pods/probes/>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is asked for.
    pub path: String,
    /// Where.
    pub port: u16,
    /// The time between two questions.
    pub period: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many questions in a row may have no good answer.
    pub failures: u32,
}

impl Probe {
    pub(super) fn read(probe: &Value) -> anyhow::Result<Self> {
        let get = probe.get("httpGet").context("no probe by HTTP")?;
        let number = |field: &str, usual: u64| probe[field].as_u64().unwrap_or(usual);
        Ok(Self {
            path: get["path"].as_str().context("a probe without a path")?.to_owned(),
            port: get["port"].as_u64().and_then(|port| port.try_into().ok()).context("a port")?,
            period: Duration::from_secs(number("periodSeconds", 10)),
            timeout: Duration::from_secs(number("timeoutSeconds", 1)),
            failures: u32::try_from(number("failureThreshold", 3))?,
        })
    }

    /// Asks at an address of the node, from the node, as often as it may fail in a row.
    ///
    /// # Errors
    /// If there is no good answer: the last one.
    pub fn passes(&self, node: &Host, address: IpAddr) -> anyhow::Result<()> {
        let mut last = None;
        for _ in 0..self.failures {
            match node.namespace().run(|| self.ask(address))? {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
            std::thread::sleep(self.period);
        }
        let what = format!("{} at {address} failed {} times", self.path, self.failures);
        Err(last.context("a probe that is never asked")?.context(what))
    }

    fn ask(&self, address: IpAddr) -> anyhow::Result<()> {
        let to = SocketAddr::new(address, self.port);
        let mut stream = TcpStream::connect_timeout(&to, self.timeout)?;
        stream.set_read_timeout(Some(self.timeout))?;
        let path = &self.path;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let status = text.split(' ').nth(1).and_then(|word| word.parse::<u16>().ok());
        match status.context("an answer without a status")? {
            200..400 => Ok(()),
            _ => bail!("{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_probe_does_not_say_is_as_kubernetes_has_it() {
        let probe = serde_json::json!({"httpGet": {"path": "/livez", "port": 10256}});
        let expected = Probe {
            path: "/livez".to_owned(),
            port: 10256,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            failures: 3,
        };
        assert_eq!(Probe::read(&probe).unwrap(), expected);
        assert!(Probe::read(&serde_json::json!({"exec": {}})).is_err());
    }
}
