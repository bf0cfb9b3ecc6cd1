//! The client: batches in, tables out.

use trimtab_core::Frontend;
use trimtab_netlink::{Errno, Failure, Report, Socket};

use crate::wire::{self, Command, DecodeError, Decoded};
use crate::{
    Batch, Error, Info, Listing, ModuleError, ModuleOptions, ObservedRealServer,
    ObservedSyncDaemon, ObservedVirtualServer, Request, Stats, Timeouts, module,
};

/// How often to read a table that the kernel rearranges during the read.
const READ_ATTEMPTS: u32 = 10;

/// A connection to the IPVS of the network namespace in which it was created.
///
/// It blocks, but never for long: the kernel executes a request before the system call that sends
/// it returns. The kernel lets only CAP_NET_ADMIN (in the initial user namespace) use it, even to
/// read; [`Client::connect`] itself needs no capability unless the module must be loaded.
///
/// The family number of IPVS is looked up once. If the module is unloaded meanwhile, every request
/// fails with `ENOENT`, also when it is loaded again: then call [`Client::find_again`].
#[derive(Debug)]
pub struct Client {
    socket: Socket,
    family: u16,
    /// The request being sent, kept for its memory.
    request: trimtab_netlink::Batch,
    /// How many virtual servers there were, so that the next listing is allocated in one piece.
    expected: usize,
}

impl Client {
    /// Looks up the kernel's IPVS; loads its module if necessary and allowed by `module`.
    ///
    /// # Errors
    /// [`Error::NoIpvs`] says what is missing; [`Error::Open`] and [`Error::Resolve`] are for a
    /// system without generic netlink.
    pub fn connect(module: &ModuleOptions) -> Result<Self, Error> {
        let mut socket = Socket::open(trimtab_netlink::Family::Generic).map_err(Error::Open)?;
        let mut request = trimtab_netlink::Batch::new();
        let family = find(&mut socket, &mut request, module)?;
        Ok(Self { socket, family, request, expected: 0 })
    }

    /// Looks up the family number of IPVS again, and loads the module if necessary. Returns whether
    /// the number has changed: then the module was reloaded, and IPVS has lost all its objects.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn find_again(&mut self, module: &ModuleOptions) -> Result<bool, Error> {
        let before = self.family;
        self.family = find(&mut self.socket, &mut self.request, module)?;
        Ok(self.family != before)
    }

    /// Executes all operations of `batch`, in order, in as few system calls as the socket's buffers
    /// allow. A refused operation does not stop the others; the report has its index, and
    /// [`Batch::explain`] explains it.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] if nothing was done because a capability is missing;
    /// [`Error::Apply`] when the transport failed and it is unknown what was done.
    pub fn apply(&mut self, batch: &mut Batch) -> Result<Report, Error> {
        batch.messages.set_kind(self.family);
        let report = self.socket.apply(&mut batch.messages).map_err(Error::Apply)?;
        // The kernel checks the sender's capability before it reads a message (genl_rcv_msg,
        // net/netlink/genetlink.c), so without it every message is refused.
        let refused = |failure: &Failure| failure.refusal.errno == Errno(libc::EPERM);
        if !report.failures.is_empty()
            && report.failures.len() == report.messages
            && report.failures.iter().all(refused)
        {
            return Err(Error::NotPermitted(Request::Apply));
        }
        Ok(report)
    }

    /// Version and size of the connection table.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Read`].
    pub fn info(&mut self) -> Result<Info, Error> {
        self.one(Request::Info, Command::GetInfo, None, wire::decode_info)
    }

    /// The timeouts in force.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Read`].
    pub fn timeouts(&mut self) -> Result<Timeouts, Error> {
        let decode = |payload: &[u8]| wire::decode_timeouts(payload).map(|(timeouts, _)| timeouts);
        self.one(Request::Timeouts, Command::GetConfig, None, decode)
    }

    /// One virtual server; `None` if it does not exist, or cannot be represented.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Read`].
    pub fn virtual_server(
        &mut self,
        frontend: &Frontend,
    ) -> Result<Option<ObservedVirtualServer>, Error> {
        let request = Request::VirtualServer(*frontend);
        let command = Command::GetVirtualServer;
        match self.one(request, command, Some(frontend), wire::decode_virtual_server) {
            Ok(found) => Ok(found.ok()),
            Err(error) if error.errno() == Some(Errno(libc::ESRCH)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All virtual servers of this network namespace, each once.
    ///
    /// The kernel reads its table in pieces of some hundred entries, continues by position and does
    /// not say when positions changed. It moves entries when others are added and, from Linux 7.1
    /// on, shortly after the table grew or shrank; an entry that shows up twice betrays that, and
    /// the table is read again, ten times at most. Only if other entries are *deleted* meanwhile,
    /// an existing entry can be missed without any sign.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Read`].
    pub fn virtual_servers(&mut self) -> Result<Listing<ObservedVirtualServer>, Error> {
        let mut listing = Listing::default();
        listing.entries.reserve(self.expected);
        for _ in 0..READ_ATTEMPTS {
            let request = Request::VirtualServers;
            self.dump(request, Command::GetVirtualServer, None, &mut listing, |payload| {
                wire::decode_virtual_server(payload)
            })?;
            listing.disturbed = listing.keep_first_by(|observed| observed.server.frontend) > 0;
            if !listing.disturbed {
                break;
            }
        }
        self.expected = listing.entries.len();
        Ok(listing)
    }

    /// Only the counters of all virtual servers, each once: [`Self::virtual_servers`] without
    /// what it takes to hold their options, for programs that read them often.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Read`].
    pub fn virtual_server_stats(&mut self) -> Result<Listing<(Frontend, Stats)>, Error> {
        let mut listing = Listing::default();
        listing.entries.reserve(self.expected);
        let request = Request::VirtualServers;
        self.dump(request, Command::GetVirtualServer, None, &mut listing, |payload| {
            let decoded = wire::decode_virtual_server(payload)?;
            Ok(decoded.map(|observed| (observed.server.frontend, observed.stats)))
        })?;
        listing.disturbed = listing.keep_first_by(|(frontend, _)| *frontend) > 0;
        self.expected = listing.entries.len();
        Ok(listing)
    }

    /// The real servers of a virtual server; none if it does not exist.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Read`].
    pub fn real_servers(
        &mut self,
        frontend: &Frontend,
    ) -> Result<Listing<ObservedRealServer>, Error> {
        let mut listing = Listing::default();
        self.read_real_servers(frontend, &mut listing)?;
        Ok(listing)
    }

    /// The real servers of many virtual servers, one after the other, in one listing's memory.
    ///
    /// The kernel has no request for all real servers, and answers one such request at a time on
    /// a socket: each virtual server costs a `sendmsg` and at least one `recvmsg`.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Read`]; earlier visits are not undone.
    pub fn real_servers_of(
        &mut self,
        frontends: impl IntoIterator<Item = Frontend>,
        mut visit: impl FnMut(&Frontend, &Listing<ObservedRealServer>),
    ) -> Result<(), Error> {
        let mut listing = Listing::default();
        for frontend in frontends {
            self.read_real_servers(&frontend, &mut listing)?;
            visit(&frontend, &listing);
        }
        Ok(())
    }

    /// The sync daemons of this network namespace, at most one of each role.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Read`].
    pub fn sync_daemons(&mut self) -> Result<Listing<ObservedSyncDaemon>, Error> {
        let mut listing = Listing::default();
        let command = Command::GetSyncDaemon;
        self.dump(Request::SyncDaemons, command, None, &mut listing, wire::decode_sync_daemon)?;
        Ok(listing)
    }

    /// The socket, for measuring the effect of its settings.
    pub fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }

    fn read_real_servers(
        &mut self,
        frontend: &Frontend,
        listing: &mut Listing<ObservedRealServer>,
    ) -> Result<(), Error> {
        let family = frontend.family();
        let request = Request::RealServers(*frontend);
        self.dump(request, Command::GetRealServer, Some(frontend), listing, |payload| {
            wire::decode_real_server(payload, family)
        })?;
        listing.keep_first_by(|observed| observed.server.key);
        Ok(())
    }

    /// A request with exactly one answer.
    fn one<T>(
        &mut self,
        request: Request,
        command: Command,
        frontend: Option<&Frontend>,
        decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, Error> {
        self.request.clear();
        wire::encode_read(&mut self.request, command, frontend, false);
        self.request.set_kind(self.family);
        let mut answer = None;
        self.socket
            .request(&mut self.request, |_, payload| {
                answer = Some(decode(payload).map_err(malformed())?);
                Ok(())
            })
            .and_then(|()| answer.ok_or(trimtab_netlink::Error::NoAnswer("request")))
            .map_err(|source| read_error(request, source))
    }

    /// A request answered with a table.
    fn dump<T>(
        &mut self,
        request: Request,
        command: Command,
        frontend: Option<&Frontend>,
        listing: &mut Listing<T>,
        decode: impl Fn(&[u8]) -> Decoded<T>,
    ) -> Result<(), Error> {
        self.request.clear();
        wire::encode_read(&mut self.request, command, frontend, true);
        self.request.set_kind(self.family);
        self.socket
            .dump_into(&mut self.request, listing, Listing::clear, |listing, _, payload| {
                match decode(payload).map_err(malformed())? {
                    Ok(entry) => listing.entries.push(entry),
                    Err(unsupported) => listing.unsupported.push(unsupported),
                }
                Ok(())
            })
            .map_err(|source| read_error(request, source))
    }
}

/// The number of the family `IPVS`; loads its module if necessary and allowed by `module`.
fn find(
    socket: &mut Socket,
    request: &mut trimtab_netlink::Batch,
    module: &ModuleOptions,
) -> Result<u16, Error> {
    module::load_with_parameters(module)?;
    if let Some(family) = resolve(socket, request)? {
        return Ok(family);
    }
    module::load(module)?;
    Ok(resolve(socket, request)?.ok_or(ModuleError::StillMissing)?)
}

/// Asks generic netlink for the number of the family `IPVS`.
fn resolve(
    socket: &mut Socket,
    request: &mut trimtab_netlink::Batch,
) -> Result<Option<u16>, Error> {
    request.clear();
    wire::control::encode_resolve(request);
    let mut family = None;
    let answered = socket.request(request, |_, payload| {
        family = Some(wire::control::decode_resolved(payload).map_err(malformed())?);
        Ok(())
    });
    match answered {
        Ok(()) => Ok(family),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(Error::Resolve(error)),
    }
}

fn malformed() -> impl FnOnce(DecodeError) -> trimtab_netlink::Error {
    trimtab_netlink::Error::malformed("IPVS message")
}

fn read_error(request: Request, source: trimtab_netlink::Error) -> Error {
    if source.is_not_permitted() {
        Error::NotPermitted(request)
    } else {
        Error::Read { request, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that no family has: the kernel counts up from `GENL_MIN_ID` (16).
    const NOBODY: u16 = 0x7ff0;

    #[test]
    #[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
    fn a_number_that_ipvs_does_not_have_any_more_is_asked_for_again() {
        let mut client = Client::connect(&ModuleOptions::default()).unwrap();
        assert!(!client.find_again(&ModuleOptions::default()).unwrap());
        client.family = NOBODY;
        assert_eq!(client.info().unwrap_err().errno(), Some(Errno(libc::ENOENT)));
        assert!(client.find_again(&ModuleOptions::default()).unwrap());
        client.info().unwrap();
    }
}
