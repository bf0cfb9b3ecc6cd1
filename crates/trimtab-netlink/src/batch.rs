//! Encodes messages into one buffer.

use netlink_packet_core::Emitable;

/// Length of `struct nlmsghdr` (include/uapi/linux/netlink.h).
pub(crate) const HEADER: usize = 16;
/// `NLA_F_NESTED`, `NLA_F_NET_BYTEORDER` (include/uapi/linux/netlink.h).
const NESTED: u16 = 0x8000;
const NET_BYTEORDER: u16 = 0x4000;

/// Messages back to back, ready for one or a few `sendmsg` calls.
///
/// ```
/// # use trimtab_netlink::{Batch, flags};
/// let mut batch = Batch::new();
/// let mut message = batch.message(0x1c, flags::REQUEST);
/// message.put(&[1, 1, 0, 0]);
/// message.nested(1, |service| service.attribute_u32(8, 600));
/// drop(message);
/// assert_eq!((batch.len(), batch.as_bytes().len()), (1, 32));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a message of this `nlmsg_type` and these `nlmsg_flags`; it is complete when the
    /// builder is dropped. The socket sets sequence numbers and requests acknowledgements.
    pub fn message(&mut self, kind: u16, flags: u16) -> Builder<'_> {
        let start = self.bytes.len();
        self.starts.push(start);
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        Builder { bytes: &mut self.bytes, start }
    }

    /// How many messages it holds.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Empties it, keeping the memory for the next use.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    /// The bytes as they go to the kernel.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The payload of message `index`, after its `struct nlmsghdr`.
    pub fn payload(&self, index: usize) -> Option<&[u8]> {
        let start = *self.starts.get(index)?;
        self.bytes.get(start + HEADER..self.start(index + 1))
    }

    /// Gives every message this `nlmsg_type`: a generic-netlink family has a number only on the
    /// kernel that is to read it.
    pub fn set_kind(&mut self, kind: u16) {
        for start in &self.starts {
            self.bytes[start + 4..start + 6].copy_from_slice(&kind.to_ne_bytes());
        }
    }

    /// Where message `index` starts; for the index after the last message, where the last one ends.
    pub(crate) fn start(&self, index: usize) -> usize {
        self.starts.get(index).copied().unwrap_or(self.bytes.len())
    }

    /// Numbers messages `range` from `sequence` on and asks for an acknowledgement of the last.
    pub(crate) fn stamp(&mut self, range: std::ops::Range<usize>, sequence: u32, ack: u16) {
        for (number, index) in (sequence..).zip(range.clone()) {
            let at = self.starts[index];
            self.bytes[at + 8..at + 12].copy_from_slice(&number.to_ne_bytes());
            let mut flags = u16::from_ne_bytes([self.bytes[at + 6], self.bytes[at + 7]]);
            if index + 1 == range.end {
                flags |= ack;
            } else {
                flags &= !ack;
            }
            self.bytes[at + 6..at + 8].copy_from_slice(&flags.to_ne_bytes());
        }
    }
}

/// A message being written.
///
/// # Panics
/// The methods that append an attribute panic if it would be longer than 65,535 bytes with its
/// header of four: its length has 16 bits (`struct nlattr`). The caller splits what may be longer.
#[derive(Debug)]
pub struct Builder<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
}

impl Builder<'_> {
    /// Appends bytes as they are: a family's fixed header.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    /// Appends what a codec of the netlink-packet crates writes: a family's header, attributes.
    pub fn emit(&mut self, part: &impl Emitable) {
        let at = self.bytes.len();
        self.bytes.resize(at + part.buffer_len(), 0);
        part.emit(&mut self.bytes[at..]);
        self.pad();
    }

    /// Appends an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        let at = self.open(kind);
        self.bytes.extend_from_slice(value);
        self.close(at);
    }

    /// Appends an attribute of one byte.
    pub fn attribute_u8(&mut self, kind: u16, value: u8) {
        self.attribute(kind, &[value]);
    }

    /// Appends an attribute of two bytes in host order.
    pub fn attribute_u16(&mut self, kind: u16, value: u16) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// Appends an attribute of two bytes in network order, not marked as such.
    pub fn attribute_be16(&mut self, kind: u16, value: u16) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Appends an attribute of four bytes in host order.
    pub fn attribute_u32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_ne_bytes());
    }

    /// Appends an attribute of bytes in network order and marks it so (`NLA_F_NET_BYTEORDER`),
    /// which ipset requires.
    pub fn attribute_net(&mut self, kind: u16, value: &[u8]) {
        self.attribute(kind | NET_BYTEORDER, value);
    }

    /// Appends a text with its final NUL.
    pub fn attribute_text(&mut self, kind: u16, value: &str) {
        let at = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(at);
    }

    /// Appends an attribute that holds attributes.
    pub fn nested(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) {
        let at = self.open(kind | NESTED);
        inside(self);
        self.close(at);
    }

    /// Bytes written so far of this message, header included.
    pub fn size(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn open(&mut self, kind: u16) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        at
    }

    fn close(&mut self, at: usize) {
        let length = self.bytes.len() - at;
        // An attribute's length has 16 bits (struct nlattr); callers split what may be longer.
        let length = u16::try_from(length).expect("a netlink attribute holds at most 65531 bytes");
        self.bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.pad();
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

impl Drop for Builder<'_> {
    fn drop(&mut self) {
        // A batch of 4 GiB would have failed to allocate long before.
        let length = u32::try_from(self.bytes.len() - self.start).unwrap_or(u32::MAX);
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NetlinkBuffer, NlasIterator};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_numbered_and_only_the_last_asks_for_an_answer() {
        let mut batch = Batch::new();
        for _ in 0..3 {
            batch.message(20, crate::flags::REQUEST).put(&[7]);
        }
        batch.stamp(0..3, 100, crate::flags::ACK);
        for index in 0..3 {
            let bytes = &batch.as_bytes()[batch.start(index)..batch.start(index + 1)];
            let header = NetlinkBuffer::new_checked(bytes).unwrap();
            assert_eq!(header.sequence_number(), 100 + u32::try_from(index).unwrap());
            assert_eq!(header.flags() & crate::flags::ACK != 0, index == 2);
            assert_eq!(header.payload(), [7, 0, 0, 0]);
        }
        // If a piece ends earlier, another message requests the acknowledgement.
        batch.stamp(0..2, 200, crate::flags::ACK);
        let second = NetlinkBuffer::new_checked(&batch.as_bytes()[batch.start(1)..]).unwrap();
        assert_eq!(second.flags() & crate::flags::ACK, crate::flags::ACK);
    }

    #[test]
    fn a_codec_writes_the_same_bytes_as_the_builder() {
        let mut batch = Batch::new();
        batch.message(1, 0).emit(&netlink_packet_core::DefaultNla::new(7, vec![1, 2, 3, 4, 5]));
        let emitted = batch.as_bytes().to_vec();
        batch.clear();
        batch.message(1, 0).attribute(7, &[1, 2, 3, 4, 5]);
        assert_eq!(emitted, batch.as_bytes());
    }

    #[test]
    fn a_batch_built_for_no_family_takes_the_number_of_one() {
        let mut batch = Batch::new();
        for byte in 0..3 {
            batch.message(0, crate::flags::REQUEST).put(&[byte; 8]);
        }
        batch.set_kind(0x2b);
        for index in 0..3 {
            let message = NetlinkBuffer::new_checked(&batch.as_bytes()[batch.start(index)..]);
            assert_eq!(message.unwrap().message_type(), 0x2b);
            assert_eq!(batch.payload(index), Some(&[u8::try_from(index).unwrap(); 8][..]));
        }
        assert_eq!(batch.payload(3), None);
    }

    proptest! {
        #[test]
        fn attributes_read_back_as_written(
            values in prop::collection::vec(
                (1u16..0x3fff, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
        ) {
            let mut batch = Batch::new();
            {
                let mut message = batch.message(1, 0);
                message.nested(5, |inside| {
                    for (kind, value) in &values {
                        inside.attribute(*kind, value);
                    }
                });
            }
            let message = NetlinkBuffer::new_checked(batch.as_bytes()).unwrap();
            prop_assert_eq!(message.length() as usize, batch.as_bytes().len());
            let outer: Vec<_> = NlasIterator::new(message.payload()).map(Result::unwrap).collect();
            prop_assert_eq!(outer.len(), 1);
            prop_assert!(outer[0].nested_flag());
            let inner: Vec<_> = NlasIterator::new(outer[0].value())
                .map(|attribute| attribute.map(|a| (a.kind(), a.value().to_vec())).unwrap())
                .collect();
            prop_assert_eq!(inner, values);
        }
    }
}
