//! Fields of messages (<https://protobuf.dev/programming-guides/encoding/>).

/// Bytes that are not the message that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes end within a field.
    #[error("protobuf: a field goes on past the end of its message")]
    Short,
    /// A variable-length number of more than 64 bits.
    #[error("protobuf: a number has more than 64 bits")]
    LongNumber,
    /// A field has a wire type that proto3 does not have, or the number 0.
    #[error("protobuf: {0:#x} is not the beginning of a field")]
    Tag(u64),
    /// A field has another type than Kubernetes gives it.
    #[error("protobuf: a field has another type than it should")]
    Type,
    /// A text is not UTF-8.
    #[error("protobuf: a text is not UTF-8")]
    Text,
    /// The bytes do not begin as Kubernetes marks them.
    #[error("protobuf: the message does not begin with the bytes k8s\\0")]
    Magic,
    /// The object is compressed, or encoded in some other way.
    #[error("protobuf: the object has an encoding of its own")]
    Encoded,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number or a truth value.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
    /// Four or eight bytes, which no field that is used here has.
    Fixed,
}

impl<'a> Value<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) | Self::Fixed => Err(Malformed::Type),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed::Text)
    }

    /// A text; an empty one is one that is not set, for Go has no other.
    pub(crate) fn set_text(self) -> Result<Option<&'a str>, Malformed> {
        Ok(Some(self.text()?).filter(|text| !text.is_empty()))
    }

    /// An int32 or int64.
    pub(crate) fn integer(self) -> Result<i64, Malformed> {
        match self {
            Self::Number(number) => Ok(number.cast_signed()),
            Self::Bytes(_) | Self::Fixed => Err(Malformed::Type),
        }
    }

    pub(crate) fn truth(self) -> Result<bool, Malformed> {
        Ok(self.integer()? != 0)
    }

    pub(crate) fn message<M: Message<'a>>(self) -> Result<M, Malformed> {
        M::decode(self.bytes()?)
    }
}

/// A message of which some fields are used.
pub(crate) trait Message<'a>: Default {
    /// Takes a field; those that are not used are ignored.
    ///
    /// # Errors
    /// The field is not what it should be.
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed>;

    /// Decodes a whole message.
    ///
    /// # Errors
    /// The bytes are not such a message.
    fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut message = Self::default();
        for field in Fields(bytes) {
            let (number, value) = field?;
            message.take(number, value)?;
        }
        Ok(message)
    }
}

/// The fields of a message, by their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// A variable-length number at the beginning, which is taken off.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        // Nearly all tags and lengths are one byte.
        if let [byte @ 0..=0x7f, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok((*byte).into());
        }
        self.long_number()
    }

    fn long_number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (place, byte) in self.0.iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has the 64th bit.
            if place == 9 && bits > 1 || place > 9 {
                return Err(Malformed::LongNumber);
            }
            number |= bits << (7 * place);
            if byte & 0x80 == 0 {
                self.0 = &self.0[place + 1..];
                return Ok(number);
            }
        }
        Err(Malformed::Short)
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed::Short)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.number()?;
        let value = match tag & 7 {
            _ if tag >> 3 == 0 => return Err(Malformed::Tag(tag)),
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.number()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed::Tag(tag)),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Malformed> {
        Fields(bytes).collect()
    }

    #[test]
    fn fields_of_every_type_are_read() {
        let bytes = b"\x08\x96\x01\x12\x02hi\x19\0\0\0\0\0\0\0\0\x25\0\0\0\0\xaa\x01\0";
        assert_eq!(
            fields(bytes).unwrap(),
            [
                (1, Value::Number(150)),
                (2, Value::Bytes(b"hi")),
                (3, Value::Fixed),
                (4, Value::Fixed),
                (21, Value::Bytes(b"")),
            ]
        );
        let minus_one = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(fields(minus_one).unwrap()[0].1.integer(), Ok(-1));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, why) in [
            (&b"\x12\x03hi"[..], Malformed::Short),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Malformed::Short),
            (b"\x08", Malformed::Short),
            (b"\x08\x80", Malformed::Short),
            (b"\x19\0\0", Malformed::Short),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", Malformed::LongNumber),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Malformed::LongNumber),
            (b"\x0b", Malformed::Tag(11)),
            (b"\x02\x01a", Malformed::Tag(2)),
        ] {
            assert_eq!(fields(bytes), Err(why), "{bytes:?}");
        }
        assert_eq!(Value::Bytes(b"\xff").text(), Err(Malformed::Text));
        assert_eq!(Value::Number(1).text(), Err(Malformed::Type));
        assert_eq!(Value::Bytes(b"").integer(), Err(Malformed::Type));
    }
}
