//! The calls of one client: blocking sockets, nothing allocated for a request.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, SockAddr, Socket, Type};

use super::message::{LENGTH, Message, REQUEST};
use super::ports::Ports;
use super::target::Target;

/// The longest wait for an answer. A lost packet costs one to three seconds, which must be visible.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that calls a target, on a thread in the client's namespace.
#[derive(Debug)]
pub struct Caller<'a> {
    target: &'a Target,
    ports: &'a mut Ports,
    calls: usize,
    /// Connections that each pod has answered on.
    pub answered: Vec<u64>,
}

impl<'a> Caller<'a> {
    /// One that has not called yet.
    pub fn new(target: &'a Target, ports: &'a mut Ports) -> Self {
        Self { target, ports, calls: 0, answered: vec![0; target.pods()] }
    }

    /// Opens a connection and has it answered; it is reset when dropped.
    ///
    /// # Errors
    /// When there is no connection or answer, or it is the wrong pod's.
    pub fn call(&mut self) -> Result<Connection> {
        let (number, port) = (self.calls, self.ports.take()?);
        self.calls += 1;
        let address = self.target.address(number);
        let connection = Connection::open(port, address)
            .with_context(|| format!("port {port} to {:?}", address.as_socket()))?;
        let answer = connection
            .ask()
            .with_context(|| format!("port {port}, asking {:?}", address.as_socket()))?;
        self.answered[self.target.pod(number, &answer)?] += 1;
        Ok(connection)
    }
}

/// A connection to a pod.
#[derive(Debug)]
pub struct Connection(Socket);

impl Connection {
    fn open(port: u16, address: &SockAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // The end is a reset: nothing waits afterwards, on neither side.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        socket.connect(address)?;
        Ok(Self(socket))
    }

    /// One request and its answer.
    ///
    /// # Errors
    /// When none comes.
    pub fn ask(&self) -> io::Result<Message> {
        let mut socket = &self.0;
        socket.write_all(&REQUEST)?;
        let mut answer = [0; LENGTH];
        socket.read_exact(&mut answer)?;
        Ok(answer)
    }
}
