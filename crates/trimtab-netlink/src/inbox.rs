//! Receives datagrams, several per system call.

use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use crate::Error;

/// Room for one datagram. The kernel fills at most 32 KiB of a reader's buffer with a dump
/// (netlink_dump, net/netlink/af_netlink.c), or one message if that is longer.
pub(crate) const DATAGRAM_BYTES: usize = 128 << 10;
/// Datagrams per system call. A dump of a small table is two, the messages and the end: the kernel
/// makes the second when the first is read.
const VECTOR_LENGTH: libc::c_uint = 2;
const DATAGRAMS: usize = VECTOR_LENGTH as usize;

/// Datagrams that have been received but not processed yet.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    lengths: [usize; DATAGRAMS],
    next: usize,
    filled: usize,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; DATAGRAMS * DATAGRAM_BYTES],
            lengths: [0; DATAGRAMS],
            next: 0,
            filled: 0,
        }
    }

    /// The bytes at `place`, as [`Inbox::receive`] gave it.
    pub(crate) fn datagram(&self, place: Range<usize>) -> &[u8] {
        &self.bytes[place]
    }

    /// Where the next datagram is; `None` if the socket has none.
    pub(crate) fn receive(&mut self, socket: &impl AsRawFd) -> Result<Option<Range<usize>>, Error> {
        if self.next == self.filled {
            (self.next, self.filled) = (0, 0);
            self.filled = loop {
                match fill(socket, &mut self.bytes, &mut self.lengths) {
                    Ok(filled) => break filled,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                    Err(error) => return Err(Error::Receive(error)),
                }
            };
        }
        let (start, length) = (self.next * DATAGRAM_BYTES, self.lengths[self.next]);
        self.next += 1;
        if length > DATAGRAM_BYTES {
            return Err(Error::TooLong(length));
        }
        Ok(Some(start..start + length))
    }
}

/// `recvmmsg`, which neither std, rustix nor netlink-sys offers: reads what is there into places of
/// [`DATAGRAM_BYTES`] and notes each datagram's own length. The number read.
#[expect(unsafe_code, reason = "a system call without a safe wrapper in the crates in use")]
fn fill(socket: &impl AsRawFd, bytes: &mut [u8], lengths: &mut [usize]) -> io::Result<usize> {
    let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; DATAGRAMS];
    // SAFETY: mmsghdr is a plain C structure for which all zeroes are valid: no address, no
    // control data, no vectors.
    let mut headers: [libc::mmsghdr; DATAGRAMS] = unsafe { std::mem::zeroed() };
    for ((header, vector), place) in
        headers.iter_mut().zip(&mut vectors).zip(bytes.chunks_exact_mut(DATAGRAM_BYTES))
    {
        *vector = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: place.len() };
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: there are DATAGRAMS headers, each with one vector that points to a chunk of `bytes`
    // of the vector's length; headers, vectors and bytes outlive the call, which keeps none of
    // them, and a null timeout is allowed.
    let filled = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            VECTOR_LENGTH,
            // Signed with glibc, unsigned with musl.
            (libc::MSG_DONTWAIT | libc::MSG_TRUNC) as _,
            std::ptr::null_mut(),
        )
    };
    // Negative, and only then, for an error.
    let filled = usize::try_from(filled).map_err(|_| io::Error::last_os_error())?;
    for (length, header) in lengths.iter_mut().zip(&headers[..filled]) {
        *length = header.msg_len as usize;
    }
    Ok(filled)
}
