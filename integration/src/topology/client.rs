//! Clients that ask which server answers, and that distinguish the ways in which none does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::io::Errno;
use socket2::Socket;
use trimtab_core::Protocol;

use super::socket;

/// Which server answered, and the client's address as it saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The server's name.
    pub name: String,
    /// The client's address and port, as the server saw them.
    pub seen_peer: SocketAddr,
}

impl Answer {
    /// The text of a server's answer.
    pub(super) fn text(name: &str, peer: SocketAddr) -> String {
        format!("{name} {peer}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, peer) = text.strip_suffix('\n')?.split_once(' ')?;
        Some(Self { name: name.to_owned(), seen_peer: peer.parse().ok()? })
    }
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// A reset, an abort or an ICMP port unreachable came instead, at once.
    #[error("refused")]
    Refused,
    /// Nothing came.
    #[error("no answer in time")]
    TimedOut,
    /// Unreachable: no route, or an ICMP error other than port unreachable. While `connect` holds
    /// the socket's lock, TCP ignores an ICMP error, and gets it again in answer to its second SYN,
    /// a second later.
    #[error("unreachable")]
    Unreachable,
    /// There was a connection, and it has ended or was reset.
    #[error("the connection has ended")]
    Closed,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::CONNREFUSED) => Self::Refused,
            // A socket's timeouts appear as EAGAIN, and for `connect` as EINPROGRESS.
            Some(Errno::TIMEDOUT | Errno::AGAIN | Errno::INPROGRESS) => Self::TimedOut,
            // IPv6 reports "administratively prohibited" as EACCES, ip6_icmp.c.
            Some(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::ACCESS) => Self::Unreachable,
            Some(Errno::CONNRESET | Errno::PIPE) => Self::Closed,
            _ if error.kind() == io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// Asks once, from the calling thread's namespace.
///
/// # Errors
///
/// What arrived instead of an answer.
pub fn ask(protocol: Protocol, to: SocketAddr, timeout: Duration) -> Result<Answer, Unanswered> {
    Connection::open(protocol, to, timeout)?.ask()
}

/// A TCP connection, an SCTP association, or a UDP socket with a port of its own.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
}

impl Connection {
    /// Opens one in the calling thread's namespace; afterwards any thread can use it. `timeout`
    /// holds for opening and for each answer.
    ///
    /// # Errors
    ///
    /// What arrived instead of a connection; for UDP it always succeeds at once.
    pub fn open(protocol: Protocol, to: SocketAddr, timeout: Duration) -> Result<Self, Unanswered> {
        Self::open_from(protocol, 0, to, timeout)
    }

    /// As [`Connection::open`], from a given local port; 0 means any.
    ///
    /// # Errors
    ///
    /// As for [`Connection::open`], and if the port is in use.
    pub fn open_from(
        protocol: Protocol,
        port: u16,
        to: SocketAddr,
        timeout: Duration,
    ) -> Result<Self, Unanswered> {
        let socket = socket::new(protocol, to)?;
        socket.set_read_timeout(Some(timeout))?;
        socket.set_write_timeout(Some(timeout))?;
        // An unbound SCTP socket offers all its addresses to the other side, which may then answer
        // past any load balancer.
        if protocol == Protocol::Sctp || port != 0 {
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::new(source_towards(to)?.ip(), port).into())?;
        }
        socket.connect_timeout(&to.into(), timeout)?;
        Ok(Self { socket })
    }

    /// Asks who answers on the other side.
    ///
    /// # Errors
    ///
    /// What arrived instead of an answer.
    pub fn ask(&mut self) -> Result<Answer, Unanswered> {
        self.socket.write_all(b"?\n")?;
        let mut text = Vec::new();
        let mut piece = [0; 128];
        while !text.ends_with(b"\n") {
            match self.socket.read(&mut piece)? {
                0 => return Err(Unanswered::Closed),
                length => text.extend_from_slice(&piece[..length]),
            }
        }
        let text = String::from_utf8_lossy(&text);
        Answer::parse(&text).ok_or_else(|| Unanswered::Other(format!("an answer of {text:?}")))
    }

    /// Ends it with a reset (TCP) or an abort (SCTP), which leaves no waiting state behind.
    ///
    /// # Errors
    ///
    /// If the system does not allow it.
    pub fn abort(self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }

    /// Sets the timeout for answers.
    ///
    /// # Errors
    ///
    /// If the system does not allow it.
    pub fn set_patience(&mut self, timeout: Duration) -> io::Result<()> {
        self.socket.set_read_timeout(Some(timeout))
    }

    /// The address it has on this side.
    ///
    /// # Errors
    ///
    /// If the system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }
}

/// The address from which packets to `to` would go.
fn source_towards(to: SocketAddr) -> io::Result<SocketAddr> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let probe = UdpSocket::bind(any)?;
    probe.connect(to)?;
    probe.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_is_said() {
        for peer in ["10.0.0.1:5", "[fd00::1]:65535"] {
            let peer: SocketAddr = peer.parse().unwrap();
            let answer = Answer { name: "node1-pod2".to_owned(), seen_peer: peer };
            assert_eq!(Answer::parse(&Answer::text("node1-pod2", peer)), Some(answer));
        }
        for text in ["", "name\n", "name 10.0.0.1:5", "name 10.0.0.1\n"] {
            assert_eq!(Answer::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn ways_of_not_answering_are_told_apart() {
        for (errno, expected) in [
            (Errno::CONNREFUSED, Unanswered::Refused),
            (Errno::AGAIN, Unanswered::TimedOut),
            (Errno::TIMEDOUT, Unanswered::TimedOut),
            (Errno::HOSTUNREACH, Unanswered::Unreachable),
            (Errno::CONNRESET, Unanswered::Closed),
        ] {
            assert_eq!(Unanswered::from(io::Error::from(errno)), expected);
        }
    }
}
