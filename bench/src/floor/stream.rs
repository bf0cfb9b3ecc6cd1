//! A bare loop of `send` and `recv`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use netlink_packet_core::{NLM_F_ACK, NLMSG_ERROR, NetlinkBuffer};

/// Bytes for one netlink protocol, ready to send: the minimum for any program is to send them and
/// read the answers.
#[derive(Debug)]
pub struct Stream {
    protocol: isize,
    /// All messages.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub messages: usize,
    /// Where each piece ends, and the number of its last message.
    pub pieces: Vec<(usize, u32)>,
}

impl Stream {
    /// Splits after each message that requests an acknowledgement, where the transport has split.
    ///
    /// # Errors
    /// When the bytes are not whole messages.
    pub fn cut(protocol: isize, bytes: Vec<u8>) -> Result<Self> {
        let mut pieces = Vec::new();
        let (mut end, mut messages) = (0, 0);
        while end < bytes.len() {
            let message = NetlinkBuffer::new_checked(&bytes[end..]).context("our own message")?;
            end += message.length() as usize;
            messages += 1;
            if message.flags() & NLM_F_ACK != 0 {
                pieces.push((end, message.sequence_number()));
            }
        }
        Ok(Self { protocol, bytes, messages, pieces })
    }

    /// Sends all pieces, each after the answer to the previous one; returns how long that took.
    ///
    /// # Errors
    /// When the kernel refuses a message.
    pub fn send(&self) -> Result<Duration> {
        let mut socket = netlink_sys::Socket::new(self.protocol)?;
        socket.bind_auto()?;
        socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
        let mut buffer = vec![0; 8 << 10];
        let mut begin = 0;
        let start = Instant::now();
        for (end, last) in &self.pieces {
            let sent = socket.send(&self.bytes[begin..*end], 0)?;
            ensure!(sent == end - begin, "the kernel took {sent} bytes");
            begin = *end;
            loop {
                let mut room = &mut buffer[..];
                let length = socket.recv(&mut room, 0)?;
                let answer = NetlinkBuffer::new_checked(&buffer[..length])?;
                ensure!(answer.message_type() == NLMSG_ERROR, "unexpected answer");
                ensure!(answer.payload()[..4] == [0; 4], "the kernel refused a message");
                if answer.sequence_number() == *last {
                    break;
                }
            }
        }
        Ok(start.elapsed())
    }
}
