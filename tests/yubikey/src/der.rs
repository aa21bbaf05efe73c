//! As much of DER as a certificate takes.

use crate::tlv::tlv;

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(0x04, bytes)
}

pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], bytes].concat())
}

/// A whole number that is not negative.
pub(crate) fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len() - 1);
    let digits = &bytes[start..];
    if digits[0] < 0x80 { tlv(0x02, digits) } else { tlv(0x02, &[&[0], digits].concat()) }
}

/// An object identifier, as it is encoded.
pub(crate) fn oid(encoded: &[u8]) -> Vec<u8> {
    tlv(0x06, encoded)
}

/// A name that is one common name.
pub(crate) fn name(common: &str) -> Vec<u8> {
    let pair = sequence(&[oid(&[0x55, 4, 3]), tlv(0x0c, common.as_bytes())]);
    sequence(&[tlv(0x31, &pair)])
}

/// From the year 2016 to the end of time.
pub(crate) fn validity() -> Vec<u8> {
    sequence(&[tlv(0x17, b"160314000000Z"), tlv(0x18, b"99991231235959Z")])
}

/// An extension that may be ignored.
pub(crate) fn extension(identifier: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[oid(identifier), octets(value)])
}

/// The public key at `point` on P-256.
pub(crate) fn public_key(point: &[u8]) -> Vec<u8> {
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    sequence(&[sequence(&[oid(EC), oid(P256)]), bits(point)])
}

/// ECDSA over SHA-256.
pub(crate) fn ecdsa() -> Vec<u8> {
    sequence(&[oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])])
}
