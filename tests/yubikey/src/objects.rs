//! What is stored on the card under a tag: certificates, and what others left there.

use std::collections::BTreeMap;

use crate::Status;
use crate::tlv::{Tlv, tlv};

/// The object that only whoever knows the PIN may read.
const PRINTED: &[u8] = &[0x5f, 0xc1, 0x09];
/// What every PIV card says of itself.
const DISCOVERY: &[u8] = &[
    0x7e, 0x12, 0x4f, 0x0b, 0xa0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00, 0x5f,
    0x2f, 0x02, 0x40, 0x00,
];
/// More than this does not fit into one object.
const MOST: usize = 3052;

/// Objects by their tag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Objects(BTreeMap<Vec<u8>, Vec<u8>>);

impl Objects {
    /// The answer to `get data`.
    pub(crate) fn get(&self, data: &[u8], pin_verified: bool) -> Result<Vec<u8>, Status> {
        let tag = Tlv::find(data, 0x5c).ok_or(Status::WRONG_DATA)?;
        if tag == [0x7e] {
            return Ok(DISCOVERY.to_vec());
        }
        if tag == PRINTED && !pin_verified {
            return Err(Status::SECURITY);
        }
        Ok(tlv(0x53, self.0.get(tag).ok_or(Status::NOT_FOUND)?))
    }

    /// `put data`: nothing for a value takes the object away.
    pub(crate) fn put(&mut self, data: &[u8]) -> Result<(), Status> {
        let tag = Tlv::find(data, 0x5c).ok_or(Status::WRONG_DATA)?;
        let value = Tlv::find(data, 0x53).ok_or(Status::WRONG_DATA)?;
        if value.len() > MOST {
            return Err(Status::WRONG_LENGTH);
        }
        if value.is_empty() {
            self.0.remove(tag);
        } else {
            self.store(tag, value);
        }
        Ok(())
    }

    /// Stores what no command would: also a value of no length.
    pub(crate) fn store(&mut self, tag: &[u8], value: &[u8]) {
        self.0.insert(tag.to_vec(), value.to_vec());
    }
}
