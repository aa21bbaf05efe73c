//! XChaCha20-Poly1305 with associated data that cannot be misread: every part is
//! preceded by its length.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use keyrack_names::Secret;
use serde::{Deserialize, Serialize};

use crate::keys::Key;

const NONCE: usize = 24;

/// A ciphertext with its nonce. As text: base64 of both, nonce first.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sealed(Vec<u8>);

/// It does not open: another key, other associated data, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// Associated data, each part as `u32` length (big endian) and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Associated(Vec<u8>);

impl Associated {
    /// Data for one purpose; the purpose is the first part.
    pub(crate) fn purpose(purpose: &str) -> Self {
        Self(Vec::new()).and(purpose)
    }

    /// The same with one more part.
    pub(crate) fn and(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.extend_from_slice(&(part.len() as u32).to_be_bytes());
        self.0.extend_from_slice(part);
        self
    }

    /// The same with a number of 64 bits, big endian.
    pub(crate) fn and_number(self, number: u64) -> Self {
        self.and(number.to_be_bytes())
    }
}

/// Seals `plain` under `key`, bound to `associated`.
pub(crate) fn seal(
    key: &Key,
    plain: &[u8],
    associated: &Associated,
) -> Result<Sealed, getrandom::Error> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce)?;
    let payload = Payload { msg: plain, aad: &associated.0 };
    let sealed = XChaCha20Poly1305::new(key.expose().into())
        .encrypt(XNonce::from_slice(&nonce), payload)
        .unwrap_or_else(|_| unreachable!("a record is far below what the cipher can take"));
    Ok(Sealed([&nonce[..], &sealed].concat()))
}

/// Opens what [`seal`] made of the same key and associated data.
pub(crate) fn open(key: &Key, sealed: &Sealed, associated: &Associated) -> Result<Secret, Refused> {
    let (nonce, sealed) = sealed.0.split_at_checked(NONCE).ok_or(Refused)?;
    let payload = Payload { msg: sealed, aad: &associated.0 };
    let plain =
        XChaCha20Poly1305::new(key.expose().into()).decrypt(XNonce::from_slice(nonce), payload);
    plain.map(Secret::new).map_err(|_| Refused)
}

impl Serialize for Sealed {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Secret::from(self.0.as_slice()).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Secret::deserialize(from)?.expose().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_and_data() {
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        let data = Associated::purpose("test").and("ab").and("c");
        let sealed = seal(&key, b"value", &data).unwrap();
        assert_eq!(open(&key, &sealed, &data).unwrap().expose(), b"value");
        assert_eq!(open(&other, &sealed, &data), Err(Refused));
        // The same bytes, parted elsewhere.
        assert_eq!(
            open(&key, &sealed, &Associated::purpose("test").and("a").and("bc")),
            Err(Refused)
        );
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let key = Key::random().unwrap();
        let data = Associated::purpose("test");
        let sealed = seal(&key, b"value", &data).unwrap();
        for at in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[at] ^= 1;
            assert_eq!(open(&key, &changed, &data), Err(Refused), "byte {at}");
        }
        assert_eq!(open(&key, &Sealed(vec![0; 10]), &data), Err(Refused));
    }
}
