//! PIN and PUK: eight bytes, and tries that run out.

use crate::Status;

/// The length in which both are sent; what is shorter is filled up with `ff`.
const LENGTH: usize = 8;
const TRIES: u8 = 3;

/// A PIN or a PUK.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    value: [u8; LENGTH],
    factory: [u8; LENGTH],
    /// Tries it has when none is used up.
    pub tries: u8,
    /// Tries it has left.
    pub left: u8,
}

impl Code {
    pub(crate) fn pin() -> Self {
        Self::new(*b"123456\xff\xff")
    }

    pub(crate) fn puk() -> Self {
        Self::new(*b"12345678")
    }

    fn new(factory: [u8; LENGTH]) -> Self {
        Self { value: factory, factory, tries: TRIES, left: TRIES }
    }

    /// As it came, with so many tries.
    pub(crate) fn renewed(&self, tries: u8) -> Self {
        Self { tries, left: tries, ..Self::new(self.factory) }
    }

    pub(crate) fn is_default(&self) -> bool {
        self.value == self.factory
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.left == 0
    }

    /// What a question without a PIN is answered with.
    pub(crate) fn left(&self) -> Status {
        if self.is_blocked() { Status::BLOCKED } else { Status::tries(self.left) }
    }

    /// One try. A length that no reader should send costs none; five digits and filling do.
    pub(crate) fn check(&mut self, value: &[u8]) -> Result<(), Status> {
        let value: [u8; LENGTH] = value.try_into().map_err(|_| Status::WRONG_LENGTH)?;
        if self.is_blocked() {
            return Err(Status::BLOCKED);
        }
        if value == self.value {
            self.left = self.tries;
            return Ok(());
        }
        self.left -= 1;
        Err(self.left())
    }

    /// A new value, of six to eight bytes.
    pub(crate) fn set(&mut self, value: &[u8]) -> Result<(), Status> {
        let value: [u8; LENGTH] = value.try_into().map_err(|_| Status::WRONG_LENGTH)?;
        let length = value.iter().position(|b| *b == 0xff).unwrap_or(LENGTH);
        if length < 6 || value[length..].iter().any(|b| *b != 0xff) {
            return Err(Status::WRONG_DATA);
        }
        self.value = value;
        self.left = self.tries;
        Ok(())
    }
}
