//! Protobuf's wire format: the fields of a message, read where they lie.

use prost::encoding::decode_varint;

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes, little-endian.
    Fixed64(u64),
    /// Four bytes, little-endian.
    Fixed32(u32),
    /// Text, bytes, or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message in order. Ends at the first that is malformed, or of a kind that OTLP
/// never had (groups).
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// After the last field: whether the message ended there.
    pub(crate) fn is_complete(&self) -> bool {
        self.rest.is_empty()
    }

    /// A field, and what comes after it.
    #[expect(
        clippy::inline_always,
        reason = "a walk over a request is three times as fast as with calls"
    )]
    #[inline(always)]
    fn split(bytes: &'a [u8]) -> Option<((u32, Wire<'a>), &'a [u8])> {
        let (key, rest) = varint(bytes)?;
        // Numbers have 29 bits.
        let key = u32::try_from(key).ok()?;
        let number = key >> 3;
        if number == 0 {
            return None;
        }
        let (value, rest) = match key & 7 {
            0 => {
                let (value, rest) = varint(rest)?;
                (Wire::Varint(value), rest)
            }
            1 => {
                let (value, rest) = rest.split_first_chunk()?;
                (Wire::Fixed64(u64::from_le_bytes(*value)), rest)
            }
            2 => {
                let (length, rest) = varint(rest)?;
                let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Wire::Bytes(value), rest)
            }
            5 => {
                let (value, rest) = rest.split_first_chunk()?;
                (Wire::Fixed32(u32::from_le_bytes(*value)), rest)
            }
            _ => return None,
        };
        Some(((number, value), rest))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Wire<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (field, rest) = Self::split(self.rest)?;
        self.rest = rest;
        Some(field)
    }
}

/// Key and value of an attribute that is written as nearly all are: both once, in order, shorter than
/// 128 bytes, and nothing else. `None` for any other, which is read field by field.
#[inline]
pub(crate) fn short_attribute(message: &[u8]) -> Option<(&[u8], &[u8])> {
    const KEY: u8 = 1 << 3 | 2;
    const VALUE: u8 = 2 << 3 | 2;
    let (key, rest) = short_field(message, KEY)?;
    let (value, rest) = short_field(rest, VALUE)?;
    rest.is_empty().then_some((key, value))
}

/// The text of a value that is nothing but a text shorter than 128 bytes.
#[inline]
pub(crate) fn short_text(value: &[u8]) -> Option<&[u8]> {
    const STRING_VALUE: u8 = 1 << 3 | 2;
    let (text, rest) = short_field(value, STRING_VALUE)?;
    rest.is_empty().then_some(text)
}

/// The content of the first field, if it begins with this key and is short, and what comes after it.
#[inline]
fn short_field(bytes: &[u8], key: u8) -> Option<(&[u8], &[u8])> {
    let ([first, length], rest) = bytes.split_first_chunk()?;
    if *first != key || *length >= 0x80 {
        return None;
    }
    rest.split_at_checked(usize::from(*length))
}

#[inline]
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    // Nearly all are keys, lengths and small numbers of one byte.
    let (first, rest) = bytes.split_first()?;
    if *first < 0x80 {
        return Some((u64::from(*first), rest));
    }
    long_varint(bytes)
}

#[inline(never)]
fn long_varint(mut bytes: &[u8]) -> Option<(u64, &[u8])> {
    let value = decode_varint(&mut bytes).ok()?;
    Some((value, bytes))
}

/// A number as protobuf's 32-bit types take it: without what does not fit.
pub(crate) fn low_u32(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order() {
        let bytes = [
            0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0,
        ];
        let mut fields = Fields::of(&bytes);
        let all: Vec<_> = fields.by_ref().collect();
        assert_eq!(
            all,
            [
                (1, Wire::Varint(150)),
                (2, Wire::Bytes(b"hi")),
                (3, Wire::Fixed32(1)),
                (4, Wire::Fixed64(2)),
            ]
        );
        assert!(fields.is_complete());
    }

    #[test]
    fn short_attributes_are_those_that_are_written_plainly() {
        let attribute = [0x0a, 1, b'k', 0x12, 4, 0x0a, 2, b'h', b'i'];
        let (key, value) = short_attribute(&attribute).unwrap();
        assert_eq!(key, b"k");
        assert_eq!(short_text(value), Some(&b"hi"[..]));
        assert_eq!(short_text(&[0x18, 2]), None);
        assert_eq!(short_text(&[0x0a, 1, b'a', 0x18, 2]), None);
        for at in 0..attribute.len() {
            assert_eq!(short_attribute(&attribute[..at]), None);
        }
        let others: [&[u8]; 3] = [
            &[0x0a, 1, b'k', 0x12, 0, 0x18, 1],          // more to come
            &[0x12, 0, 0x0a, 1, b'k'],                   // another order
            &[0x0a, 0x81, 0x00, b'k', 0x12, 2, 0x0a, 0], // a long length
        ];
        for other in others {
            assert_eq!(short_attribute(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_malformed_ends_the_message() {
        let long = [
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
        ];
        let malformed: [&[u8]; 8] = [
            &[0x08],             // no value
            &[0x12, 3, b'h'],    // too short
            &[0x00, 0x00],       // field number 0
            &[0x0b],             // a group
            &[0x0e, 0],          // no wire type
            &[0x1d, 1, 2],       // three of four bytes
            &[0x21, 1, 2, 3, 4], // four of eight
            &long,
        ];
        for bytes in malformed {
            let mut fields = Fields::of(bytes);
            assert_eq!(fields.next(), None, "{bytes:?}");
            assert!(!fields.is_complete());
        }
        assert!(Fields::of(&[]).is_complete());
        let longest = [
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ];
        assert_eq!(
            Fields::of(&longest).next(),
            Some((1, Wire::Varint(u64::MAX)))
        );
    }
}
