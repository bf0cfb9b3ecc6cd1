//! A pod that answers every request with its name, on a thread of its own, without allocating.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use trimtab_integration::topology::Namespace;

use super::message::{self, LENGTH, Message};

/// Events that stand for something else than a connection.
const STOP: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;
/// Events taken from the kernel at once.
const EVENTS: usize = 64;

/// The pod at work, until dropped.
#[derive(Debug)]
pub struct Server {
    /// Held: its end is the thread's sign to stop.
    running: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens in `namespace`.
    ///
    /// # Errors
    /// When it cannot.
    pub fn start(namespace: &Namespace, name: &str, address: SocketAddr) -> Result<Self> {
        let listener = namespace
            .run(|| TcpListener::bind(address))?
            .with_context(|| format!("{name} cannot listen on {address}"))?;
        Self::on(listener, name)
    }

    fn on(listener: TcpListener, name: &str) -> Result<Self> {
        let (running, stop) = UnixStream::pair().context("a socket pair")?;
        let serving = Serving::new(message::answer(name), listener, &stop)
            .with_context(|| format!("epoll for {name}"))?;
        let serve = move || {
            let _stop = stop;
            // Whoever asks it then, misses it.
            if let Err(error) = serving.run() {
                eprintln!("a pod ended: {error}");
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(serve)?;
        Ok(Self { running: Some(running), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.running.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Serving {
    answer: Message,
    listener: TcpListener,
    epoll: OwnedFd,
    /// By the number that their events have.
    connections: Vec<Option<TcpStream>>,
    free: Vec<usize>,
}

impl Serving {
    fn new(answer: Message, listener: TcpListener, stop: &UnixStream) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        listener.set_nonblocking(true)?;
        epoll::add(&epoll, stop, EventData::new_u64(STOP), EventFlags::IN)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self { answer, listener, epoll, connections: Vec::new(), free: Vec::new() })
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(error) if error == rustix::io::Errno::INTR => continue,
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    STOP => return Ok(()),
                    LISTENER => self.accept()?,
                    number => self.serve(number),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        // A client may be gone before it is accepted.
        let Ok((connection, _)) = self.listener.accept() else { return Ok(()) };
        let number = self.free.pop().unwrap_or(self.connections.len());
        let data = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &connection, data, EventFlags::IN)?;
        if number == self.connections.len() {
            self.connections.push(Some(connection));
        } else {
            self.connections[number] = Some(connection);
        }
        Ok(())
    }

    /// Answers a connection, or forgets it when it is at its end.
    fn serve(&mut self, number: u64) {
        let Ok(number) = usize::try_from(number) else { return };
        let Some(Some(connection)) = self.connections.get_mut(number) else { return };
        let mut request = [0; LENGTH];
        let served =
            connection.read_exact(&mut request).and_then(|()| connection.write_all(&self.answer));
        if served.is_err() {
            self.connections[number] = None;
            self.free.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_many_connections_are_answered_and_an_end_leaves_room_for_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _server = Server::on(listener, "pod").unwrap();
        let ask = |mut connection: &TcpStream| {
            connection.write_all(&message::REQUEST).unwrap();
            let mut answer = [0; LENGTH];
            connection.read_exact(&mut answer).unwrap();
            answer
        };
        for _ in 0..3 {
            let open = [(); 70].map(|()| TcpStream::connect(address).unwrap());
            for connection in open.iter().chain(&open) {
                assert_eq!(ask(connection), message::answer("pod"));
            }
        }
    }
}
