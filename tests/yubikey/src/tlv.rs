//! Tag, length and value, as cards write everything.

/// A tag of one byte, and what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is.
    pub tag: u8,
    /// What it says.
    pub value: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// Reads one from the front; gives it and the rest.
    pub fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[tag, length], rest) = bytes.split_first_chunk()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            0x81 => (usize::from(*rest.first()?), &rest[1..]),
            0x82 => {
                let (&length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(length)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        Some((Self { tag, value }, rest))
    }

    /// Reads them all; `None` if anything is left over.
    pub fn all(mut bytes: &'a [u8]) -> Option<Vec<Self>> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let (one, rest) = Self::first(bytes)?;
            all.push(one);
            bytes = rest;
        }
        Some(all)
    }

    /// The value of `tag` in `bytes`.
    pub fn find(bytes: &'a [u8], tag: u8) -> Option<&'a [u8]> {
        Self::all(bytes)?.into_iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }
}

/// Writes one.
pub fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    length(value.len(), &mut bytes);
    bytes.extend_from_slice(value);
    bytes
}

/// Writes a length, which DER writes the same way.
fn length(length: usize, to: &mut Vec<u8>) {
    let two = u16::try_from(length).expect("nothing on a card is that long");
    match two.to_be_bytes() {
        [0, short @ 0..=0x7f] => to.push(short),
        [0, one] => to.extend([0x81, one]),
        two => to.extend([0x82, two[0], two[1]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 3000] {
            let value = vec![7; length];
            let mut bytes = tlv(0x53, &value);
            bytes.extend(tlv(0x80, &[1]));
            assert_eq!(Tlv::find(&bytes, 0x53), Some(value.as_slice()), "{length}");
            assert_eq!(Tlv::find(&bytes, 0x80), Some(&[1][..]), "{length}");
        }
    }

    #[test]
    fn what_ends_too_early_is_nothing() {
        for bytes in [&[0x53][..], &[0x53, 2, 1], &[0x53, 0x81], &[0x53, 0x82, 1], &[0x53, 0x83]] {
            assert_eq!(Tlv::first(bytes), None, "{bytes:02x?}");
        }
    }
}
