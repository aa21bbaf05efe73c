//! A value at rest: XChaCha20-Poly1305 under the locked page's key, opened for the length
//! of one reply.

use chacha20poly1305::{AeadInPlace, KeyInit, XChaCha20Poly1305, XNonce};
use keyrack_protocol::keys::Key;
use zeroize::Zeroizing;

use crate::arena::Arena;

/// Ciphertext and tag, and the number its nonce is made of.
#[derive(Debug)]
pub(crate) struct Sealed {
    number: u64,
    bytes: Vec<u8>,
}

/// Memory was changed behind our back, or the page was wiped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is held cannot be opened any more")]
pub(crate) struct Broken;

const TAG: usize = 16;

impl Sealed {
    /// Seals `plain`. `name` must be given again to open it.
    ///
    /// # Errors
    /// When it is longer than the cipher takes: 256 GiB.
    pub(crate) fn new(arena: &Arena, name: &str, plain: &[u8]) -> Result<Self, Broken> {
        let number = arena.next_number();
        // Room for the tag from the start: the buffer is encrypted where it stands.
        let mut bytes = Vec::with_capacity(plain.len() + TAG);
        bytes.extend_from_slice(plain);
        cipher(arena)
            .encrypt_in_place(&nonce(number), name.as_bytes(), &mut bytes)
            .map_err(|_| Broken)?;
        Ok(Self { number, bytes })
    }

    /// Seals a key.
    ///
    /// # Errors
    /// None in practice; see [`Sealed::new`].
    pub(crate) fn key(arena: &Arena, name: &str, key: &Key) -> Result<Self, Broken> {
        Self::new(arena, name, key.expose())
    }

    /// What was sealed, in memory that is wiped.
    ///
    /// # Errors
    /// When `name` is another, the bytes were changed or the page was wiped.
    pub(crate) fn open(&self, arena: &Arena, name: &str) -> Result<Zeroizing<Vec<u8>>, Broken> {
        let mut bytes = Zeroizing::new(self.bytes.clone());
        cipher(arena)
            .decrypt_in_place(&nonce(self.number), name.as_bytes(), &mut *bytes)
            .map_err(|_| Broken)?;
        Ok(bytes)
    }

    /// A key that was sealed.
    ///
    /// # Errors
    /// As [`Sealed::open`], and when it is not a key.
    pub(crate) fn open_key(&self, arena: &Arena, name: &str) -> Result<Key, Broken> {
        let bytes = self.open(arena, name)?;
        bytes.as_slice().try_into().map(Key::new).map_err(|_| Broken)
    }

    /// Length of what was sealed, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - TAG
    }
}

fn cipher(arena: &Arena) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*arena.key()).into())
}

fn nonce(number: u64) -> XNonce {
    let mut nonce = XNonce::default();
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_comes_back_under_its_name_only() {
        let arena = Arena::new().unwrap();
        for plain in [&b""[..], b"hunter2", &[0; 100_000]] {
            let sealed = Sealed::new(&arena, "o.all.K", plain).unwrap();
            assert_eq!(*sealed.open(&arena, "o.all.K").unwrap(), plain);
            assert_eq!(sealed.len(), plain.len());
            assert_eq!(sealed.open(&arena, "o.all.L"), Err(Broken));
        }
    }

    #[test]
    fn equal_values_look_different_and_show_nothing() {
        let arena = Arena::new().unwrap();
        let [a, b] = [1, 2].map(|_| Sealed::new(&arena, "n", b"hunter2hunter2").unwrap());
        assert_ne!(a.bytes, b.bytes);
        assert!(!a.bytes.windows(7).any(|window| window == b"hunter2"));
    }

    #[test]
    fn a_changed_byte_or_a_wiped_page_opens_nothing() {
        let arena = Arena::new().unwrap();
        let mut sealed = Sealed::new(&arena, "n", b"hunter2").unwrap();
        sealed.bytes[0] ^= 1;
        assert_eq!(sealed.open(&arena, "n"), Err(Broken));
        sealed.bytes[0] ^= 1;
        assert!(sealed.open(&arena, "n").is_ok());
        arena.wipe();
        assert_eq!(sealed.open(&arena, "n"), Err(Broken));
    }

    #[test]
    fn only_a_key_opens_as_one() {
        let arena = Arena::new().unwrap();
        let key = Key::new([7; 32]);
        assert_eq!(Sealed::key(&arena, "n", &key).unwrap().open_key(&arena, "n"), Ok(key));
        let short = Sealed::new(&arena, "n", &[7; 31]).unwrap();
        assert_eq!(short.open_key(&arena, "n"), Err(Broken));
    }
}
