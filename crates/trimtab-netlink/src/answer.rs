//! The kernel's answers: the messages of a datagram, and the content of an error message.

use netlink_packet_core::{NetlinkBuffer, NlasIterator, parse_i32, parse_string};

use crate::batch::HEADER;
use crate::{Errno, Error, Refusal};

/// Flags of an error answer, `NLM_F_CAPPED`: the refused message is not echoed, and
/// `NLM_F_ACK_TLVS`: attributes follow (include/uapi/linux/netlink.h).
const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG` (include/uapi/linux/netlink.h).
const ATTR_MESSAGE: u16 = 1;

/// The messages of one datagram.
pub(crate) struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    pub(crate) const fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<NetlinkBuffer<&'a [u8]>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match NetlinkBuffer::new_checked(self.rest) {
            Ok(message) => {
                let length = (message.length() as usize).next_multiple_of(4);
                self.rest = self.rest.get(length..).unwrap_or(&[]);
                Some(Ok(message))
            }
            Err(source) => {
                self.rest = &[];
                Some(Err(Error::Malformed { what: "netlink message", source }))
            }
        }
    }
}

/// The content of an `NLMSG_ERROR`; `None` for an acknowledgement (`struct nlmsgerr`: the error
/// number, then the refused message's header, its payload unless capped, then attributes).
pub(crate) fn refusal(answer: &NetlinkBuffer<&[u8]>) -> Result<Option<Refusal>, Error> {
    let payload = answer.payload();
    let code = payload
        .get(..4)
        .map_or_else(|| parse_i32(payload), parse_i32)
        .map_err(Error::malformed("error answer"))?;
    if code == 0 {
        return Ok(None);
    }
    let rest = payload.get(4..).unwrap_or(&[]);
    let echoed = match rest
        .get(..4)
        .map(|length| u32::from_ne_bytes([length[0], length[1], length[2], length[3]]))
    {
        Some(length) if answer.flags() & CAPPED == 0 => length as usize,
        _ => HEADER,
    };
    let attributes = rest.get(echoed.next_multiple_of(4)..).unwrap_or(&[]);
    let mut text = None;
    if answer.flags() & ACK_TLVS != 0 {
        for attribute in NlasIterator::new(attributes) {
            let attribute = attribute.map_err(Error::malformed("error attribute"))?;
            if attribute.kind() == ATTR_MESSAGE {
                text = parse_string(attribute.value()).ok().map(String::into_boxed_str);
            }
        }
    }
    Ok(Some(Refusal {
        errno: Errno(code.saturating_neg()),
        text,
        echo: rest.get(HEADER..echoed).unwrap_or(&[]).into(),
    }))
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NLMSG_ERROR;
    use proptest::prelude::*;

    use super::*;

    /// `struct nlmsghdr` with the length of all that follows.
    fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + payload.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&flags.to_ne_bytes());
        message.resize(HEADER, 0);
        message.extend_from_slice(payload);
        message
    }

    #[test]
    fn a_refusal_has_the_echo_before_the_text() {
        let refused = message(0x1c, 1, &[1, 2, 3, 4]);
        let text = [&[9, 0, 1, 0][..], b"busy\0\0\0\0"].concat();
        let payload = [&(-16i32).to_ne_bytes()[..], &refused, &text].concat();
        let answer = message(NLMSG_ERROR, ACK_TLVS, &payload);
        let refusal = refusal(&NetlinkBuffer::new_checked(&answer[..]).unwrap()).unwrap().unwrap();
        assert_eq!(refusal.errno, Errno(16));
        assert_eq!(refusal.text.as_deref(), Some("busy"));
        assert_eq!(*refusal.echo, [1, 2, 3, 4]);
    }

    #[test]
    fn a_capped_refusal_has_the_text_behind_the_header() {
        let refused = message(0x1c, 1, &[0; 400]);
        let text = [&[9, 0, 1, 0][..], b"busy\0\0\0\0"].concat();
        let payload = [&(-16i32).to_ne_bytes()[..], &refused[..HEADER], &text].concat();
        let answer = message(NLMSG_ERROR, ACK_TLVS | CAPPED, &payload);
        let refusal = refusal(&NetlinkBuffer::new_checked(&answer[..]).unwrap()).unwrap().unwrap();
        assert_eq!((refusal.text.as_deref(), &*refusal.echo), (Some("busy"), &[][..]));
    }

    proptest! {
        #[test]
        fn no_datagram_makes_a_panic_or_an_endless_loop(
            head in prop::collection::vec(any::<u8>(), 0..40),
            flags in any::<u16>(),
            payload in prop::collection::vec(prop_oneof![any::<u8>(), 0..24u8], 0..120),
            tail in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let message = message(NLMSG_ERROR, flags, &payload);
            for datagram in [[&message[..], &tail].concat(), [&head[..], &message].concat()] {
                let mut count = 0;
                for answer in Messages::new(&datagram) {
                    let _ = answer.and_then(|answer| refusal(&answer));
                    count += 1;
                    prop_assert!(count <= datagram.len());
                }
            }
        }
    }
}
