//! The public half of a P-256 key as SEC 1 compresses it, and the tag by which an age file
//! names it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// 33 bytes: 2 or 3, and the x coordinate. Whether a point of the curve has it is for
/// whoever computes with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point([u8; 33]);

/// The first four bytes of SHA-256 of a public key: what a `piv-p256` stanza names it by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 4]);

/// The bytes are no compressed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a compressed P-256 point")]
pub struct BadPoint;

impl Point {
    /// Takes 33 bytes whose first is 2 or 3.
    ///
    /// # Errors
    /// [`BadPoint`] for any other bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, BadPoint> {
        let point: [u8; 33] = bytes.try_into().map_err(|_| BadPoint)?;
        matches!(point[0], 2 | 3).then_some(Self(point)).ok_or(BadPoint)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// What an age file names this key by.
    pub fn tag(&self) -> Tag {
        let digest = Sha256::digest(self.0);
        Tag([digest[0], digest[1], digest[2], digest[3]])
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::lower::encode_string(&self.0))
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::lower::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = hex::lower::decode_vec(String::deserialize(from)?);
        Self::new(&bytes.map_err(de::Error::custom)?).map_err(de::Error::custom)
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::lower::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes =
            hex::lower::decode_vec(String::deserialize(from)?).map_err(de::Error::custom)?;
        Ok(Self(bytes.try_into().map_err(|_| de::Error::custom("not four bytes"))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compressed_points_are_taken() {
        assert_eq!(Point::new(&[2; 33]).unwrap().as_bytes(), &[2; 33]);
        for bad in [&[4; 33][..], &[2; 32], &[2; 65], &[]] {
            assert_eq!(Point::new(bad), Err(BadPoint));
        }
        let json = serde_json::to_string(&Point::new(&[3; 33]).unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<Point>(&json).unwrap(), Point([3; 33]));
        assert!(serde_json::from_str::<Point>("\"0401\"").is_err());
        assert!(serde_json::from_str::<Tag>("\"0102030405\"").is_err());
    }
}
