//! Where channel keys come from: HKDF-SHA256 (RFC 5869) from one of two secrets, the
//! info text saying what a key is for.

use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use keyrack_names::{Owner, Secret};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::random::{self, NoRandom};
use crate::{CapabilityId, RackId};

/// A 32-byte key. Wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl Key {
    /// The key made of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new random key.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn random() -> Result<Self, NoRandom> {
        let mut bytes = [0; 32];
        random::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Its bytes.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn derive(secret: &[u8; 32], info: &[&[u8]]) -> Self {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, secret)
            .expand_multi_info(info, &mut key)
            .unwrap_or_else(|_| unreachable!("32 bytes are within what HKDF-SHA256 gives"));
        Self(key)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A key that travels inside a start message or a push.
impl serde::Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Secret::from(&self.0[..]).serialize(to)
    }
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let secret = Secret::deserialize(from)?;
        let bytes = secret
            .expose()
            .try_into()
            .map_err(|_| serde::de::Error::custom("a key is 32 bytes"))?;
        Ok(Self(bytes))
    }
}

/// The 32 random bytes in an owner's manifest. *Whoever can open the manifest may talk
/// to its daemon*, whatever kind the recipient is.
#[derive(Debug, Clone)]
pub struct RackSecret(Key);

impl RackSecret {
    /// The secret read from a manifest.
    pub fn new(secret: Key) -> Self {
        Self(secret)
    }

    /// The channel key of whoever opened the manifest: every right.
    pub fn attach_key(&self) -> Key {
        Key::derive(&self.0.0, &[b"keyrack/v1/attach"])
    }

    /// The channel key of a caller that opened the manifest without a person, only to
    /// read: the daemon answers it less.
    pub fn self_proof_key(&self) -> Key {
        Key::derive(&self.0.0, &[b"keyrack/v1/self-proof"])
    }

    /// The key of the MAC on a sealed drop left by an unlocked session.
    pub fn drop_key(&self) -> Key {
        Key::derive(&self.0.0, &[b"keyrack/v1/drop"])
    }

    /// The key that chains the daemon's audit log.
    pub fn audit_key(&self) -> Key {
        Key::derive(&self.0.0, &[b"keyrack/v1/audit"])
    }

    /// Hides the key of a capability, and shows it again: each byte is combined by XOR with
    /// one of a key that serves for this capability alone, and no capability ever has a
    /// second key. What was changed meanwhile shows a key that nobody holds.
    pub fn veil(&self, id: &CapabilityId, key: &Key) -> Key {
        let pad = Key::derive(&self.0.0, &[b"keyrack/v1/veil", id.as_bytes()]);
        let mut veiled = key.clone();
        veiled.0.iter_mut().zip(pad.0).for_each(|(byte, pad)| *byte ^= pad);
        veiled
    }
}

/// The MAC on a sealed drop that an unlocked session leaves: HMAC-SHA256 under
/// [`RackSecret::drop_key`] of the SHA-256 of the drop's payload.
pub fn drop_mac(drop_key: &Key, digest: &[u8; 32]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(drop_key.expose())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of every length"));
    hmac.update(digest);
    hmac.finalize().into_bytes().into()
}

/// R: the one secret of a process tree, kept in its session keyring. Each owner's daemon
/// knows only what is derived from it for that owner and rack.
#[derive(Debug, Clone)]
pub struct TreeSecret(Key);

impl TreeSecret {
    /// The secret found in a keyring.
    pub fn new(secret: Key) -> Self {
        Self(secret)
    }

    /// The bytes to keep in the keyring.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The channel key this tree proves itself with to `owner`'s daemon.
    pub fn capability_key(&self, owner: &Owner, rack: &RackId) -> Key {
        self.derive(b"keyrack/v1/cap", owner, rack)
    }

    /// The name the daemon knows that key by.
    pub fn capability_id(&self, owner: &Owner, rack: &RackId) -> CapabilityId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.derive(b"keyrack/v1/cap-id", owner, rack).0[..16]);
        CapabilityId::from_bytes(id)
    }

    fn derive(&self, purpose: &[u8], owner: &Owner, rack: &RackId) -> Key {
        let name = owner.as_str().as_bytes();
        // Owner names end at 32 bytes, so one byte holds the length.
        Key::derive(&self.0.0, &[purpose, &[name.len() as u8], name, rack.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(key: &Key) -> String {
        hex::lower::encode_string(key.expose())
    }

    /// Golden values: they change only with the protocol version.
    #[test]
    fn keys_are_what_the_protocol_says() {
        let rack = RackSecret::new(Key::new([7; 32]));
        let tree = TreeSecret::new(Key::new([9; 32]));
        let owner: Owner = "seaturtle".parse().unwrap();
        let id = RackId::from_bytes([3; 16]);
        let all = [
            hex(&rack.attach_key()),
            hex(&rack.self_proof_key()),
            hex(&rack.drop_key()),
            hex(&rack.audit_key()),
            hex(&tree.capability_key(&owner, &id)),
            tree.capability_id(&owner, &id).to_string(),
            hex::lower::encode_string(&drop_mac(&rack.drop_key(), &[8; 32])),
        ];
        let golden: Vec<&str> = include_str!("golden/keys.txt").lines().collect();
        assert_eq!(all.to_vec(), golden);
    }

    #[test]
    fn another_owner_or_rack_is_another_key() {
        let tree = TreeSecret::new(Key::new([9; 32]));
        let (a, b): (Owner, Owner) = ("a".parse().unwrap(), "b".parse().unwrap());
        let (x, y) = (RackId::from_bytes([1; 16]), RackId::from_bytes([2; 16]));
        assert_ne!(tree.capability_key(&a, &x), tree.capability_key(&b, &x));
        assert_ne!(tree.capability_key(&a, &x), tree.capability_key(&a, &y));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", RackSecret::new(Key::new([7; 32]))), "RackSecret(Key(…))");
    }
}
