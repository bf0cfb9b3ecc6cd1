//! Requests and answers, of fixed and equal length, so that neither side has to search for the end.

/// Bytes of a request, and of an answer.
pub const LENGTH: usize = 32;

/// A request or an answer.
pub type Message = [u8; LENGTH];

/// What every client asks.
pub const REQUEST: Message = *b"who is it that answers to this?\n";

/// The answer of the pod of this name, which is cut if it is too long.
pub fn answer(name: &str) -> Message {
    let mut message = [b' '; LENGTH];
    let length = name.len().min(LENGTH - 1);
    message[..length].copy_from_slice(&name.as_bytes()[..length]);
    message[LENGTH - 1] = b'\n';
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_by_their_answers() {
        assert_eq!(&answer("node1-pod2"), b"node1-pod2                     \n");
        assert_ne!(answer("node1-pod1"), answer("node1-pod11"));
        assert_eq!(answer(&"x".repeat(99))[LENGTH - 1], b'\n');
    }
}
