//! Reads real servers by `getsockopt`, which costs several times less than netlink.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use trimtab_core::{Frontend, RealServer};

use crate::wire::socket_option::{self, Answer};
use crate::{Error, Request};

/// `IP_VS_SO_GET_DESTS` (include/uapi/linux/ip_vs.h).
const IP_VS_SO_GET_DESTS: libc::c_int = 64 + 1024 + 64 + 4;
/// `IP_VS_SO_GET_INFO`, which answers with `struct ip_vs_getinfo`: three numbers of 32 bits, of which
/// the last is that of virtual servers.
const IP_VS_SO_GET_INFO: libc::c_int = 64 + 1024 + 64 + 1;
/// Room for so many real servers at first.
const FEW: usize = 32;
/// No virtual server is read with room for more than this; netlink has no such limit.
const MOST: usize = 1 << 16;

/// A real server as this interface shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedRealServer {
    /// Identity and options; never one of a tunnel.
    pub server: RealServer,
    /// Connections in the protocol's established state.
    pub active_connections: u32,
    /// Connections in every other state.
    pub inactive_connections: u32,
}

/// Reads real servers of IPv4 virtual servers in one system call each, in the network namespace in
/// which it was created. Needs CAP_NET_ADMIN, as [`Client`](crate::Client) does.
#[derive(Debug)]
pub struct OptionReader {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl OptionReader {
    /// A reader for this thread's network namespace.
    ///
    /// # Errors
    /// [`Error::OpenOptions`] when there is no socket to be had.
    pub fn open() -> Result<Self, Error> {
        // Any kind of IPv4 socket will do: only its options are used.
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None);
        let socket = socket.map_err(|errno| Error::OpenOptions(errno.into()))?;
        Ok(Self { socket, buffer: Vec::new() })
    }

    /// The real servers of a virtual server in the kernel's order. `None` if this interface cannot
    /// represent the virtual server (IPv6) or one of its real servers (tunnels): then
    /// [`Client::real_servers`](crate::Client::real_servers) can.
    ///
    /// It also leaves out IPv6 real servers that somebody added to an IPv4 virtual server.
    ///
    /// # Errors
    /// [`Error::ReadOption`], with `ESRCH` if there is no such virtual server.
    pub fn real_servers(
        &mut self,
        frontend: &Frontend,
    ) -> Result<Option<Vec<CountedRealServer>>, Error> {
        let mut capacity = FEW;
        while capacity <= MOST && socket_option::encode(&mut self.buffer, frontend, capacity) {
            get(&self.socket, IP_VS_SO_GET_DESTS, &mut self.buffer).map_err(|source| {
                Error::ReadOption { request: Request::RealServers(*frontend), source }
            })?;
            match socket_option::decode(&self.buffer) {
                Answer::All(found) => return Ok(Some(found)),
                Answer::Unknown => return Ok(None),
                Answer::NoRoom => capacity *= 4,
            }
        }
        Ok(None)
    }
}

impl OptionReader {
    /// How many IPv4 virtual servers there are, those of a mark among them. It costs next to nothing.
    ///
    /// # Errors
    /// [`Error::ReadOption`].
    pub fn virtual_server_count(&mut self) -> Result<usize, Error> {
        let mut info = [0; 12];
        get(&self.socket, IP_VS_SO_GET_INFO, &mut info)
            .map_err(|source| Error::ReadOption { request: Request::VirtualServers, source })?;
        let [.., a, b, c, d] = info;
        Ok(usize::try_from(u32::from_ne_bytes([a, b, c, d])).unwrap_or(usize::MAX))
    }
}

/// `getsockopt` at level `IPPROTO_IP` with a structure that the kernel reads and writes, which no
/// crate in use offers for options that it does not know.
#[expect(unsafe_code, reason = "a system call without a safe wrapper in the crates in use")]
fn get(socket: &OwnedFd, option: libc::c_int, buffer: &mut [u8]) -> io::Result<()> {
    let mut length = libc::socklen_t::try_from(buffer.len())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: the kernel reads and writes no more than `length` bytes at the pointer, which are
    // those of `buffer`, any value of which is valid; it keeps neither pointer.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            option,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
