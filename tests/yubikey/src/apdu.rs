//! Commands as a reader sends them, and the two bytes that end every answer.

use std::fmt;

/// One command: a header of four bytes, and data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The rest of the data follows in another command.
    pub chained: bool,
    /// What to do.
    pub instruction: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// What to do it with.
    pub data: Vec<u8>,
    /// Lengths have three bytes, and the answer comes in one piece.
    pub extended: bool,
}

impl Command {
    /// Reads a command with or without data, with or without a wished length.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[class, instruction, p1, p2], body) = bytes.split_first_chunk()?;
        let (data, extended) = match body {
            [] | [_] => (&[][..], false),
            [0, _, _] => (&[][..], true),
            [0, high, low, rest @ ..] => {
                (rest.get(..usize::from(u16::from_be_bytes([*high, *low])))?, true)
            }
            [length, rest @ ..] => (rest.get(..usize::from(*length))?, false),
        };
        let chained = class & 0x10 != 0;
        Some(Self { chained, instruction, p1, p2, data: data.to_vec(), extended })
    }

    /// The bytes of a command, in the short form.
    pub fn bytes(instruction: u8, p1: u8, p2: u8, data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).expect("a short command");
        let mut bytes = vec![0, instruction, p1, p2, length];
        bytes.extend_from_slice(data);
        bytes
    }
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// Done.
    pub const OK: Self = Self(0x9000);
    /// The data has no such length.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// No PIN, no touch or no management key.
    pub const SECURITY: Self = Self(0x6982);
    /// No tries are left.
    pub const BLOCKED: Self = Self(0x6983);
    /// Not in this state.
    pub const CONDITIONS: Self = Self(0x6985);
    /// The data is not what this command takes.
    pub const WRONG_DATA: Self = Self(0x6a80);
    /// No such file or application.
    pub const NOT_FOUND: Self = Self(0x6a82);
    /// No such key.
    pub const NO_REFERENCE: Self = Self(0x6a88);
    /// No such slot.
    pub const WRONG_PARAMETERS: Self = Self(0x6b00);
    /// No such command.
    pub const UNKNOWN: Self = Self(0x6d00);

    /// Wrong, and so many tries are left.
    pub fn tries(left: u8) -> Self {
        Self(0x63c0 | u16::from(left & 0x0f))
    }

    /// There is more to fetch.
    pub fn more(left: usize) -> Self {
        // 0 says 256 or more.
        Self(0x6100 | u16::from(u8::try_from(left).unwrap_or(0)))
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_command_is_read() {
        type Read<'a> = Option<(&'a [u8], bool)>;
        let cases: &[(&[u8], Read<'_>)] = &[
            (&[0, 0xfd, 0, 0], Some((&[], false))),
            (&[0, 0xfd, 0, 0, 0], Some((&[], false))),
            (&[0, 0x20, 0, 0x80, 2, 7, 8], Some((&[7, 8], false))),
            (&[0, 0x20, 0, 0x80, 2, 7, 8, 0], Some((&[7, 8], false))),
            (&[0, 0x20, 0, 0x80, 0, 0, 2, 7, 8], Some((&[7, 8], true))),
            (&[0, 0x20, 0, 0x80, 0, 0, 2, 7, 8, 0, 0], Some((&[7, 8], true))),
            (&[0, 0xfd, 0, 0, 0, 0, 0], Some((&[], true))),
            (&[0, 0x20, 0, 0x80, 3, 7, 8], None),
            (&[0, 0x20, 0], None),
            (&[], None),
        ];
        for (bytes, expected) in cases {
            let read = Command::parse(bytes);
            let short = read.as_ref().map(|c| (c.data.as_slice(), c.extended));
            assert_eq!(short, *expected, "{bytes:02x?}");
        }
        assert!(Command::parse(&[0x10, 0xdb, 0x3f, 0xff, 1, 9]).is_some_and(|c| c.chained));
    }
}
