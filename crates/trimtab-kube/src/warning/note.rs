//! Joins findings into one text that fits an Event.

use std::fmt::Write as _;

/// The longest `note` of an Event, in bytes (Kubernetes' pkg/apis/core/validation/events.go).
const LONGEST: usize = 1024;
/// Room for the number of messages left out.
const MORE: usize = 32;

/// Joins as many messages as fit, and appends how many are left out.
pub(super) fn note<'a>(messages: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let mut left_out = 0;
    for message in messages {
        let separator = if text.is_empty() { "" } else { "; " };
        if left_out == 0 && text.len() + separator.len() + message.len() <= LONGEST - MORE {
            text.push_str(separator);
            text.push_str(message);
        } else if text.is_empty() {
            text.push_str(cut(message, LONGEST - MORE));
            text.push('…');
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        // Writing to a string cannot fail.
        let _ = write!(text, "; and {left_out} more");
    }
    text
}

/// The beginning of a text, at most `longest` bytes, cut between characters.
pub(super) fn cut(text: &str, longest: usize) -> &str {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_messages_are_joined() {
        assert_eq!(note(["a", "b"]), "a; b");
        assert_eq!(note(["a"]), "a");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let long = "x".repeat(400);
        let text = note([&*long, &*long, &*long, "short"]);
        assert!(text.ends_with("x; and 2 more"), "{text}");
        assert!(text.len() <= LONGEST);
    }

    #[test]
    fn one_message_too_long_is_cut_between_characters() {
        let text = note([&*"ü".repeat(3000), "b"]);
        assert!(text.len() <= LONGEST);
        assert!(text.starts_with("üü") && text.ends_with("…; and 1 more"), "{text}");
    }
}
