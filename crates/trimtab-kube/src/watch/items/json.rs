//! The items of a list in JSON.

use super::super::buffer::LONGEST;
use crate::failure::Failure;

/// A list in JSON, as far as it has arrived. Only the structure is read here: strings, brackets and
/// braces. What is between them is checked where items are decoded.
#[derive(Debug, Default)]
pub(in crate::watch) struct JsonItems {
    /// The part of the current piece, and of the item under way, that has not been returned.
    buffer: Vec<u8>,
    /// Where the search for the end of the item continues.
    searched: usize,
    /// Everything outside of the items.
    rest: Vec<u8>,
    /// Where the item under way begins.
    item: Option<usize>,
    /// Whether what comes now is between items.
    is_among: bool,
    depth: u32,
    is_in_string: bool,
    is_escaped: bool,
}

impl JsonItems {
    /// One more piece. The items of the piece before must have been taken.
    ///
    /// # Errors
    /// [`Failure::TooLong`] if an item does not end.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let kept = self.item.unwrap_or(self.searched);
        self.buffer.drain(..kept);
        self.searched -= kept;
        self.item = self.item.map(|_| 0);
        if self.buffer.len().max(self.rest.len()) + piece.len() > LONGEST {
            return Err(Failure::TooLong(LONGEST));
        }
        self.buffer.extend_from_slice(piece);
        Ok(())
    }

    /// The next whole item.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        while let Some(byte) = self.buffer.get(self.searched).copied() {
            self.searched += 1;
            if self.item.is_none() {
                self.take_outside(byte);
            } else if self.ends_value(byte) && self.depth == 2 {
                let start = self.item.take()?;
                return Some(&self.buffer[start..self.searched]);
            }
        }
        None
    }

    /// Everything outside of the items, once the list has ended: an object with an empty list of
    /// items.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest
    }

    fn take_outside(&mut self, byte: u8) {
        if self.is_among && self.depth == 2 && !self.is_in_string {
            if byte == b'{' {
                self.item = Some(self.searched - 1);
                self.depth += 1;
                return;
            }
            if byte == b',' || byte.is_ascii_whitespace() {
                return;
            }
        }
        if byte == b'[' && self.depth == 1 && !self.is_in_string && self.is_at_items() {
            self.is_among = true;
        }
        self.rest.push(byte);
        if self.ends_value(byte) && self.depth == 1 {
            self.is_among = false;
        }
    }

    /// Follows strings and nesting; returns whether the byte closes a list or an object.
    fn ends_value(&mut self, byte: u8) -> bool {
        if self.is_in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.is_in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return true;
            }
            _ => {}
        }
        false
    }

    /// Whether what was read last is the key `items`.
    fn is_at_items(&self) -> bool {
        let key = self.rest.trim_ascii_end().strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        key.is_some_and(|text| {
            let before = text.strip_suffix(b"\"items\"").map(<[u8]>::trim_ascii_end);
            before.is_some_and(|before| matches!(before.last(), Some(b'{' | b',')))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, size: usize) -> (Vec<String>, String) {
        let mut items = JsonItems::default();
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            items.push(piece).unwrap();
            while let Some(item) = items.next() {
                found.push(String::from_utf8(item.to_vec()).unwrap());
            }
        }
        (found, String::from_utf8(items.rest().to_vec()).unwrap())
    }

    #[test]
    fn a_list_is_split_alike_however_it_is_cut() {
        let first = r#"{"a":"}\"]","items":[{"b":[1]}]}"#;
        let text = format!(
            r#"{{"kind":"L","metadata":{{"items":[7],"continue":"x"}}, "items" : [{first}, {{}} ,{{"c":"\\"}}],"after":1}}"#
        );
        let wanted = vec![first.to_owned(), "{}".to_owned(), r#"{"c":"\\"}"#.to_owned()];
        for size in 1..text.len() {
            let (items, rest) = split(&text, size);
            assert_eq!(items, wanted, "in pieces of {size}");
            assert_eq!(
                rest,
                r#"{"kind":"L","metadata":{"items":[7],"continue":"x"}, "items" : [],"after":1}"#
            );
        }
    }

    #[test]
    fn a_list_without_items_is_all_rest() {
        for text in [r#"{"items":null}"#, r#"{"items":[]}"#, "{}", "", "nonsense", "]]}}[{"] {
            assert_eq!(split(text, 3), (vec![], text.to_owned()));
        }
    }

    #[test]
    fn items_that_are_no_objects_stay_in_the_rest_where_they_are_found() {
        let (items, rest) = split(r#"{"items":[7,"x",[{}],{"a":1}]}"#, 100);
        assert_eq!(items, [r#"{"a":1}"#]);
        assert_ne!(rest, r#"{"items":[]}"#);
    }

    #[test]
    fn an_item_without_end_is_an_error_and_not_all_of_memory() {
        let mut items = JsonItems::default();
        items.push(br#"{"items":[{"#).unwrap();
        let piece = vec![b'x'; LONGEST / 4];
        let mut pushed = 0;
        while items.push(&piece).is_ok() {
            assert!(items.next().is_none());
            pushed += 1;
        }
        assert_eq!(pushed, 3);
    }
}
