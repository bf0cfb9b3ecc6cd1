//! A node, a pod or a client: a network stack with a name and addresses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use trimtab_core::{Family, Protocol};

use super::client::{self, Answer, Connection, Unanswered};
use super::{Error, Namespace, Server, address};

/// How long an answer may take. Local networks answer in less than a millisecond, emulated
/// machines on busy hosts take some thousand times that.
const PATIENCE: Duration = Duration::from_secs(30);

/// A member of a [`Topology`](super::Topology).
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    namespace: Namespace,
    addresses: [IpAddr; 2],
}

impl Host {
    pub(super) fn new(name: String, namespace: Namespace, addresses: [IpAddr; 2]) -> Self {
        Self { name, namespace, addresses }
    }

    /// `node1`, `node1-pod2` or `client1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it lives.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its address.
    pub fn address(&self, family: Family) -> IpAddr {
        let [v4, v6] = self.addresses;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    /// Answers on `port` of its addresses, by all of `protocols`, with its name.
    ///
    /// # Errors
    ///
    /// If a socket cannot be made or bound.
    pub fn serve(&self, protocols: &[Protocol], port: u16) -> Result<Server, Error> {
        let sockets = protocols.iter().flat_map(|protocol| {
            self.addresses.map(|address| (*protocol, SocketAddr::new(address, port)))
        });
        Server::start(&self.namespace, &self.name, &sockets.collect::<Vec<_>>())
    }

    /// Asks which server answers at `to`, with a long timeout.
    ///
    /// # Errors
    ///
    /// What arrived instead of an answer.
    pub fn ask(&self, protocol: Protocol, to: SocketAddr) -> Result<Answer, Unanswered> {
        self.ask_within(protocol, to, PATIENCE)
    }

    /// Asks who answers at `to`, and gives up after `timeout`.
    ///
    /// # Errors
    ///
    /// What arrived instead of an answer.
    pub fn ask_within(
        &self,
        protocol: Protocol,
        to: SocketAddr,
        timeout: Duration,
    ) -> Result<Answer, Unanswered> {
        self.inside(|| client::ask(protocol, to, timeout))
    }

    /// Opens a connection for many requests, with a long timeout.
    ///
    /// # Errors
    ///
    /// What arrived instead of a connection; for UDP it always succeeds at once.
    pub fn connect(&self, protocol: Protocol, to: SocketAddr) -> Result<Connection, Unanswered> {
        self.inside(|| Connection::open(protocol, to, PATIENCE))
    }

    /// As [`Host::connect`], from a given local port.
    ///
    /// # Errors
    ///
    /// As for [`Host::connect`], and if the port is in use.
    pub fn connect_from(
        &self,
        protocol: Protocol,
        port: u16,
        to: SocketAddr,
    ) -> Result<Connection, Unanswered> {
        self.inside(|| Connection::open_from(protocol, port, to, PATIENCE))
    }

    /// Sends what is for Services through `router`, as an outside client needs it.
    ///
    /// # Errors
    ///
    /// If `ip` refuses.
    pub fn route_services_via(&self, router: &Self) -> Result<(), Error> {
        let lines = Family::ALL.map(|family| {
            format!(
                "route replace {} via {}",
                address::service_cidr(family),
                router.address(family)
            )
        });
        self.namespace.ip_batch(&lines)
    }

    fn inside<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Unanswered> + Send,
    ) -> Result<T, Unanswered> {
        self.namespace.run(work).unwrap_or_else(|error| Err(Unanswered::Other(error.to_string())))
    }
}
