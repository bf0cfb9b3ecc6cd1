//! Servers that answer with their name and the address they see.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use socket2::Socket;
use trimtab_core::Protocol;

use super::client::Answer;
use super::{Error, Namespace, socket};

/// How many may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A thread in a namespace that serves any number of sockets until this is dropped; with it go the
/// connections.
#[derive(Debug)]
pub struct Server {
    /// Held: its end is the thread's sign to stop.
    running: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens in `namespace` on each of `sockets`. Every message there, and every piece that comes
    /// on a connection, is answered with `name` and the sender's address.
    ///
    /// # Errors
    ///
    /// If a socket cannot be made or bound.
    pub fn start(
        namespace: &Namespace,
        name: &str,
        sockets: &[(Protocol, SocketAddr)],
    ) -> Result<Self, Error> {
        let (running, stop) = UnixStream::pair()
            .map_err(|source| Error::Start { program: format!("server {name}"), source })?;
        let (namespace, name, sockets) = (namespace.clone(), name.to_owned(), sockets.to_owned());
        let (sender, ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let listeners = namespace.enter().and_then(|()| listen_all(&name, &sockets));
            match listeners {
                Ok(listeners) => {
                    let serving = Serving { name, stop, listeners, connections: Vec::new() };
                    if sender.send(Ok(())).is_ok() {
                        serving.run();
                    }
                }
                // The receiver is gone only if nothing waits for it.
                Err(error) => drop(sender.send(Err(error))),
            }
        });
        let server = Self { running: Some(running), thread: Some(thread) };
        match ready.recv() {
            Ok(listening) => listening.map(|()| server),
            Err(_) => unreachable!("the thread tells how it went before it ends"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.running.take());
        // A test notices a server that panicked, because it gets no answers.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[derive(Debug)]
enum Listener {
    Stream(Socket),
    Datagram(UdpSocket),
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stream(socket) => socket.as_fd(),
            Self::Datagram(socket) => socket.as_fd(),
        }
    }
}

#[derive(Debug)]
struct Serving {
    name: String,
    stop: UnixStream,
    listeners: Vec<Listener>,
    connections: Vec<(Socket, SocketAddr)>,
}

impl Serving {
    fn run(mut self) {
        loop {
            let ready = self.wait();
            let (stop, ready) = ready.split_first().expect("the stop line is among them");
            let (listeners, connections) = ready.split_at(self.listeners.len());
            if *stop {
                return;
            }
            // The connections first: a listener adds to them.
            let mut ready = connections.iter();
            self.connections.retain_mut(|(socket, peer)| {
                !ready.next().expect("one for each") || answer(socket, &self.name, *peer).is_ok()
            });
            for (listener, _) in self.listeners.iter().zip(listeners).filter(|(_, ready)| **ready) {
                // A client that is gone before it is served has nothing to complain about.
                if let Ok(Some(connection)) = serve(listener, &self.name) {
                    self.connections.push(connection);
                }
            }
        }
    }

    /// Waits until something can be done; tells for the stop line, each listener and each
    /// connection, in this order, whether it can.
    fn wait(&self) -> Vec<bool> {
        let listeners = self.listeners.iter().map(AsFd::as_fd);
        let connections = self.connections.iter().map(|(socket, _)| socket.as_fd());
        let all = std::iter::once(self.stop.as_fd()).chain(listeners).chain(connections);
        let mut polled: Vec<_> =
            all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // An interruption shows as nothing being ready.
        let _ = poll(&mut polled, None);
        polled.iter().map(|fd| !fd.revents().is_empty()).collect()
    }
}

fn serve(listener: &Listener, name: &str) -> io::Result<Option<(Socket, SocketAddr)>> {
    match listener {
        Listener::Stream(socket) => {
            let (connection, peer) = socket.accept()?;
            Ok(peer.as_socket().map(|peer| (connection, peer)))
        }
        Listener::Datagram(socket) => {
            let (_, peer) = socket.recv_from(&mut [0; 64])?;
            socket.send_to(Answer::text(name, peer).as_bytes(), peer)?;
            Ok(None)
        }
    }
}

/// Answers what has come on a connection; fails when it is at its end.
fn answer(connection: &mut Socket, name: &str, peer: SocketAddr) -> io::Result<()> {
    if connection.read(&mut [0; 64])? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    connection.write_all(Answer::text(name, peer).as_bytes())
}

fn listen_all(name: &str, sockets: &[(Protocol, SocketAddr)]) -> Result<Vec<Listener>, Error> {
    let listen = |&(protocol, address): &(Protocol, SocketAddr)| {
        listen(protocol, address).map_err(|source| {
            let name = name.to_owned();
            Error::Listen { name, protocol, address, source }
        })
    };
    sockets.iter().map(listen).collect()
}

fn listen(protocol: Protocol, address: SocketAddr) -> io::Result<Listener> {
    let socket = socket::new(protocol, address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(match protocol {
        Protocol::Udp => Listener::Datagram(socket.into()),
        Protocol::Tcp | Protocol::Sctp => {
            socket.listen(BACKLOG)?;
            Listener::Stream(socket)
        }
    })
}
