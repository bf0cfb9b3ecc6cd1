//! The socket: sending batches, reading tables.

use std::io;
use std::ops::Range;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, parse_i32,
};
use rustix::net::sockopt;

use crate::answer::{Messages, refusal};
use crate::inbox::Inbox;
use crate::{Batch, Errno, Error, Failure, Refusal, Report};

/// The largest piece of a batch that goes in one `sendmsg`. Of 110,000 IPVS operations (17 MB),
/// `cargo xtask bench ipvs -- --pieces` measured on Linux 7.2, one CPU, the median of five runs:
///
/// | KiB | 4 | 8 | 16 | 32 | 64 | 128 | 256 | 1024 |
/// |---|---|---|---|---|---|---|---|---|
/// | s | 0.70 | 0.51 | 0.36 | 0.32 | 0.30 | 0.26 | 0.26 | 0.26 |
///
/// The gain beyond 64 KiB is within the noise: in two repetitions of nine runs each, 64 KiB was
/// once 7 % slower than the best and once the best.
const SEND_BYTES: usize = 64 << 10;
/// The requested size of both socket buffers.
const SOCKET_BUFFER: usize = 4 << 20;
/// How much of the receive buffer one queued answer takes at most: the size of the socket buffer
/// structure and the smallest allocation, with room for the kernel's message.
const ANSWER_COST: usize = 2 << 10;
/// How often to read a table again that changes during the read.
const DUMP_ATTEMPTS: u32 = 10;

/// The netlink families in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Links, addresses, routes.
    Route,
    /// ipset, conntrack.
    Netfilter,
    /// IPVS and whatever else registers a name.
    Generic,
}

impl Family {
    const fn number(self) -> isize {
        match self {
            Self::Route => netlink_sys::protocols::NETLINK_ROUTE,
            Self::Netfilter => netlink_sys::protocols::NETLINK_NETFILTER,
            Self::Generic => netlink_sys::protocols::NETLINK_GENERIC,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Netfilter => "netfilter",
            Self::Generic => "generic",
        }
    }
}

/// A netlink socket to the kernel.
#[derive(Debug)]
pub struct Socket {
    inner: netlink_sys::Socket,
    family: Family,
    capped: bool,
    /// The transport failed: data in transit is lost, and the next use opens a new socket.
    broken: bool,
    sequence: u32,
    /// The longest datagram that the send buffer takes.
    send_room: usize,
    send_bytes: usize,
    send_messages: usize,
    inbox: Inbox,
}

impl Socket {
    /// Opens a socket whose error answers do not echo the refused message.
    ///
    /// # Errors
    /// [`Error::Open`] when the system has no such family or no descriptor left.
    pub fn open(family: Family) -> Result<Self, Error> {
        Self::open_with(family, true)
    }

    /// Opens a socket whose error answers echo the refused message; ipset uses that to report the
    /// refused element.
    ///
    /// # Errors
    /// As [`Socket::open`].
    pub fn open_echoing(family: Family) -> Result<Self, Error> {
        Self::open_with(family, false)
    }

    fn open_with(family: Family, capped: bool) -> Result<Self, Error> {
        let failed = |step| move |source| Error::Open { family: family.name(), step, source };
        let mut inner = netlink_sys::Socket::new(family.number()).map_err(failed("socket"))?;
        inner.bind_auto().map_err(failed("bind"))?;
        inner.connect(&netlink_sys::SocketAddr::new(0, 0)).map_err(failed("connect"))?;
        inner.set_cap_ack(capped).map_err(failed("NETLINK_CAP_ACK"))?;
        inner.set_ext_ack(true).map_err(failed("NETLINK_EXT_ACK"))?;
        if family == Family::Route {
            // Enables filtering of dumps by the kernel (since 4.20); older kernels return
            // everything, so readers filter, too.
            let _ = inner.set_netlink_get_strict_chk(true);
        }
        // With CAP_NET_ADMIN the sizes may exceed the system's limit; without it, accept what the
        // system allows.
        if sockopt::set_socket_send_buffer_size_force(&inner, SOCKET_BUFFER).is_err() {
            sockopt::set_socket_send_buffer_size(&inner, SOCKET_BUFFER)
                .map_err(|e| failed("SO_SNDBUF")(e.into()))?;
        }
        if sockopt::set_socket_recv_buffer_size_force(&inner, SOCKET_BUFFER).is_err() {
            sockopt::set_socket_recv_buffer_size(&inner, SOCKET_BUFFER)
                .map_err(|e| failed("SO_RCVBUF")(e.into()))?;
        }
        let send =
            sockopt::socket_send_buffer_size(&inner).map_err(|e| failed("SO_SNDBUF")(e.into()))?;
        let receive =
            sockopt::socket_recv_buffer_size(&inner).map_err(|e| failed("SO_RCVBUF")(e.into()))?;
        // A datagram may fill the send buffer up to 32 bytes (netlink_sendmsg).
        let send_room = send.saturating_sub(32);
        Ok(Self {
            inner,
            family,
            capped,
            broken: false,
            sequence: 1,
            send_room,
            send_bytes: SEND_BYTES.min(send_room),
            // Even if every message of a piece fails, all the answers fit.
            send_messages: (receive / ANSWER_COST).max(1),
            inbox: Inbox::new(),
        })
    }

    /// Limits the number of messages per `sendmsg`, for measuring the benefit of batching.
    pub fn limit_piece(&mut self, messages: usize) {
        self.send_messages = messages.max(1);
    }

    /// Limits the bytes that go in one `sendmsg`, up to what the socket's buffer takes; a longer
    /// message goes alone. For measuring too.
    pub fn limit_piece_bytes(&mut self, bytes: usize) {
        self.send_bytes = bytes.min(self.send_room);
    }

    /// Sends all messages of `batch` in as few system calls as fit the socket's buffers. Every
    /// message is tried; one that the kernel refuses does not stop the others.
    ///
    /// # Errors
    /// Only when the transport itself fails: then it is unknown what was done. A refused message is
    /// in the [`Report`].
    pub fn apply(&mut self, batch: &mut Batch) -> Result<Report, Error> {
        self.unbroken(|socket| {
            let mut report = Report::default();
            let mut next = 0;
            while next < batch.len() {
                let end = socket.piece_end(batch, next);
                next = socket.apply_piece(batch, next..end, &mut report)?;
            }
            Ok(report)
        })
    }

    /// Runs an exchange, on a new socket if the transport failed before.
    fn unbroken<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.broken {
            let again = Self::open_with(self.family, self.capped)?;
            *self = Self {
                sequence: self.sequence,
                send_bytes: self.send_bytes,
                send_messages: self.send_messages,
                ..again
            };
        }
        let outcome = work(self);
        self.broken = outcome.as_ref().is_err_and(Error::is_of_transport);
        outcome
    }

    /// Sends an nfnetlink transaction: all messages of `batch` in one piece, of which the first and
    /// the last begin and end the transaction. The kernel executes all of them or none.
    ///
    /// # Errors
    /// The transport's, or [`Error::Refused`] with the first refusal.
    pub fn transact(&mut self, batch: &mut Batch) -> Result<(), Error> {
        self.unbroken(|socket| socket.transact_now(batch))
    }

    fn transact_now(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let sequence = self.number(batch.len());
        for (number, index) in (sequence..).zip(0..batch.len()) {
            // Before Linux 6.10 the begin and end messages are not acknowledged, so each message
            // requests an acknowledgement.
            batch.stamp(index..index + 1, number, NLM_F_ACK);
        }
        self.send(batch.as_bytes(), batch.len())?;
        let mut answered = false;
        // The kernel answers before the call that sends returns.
        while let Some(place) = self.inbox.receive(&self.inner)? {
            for answer in Messages::new(self.inbox.datagram(place)) {
                let answer = answer?;
                let index = answer.sequence_number().wrapping_sub(sequence) as usize;
                if answer.message_type() != NLMSG_ERROR || index >= batch.len() {
                    continue;
                }
                if let Some(refusal) = refusal(&answer)? {
                    return Err(Error::Refused(refusal));
                }
                answered = true;
            }
        }
        if answered { Ok(()) } else { Err(Error::NoAnswer("transaction")) }
    }

    /// Sends a batch of one request that the kernel answers with messages, and shows each to
    /// `visit` as (`nlmsg_type`, payload).
    ///
    /// # Errors
    /// The transport's, `visit`'s, or [`Error::Refused`].
    pub fn request(
        &mut self,
        batch: &mut Batch,
        visit: impl FnMut(u16, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.unbroken(|socket| socket.exchange(batch, NLM_F_ACK, "request", visit)).map(drop)
    }

    /// Sends a batch of one dump request and shows each message of the answer to `visit` as
    /// (what was found so far, `nlmsg_type`, payload). When the kernel says that the table changed
    /// while it was read, what was found is dropped and the table read again.
    ///
    /// # Errors
    /// The transport's, `visit`'s, [`Error::Refused`], or [`Error::Interrupted`] after ten attempts.
    pub fn dump<T: Default>(
        &mut self,
        batch: &mut Batch,
        visit: impl FnMut(&mut T, u16, &[u8]) -> Result<(), Error>,
    ) -> Result<T, Error> {
        let mut found = T::default();
        self.dump_into(batch, &mut found, |found| *found = T::default(), visit)?;
        Ok(found)
    }

    /// [`Socket::dump`] into the caller's memory; `clear` is called before each attempt.
    ///
    /// # Errors
    /// As [`Socket::dump`]; what was found until then is left in `found`.
    pub fn dump_into<T>(
        &mut self,
        batch: &mut Batch,
        found: &mut T,
        clear: impl Fn(&mut T),
        mut visit: impl FnMut(&mut T, u16, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for _ in 0..DUMP_ATTEMPTS {
            clear(found);
            let interrupted = self.unbroken(|socket| {
                socket.exchange(batch, 0, "dump", |kind, payload| visit(found, kind, payload))
            })?;
            if !interrupted {
                return Ok(());
            }
        }
        Err(Error::Interrupted(DUMP_ATTEMPTS))
    }

    fn piece_end(&self, batch: &Batch, first: usize) -> usize {
        let mut end = first + 1;
        while end < batch.len()
            && end - first < self.send_messages
            && batch.start(end + 1) - batch.start(first) <= self.send_bytes
        {
            end += 1;
        }
        end
    }

    /// Sends a piece, halving it while the kernel has no memory for it; returns where it ended.
    fn apply_piece(
        &mut self,
        batch: &mut Batch,
        mut piece: Range<usize>,
        report: &mut Report,
    ) -> Result<usize, Error> {
        loop {
            let sequence = self.number(piece.len());
            batch.stamp(piece.clone(), sequence, NLM_F_ACK);
            let bytes = &batch.as_bytes()[batch.start(piece.start)..batch.start(piece.end)];
            match self.send(bytes, piece.len()) {
                Ok(()) => {
                    report.sends += 1;
                    report.messages += piece.len();
                    report.bytes += bytes.len();
                    self.collect(sequence, piece.clone(), report)?;
                    return Ok(piece.end);
                }
                Err(error) if piece.len() > 1 && error.errno().is_some_and(Errno::is_transient) => {
                    piece.end = piece.start + piece.len() / 2;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the answers to a piece until its last message is acknowledged.
    fn collect(
        &mut self,
        sequence: u32,
        piece: Range<usize>,
        report: &mut Report,
    ) -> Result<(), Error> {
        let mut overflowed = false;
        let mut acknowledged = false;
        let refused_before = report.failures.len();
        while !acknowledged {
            let place = match self.inbox.receive(&self.inner) {
                Ok(Some(place)) => place,
                Ok(None) if overflowed => break,
                Ok(None) => return Err(Error::NoAnswer("batch")),
                Err(error) if error.errno() == Some(Errno(libc::ENOBUFS)) => {
                    overflowed = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for answer in Messages::new(self.inbox.datagram(place)) {
                let answer = answer?;
                let index = answer.sequence_number().wrapping_sub(sequence) as usize;
                if answer.message_type() != NLMSG_ERROR || index >= piece.len() {
                    // A late answer to an earlier, abandoned exchange.
                    continue;
                }
                acknowledged |= index + 1 == piece.len();
                if let Some(refusal) = refusal(&answer)? {
                    report.failures.push(Failure { index: piece.start + index, refusal });
                }
            }
        }
        if overflowed && report.failures.len() - refused_before < piece.len() {
            report.unconfirmed.push(piece);
        }
        Ok(())
    }

    /// One request and all that comes back; whether the kernel marked it as interrupted.
    fn exchange(
        &mut self,
        batch: &mut Batch,
        ack: u16,
        what: &'static str,
        mut visit: impl FnMut(u16, &[u8]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        debug_assert_eq!(batch.len(), 1, "a {what} is one message");
        let sequence = self.number(1);
        batch.stamp(0..1, sequence, ack);
        self.send(batch.as_bytes(), 1)?;
        let mut interrupted = false;
        loop {
            let Some(place) = self.inbox.receive(&self.inner)? else {
                return Err(Error::NoAnswer(what));
            };
            for answer in Messages::new(self.inbox.datagram(place)) {
                let answer = answer?;
                if answer.sequence_number() != sequence {
                    continue;
                }
                interrupted |= answer.flags() & NLM_F_DUMP_INTR != 0;
                match answer.message_type() {
                    NLMSG_ERROR => {
                        return refusal(&answer)?
                            .map_or(Ok(interrupted), |refusal| Err(Error::Refused(refusal)));
                    }
                    NLMSG_DONE => {
                        let code = parse_i32(answer.payload().get(..4).unwrap_or(&[0; 4]))
                            .map_err(Error::malformed("end of dump"))?;
                        return if code < 0 {
                            Err(Error::Refused(Refusal {
                                errno: Errno(-code),
                                text: None,
                                echo: Box::default(),
                            }))
                        } else {
                            Ok(interrupted)
                        };
                    }
                    NLMSG_NOOP => {}
                    kind => visit(kind, answer.payload())?,
                }
            }
        }
    }

    fn number(&mut self, messages: usize) -> u32 {
        let first = self.sequence;
        self.sequence = first.wrapping_add(u32::try_from(messages).unwrap_or(u32::MAX));
        first
    }

    fn send(&self, bytes: &[u8], messages: usize) -> Result<(), Error> {
        let failed = |source| Error::Send { messages, bytes: bytes.len(), source };
        loop {
            match self.inner.send(bytes, 0) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                // A datagram goes whole or not at all; anything else is a broken kernel.
                Ok(_) => return Err(failed(io::ErrorKind::WriteZero.into())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RTM_NEWLINK`, `RTM_GETLINK` (include/uapi/linux/rtnetlink.h); reading links needs no
    /// capability and the loopback device is number 1 in every network namespace.
    const NEW_LINK: u16 = 16;
    const GET_LINK: u16 = 18;
    const LOOPBACK: i32 = 1;

    fn get_link(batch: &mut Batch, index: i32) {
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        batch.message(GET_LINK, crate::flags::REQUEST).put(&header);
    }

    #[test]
    fn failures_are_matched_to_their_message_in_every_piece() {
        for piece in [1, 7, 1000] {
            let mut socket = Socket::open(Family::Route).unwrap();
            socket.limit_piece(piece);
            let mut batch = Batch::new();
            for number in 0..300 {
                get_link(&mut batch, if number % 3 == 0 { 0x7fff_0000 } else { LOOPBACK });
            }
            let report = socket.apply(&mut batch).unwrap();
            assert_eq!((report.messages, report.bytes), (300, 300 * 32));
            assert_eq!(report.sends, 300usize.div_ceil(piece));
            let failed: Vec<_> = report.failures.iter().map(|failure| failure.index).collect();
            assert_eq!(failed, (0..300).step_by(3).collect::<Vec<_>>());
            assert!(report.failures.iter().all(|f| f.refusal.errno.is_not_found()));
            assert!(report.unconfirmed.is_empty());
        }
    }

    #[test]
    fn answers_that_did_not_fit_are_reported_as_unconfirmed() {
        let mut socket = Socket::open(Family::Route).unwrap();
        sockopt::set_socket_recv_buffer_size(&socket.inner, 4096).unwrap();
        let mut batch = Batch::new();
        for _ in 0..500 {
            get_link(&mut batch, 0x7fff_0000);
        }
        let report = socket.apply(&mut batch).unwrap();
        assert!(report.failures.len() < 500);
        assert!(report.is_unconfirmed(499));
        // The socket is usable again.
        batch.clear();
        get_link(&mut batch, LOOPBACK);
        assert!(socket.apply(&mut batch).unwrap().is_success());
    }

    #[test]
    fn a_request_shows_its_answer_and_a_refusal_is_an_error() {
        let mut socket = Socket::open(Family::Route).unwrap();
        let mut batch = Batch::new();
        get_link(&mut batch, LOOPBACK);
        let mut kinds = Vec::new();
        socket
            .request(&mut batch, |kind, _| {
                kinds.push(kind);
                Ok(())
            })
            .unwrap();
        assert_eq!(kinds, [NEW_LINK]);
        batch.clear();
        get_link(&mut batch, 0x7fff_0000);
        assert!(socket.request(&mut batch, |_, _| Ok(())).unwrap_err().is_not_found());
    }

    #[test]
    fn a_socket_that_broke_is_opened_again_at_its_next_use() {
        let mut socket = Socket::open(Family::Route).unwrap();
        let mut batch = Batch::new();
        get_link(&mut batch, LOOPBACK);
        socket.request(&mut batch, |_, _| Ok(())).unwrap();
        // Nobody listens to this one (NETLINK_USERSOCK, include/uapi/linux/netlink.h).
        socket.inner = netlink_sys::Socket::new(2).unwrap();
        socket.inner.connect(&netlink_sys::SocketAddr::new(0, 0)).unwrap();
        let error = socket.request(&mut batch, |_, _| Ok(())).unwrap_err();
        assert_eq!(error.errno(), Some(Errno(libc::ECONNREFUSED)));
        socket.request(&mut batch, |_, _| Ok(())).unwrap();
        assert!(socket.apply(&mut batch).unwrap().is_success());
    }

    #[test]
    fn a_dump_shows_every_message() {
        let mut socket = Socket::open(Family::Route).unwrap();
        let mut batch = Batch::new();
        batch.message(GET_LINK, crate::flags::REQUEST | crate::flags::DUMP).put(&[0; 16]);
        let links: Vec<i32> = socket
            .dump(&mut batch, |links: &mut Vec<i32>, kind, payload| {
                assert_eq!(kind, NEW_LINK);
                links.push(parse_i32(&payload[4..8]).map_err(Error::malformed("link"))?);
                Ok(())
            })
            .unwrap();
        assert!(links.contains(&LOOPBACK));
    }
}
