//! Ed25519 signatures in OpenSSH's SSHSIG form, so that stock `ssh-keygen -Y verify`
//! checks them. One key type, one hash (SHA-512), no reserved data: everything before
//! the last 64 bytes of a signature is known to the verifier and compared whole.
//!
//! Format: PROTOCOL.sshsig of OpenSSH.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::Signer as _;
use keyrack_names::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::MemberId;
use crate::key::ssh_line;

const KEY_TYPE: &[u8] = b"ssh-ed25519";

/// What a signature is for. A signature made for one is worth nothing for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// A manifest.
    Manifest,
    /// An identity card.
    Identity,
    /// A sealed drop.
    Drop,
    /// A link of a vault's chain.
    Link,
    /// A credential's record.
    Cred,
    /// A request to join a vault.
    Invite,
    /// A line of a vault's audit log.
    Audit,
    /// What a connector may be given.
    Grant,
}

impl Namespace {
    /// The namespace as SSHSIG carries it and `ssh-keygen -n` takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest.keyrack.v1",
            Self::Identity => "identity.keyrack.v1",
            Self::Drop => "drop.keyrack.v1",
            Self::Link => "link.keyrack.v1",
            Self::Cred => "cred.keyrack.v1",
            Self::Invite => "invite.keyrack.v1",
            Self::Audit => "audit.keyrack.v1",
            Self::Grant => "grant.keyrack.v1",
        }
    }
}

/// A signature does not fit what it is said to sign, the key, or the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

/// A key's text or seed is not that of an Ed25519 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 key")]
pub struct BadKey;

/// An owner's private signing key. It lives inside the manifest, so that owners with
/// RSA, YubiKey and plugin keys sign alike. Wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed)?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&seed)))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message`: the SSHSIG blob in base64, on one line.
    pub fn sign(&self, namespace: Namespace, message: &[u8]) -> String {
        let signature = self.0.sign(&signed_data(namespace, message));
        let mut blob = blob_prefix(&self.public(), namespace);
        blob.extend_from_slice(&signature.to_bytes());
        STANDARD.encode(blob)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

/// In a manifest a signing key is its 32-byte seed in base64.
impl Serialize for SigningKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Secret::from(&self.0.as_bytes()[..]).serialize(to)
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let secret = Secret::deserialize(from)?;
        let seed = secret.expose().try_into().map_err(|_| serde::de::Error::custom(BadKey))?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(seed)))
    }
}

/// The public half of a [`SigningKey`]. As text: an `ssh-ed25519` line without comment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Checks that `signature`, as [`SigningKey::sign`] gave it, is this key's for exactly
    /// `message` and `namespace`.
    ///
    /// # Errors
    /// [`BadSignature`], whatever does not fit.
    pub fn verify(
        &self,
        namespace: Namespace,
        message: &[u8],
        signature: &str,
    ) -> Result<(), BadSignature> {
        let prefix = blob_prefix(self, namespace);
        let blob = STANDARD.decode(signature).map_err(|_| BadSignature)?;
        let signature = blob
            .strip_prefix(&prefix[..])
            .and_then(|rest| ed25519_dalek::Signature::from_slice(rest).ok())
            .ok_or(BadSignature)?;
        self.0.verify_strict(&signed_data(namespace, message), &signature).map_err(|_| BadSignature)
    }

    /// `SHA256:…` as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(self.wire())))
    }

    /// A line of an `allowed_signers` file for `ssh-keygen -Y verify -f`.
    pub fn allowed_signer(&self, member: &MemberId) -> String {
        format!("{member} {self}\n")
    }

    /// The key in SSH's wire form.
    fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(51);
        put(&mut wire, KEY_TYPE);
        put(&mut wire, self.0.as_bytes());
        wire
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssh-ed25519 {}", STANDARD.encode(self.wire()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let line = ssh_line::split(text).ok_or(BadKey)?;
        let wire = STANDARD.decode(line.key).map_err(|_| BadKey)?;
        let bytes = wire.last_chunk::<32>().ok_or(BadKey)?;
        let key = Self(ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| BadKey)?);
        if key.wire() == wire && !key.0.is_weak() { Ok(key) } else { Err(BadKey) }
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A signature as the file that `ssh-keygen -Y verify -s` takes.
pub fn to_pem(signature: &str) -> String {
    let mut pem = String::from("-----BEGIN SSH SIGNATURE-----\n");
    for line in signature.as_bytes().chunks(70) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END SSH SIGNATURE-----\n");
    pem
}

/// Appends an SSH `string`: its length in four bytes, big-endian, then its bytes.
fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
}

/// What Ed25519 signs for SSHSIG.
fn signed_data(namespace: Namespace, message: &[u8]) -> Vec<u8> {
    let mut data = b"SSHSIG".to_vec();
    put(&mut data, namespace.as_str().as_bytes());
    put(&mut data, b"");
    put(&mut data, b"sha512");
    put(&mut data, &Sha512::digest(message));
    data
}

/// Everything of an SSHSIG blob but the last 64 bytes.
fn blob_prefix(key: &PublicKey, namespace: Namespace) -> Vec<u8> {
    let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
    put(&mut blob, &key.wire());
    put(&mut blob, namespace.as_str().as_bytes());
    put(&mut blob, b"");
    put(&mut blob, b"sha512");
    let inner = 4 + KEY_TYPE.len() as u32 + 4 + 64;
    blob.extend_from_slice(&inner.to_be_bytes());
    put(&mut blob, KEY_TYPE);
    blob.extend_from_slice(&64u32.to_be_bytes());
    blob
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> SigningKey {
        SigningKey(ed25519_dalek::SigningKey::from_bytes(&[7; 32]))
    }

    #[test]
    fn another_implementation_reads_and_verifies_it() {
        let pem = to_pem(&key().sign(Namespace::Cred, b"message"));
        let signature: ssh_key::SshSig = pem.parse().unwrap();
        let public: ssh_key::PublicKey = key().public().to_string().parse().unwrap();
        public.verify("cred.keyrack.v1", b"message", &signature).unwrap();
        assert!(public.verify("link.keyrack.v1", b"message", &signature).is_err());
        assert!(public.verify("cred.keyrack.v1", b"massage", &signature).is_err());
    }

    #[test]
    fn only_what_was_signed_verifies() {
        let public = key().public();
        let signature = key().sign(Namespace::Cred, b"message");
        assert_eq!(public.verify(Namespace::Cred, b"message", &signature), Ok(()));
        assert!(public.verify(Namespace::Link, b"message", &signature).is_err());
        assert!(public.verify(Namespace::Cred, b"massage", &signature).is_err());
        let other = SigningKey::generate().unwrap().public();
        assert!(other.verify(Namespace::Cred, b"message", &signature).is_err());
    }

    #[test]
    fn keys_survive_text_and_show_no_seed() {
        let public = key().public();
        assert_eq!(public.to_string().parse::<PublicKey>().unwrap(), public);
        let json = serde_json::to_string(&key()).unwrap();
        assert_eq!(serde_json::from_str::<SigningKey>(&json).unwrap().public(), public);
        assert!(!format!("{:?}", key()).contains(json.trim_matches('"')));
        for bad in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2E="] {
            assert_eq!(bad.parse::<PublicKey>(), Err(BadKey), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_signature_never_verifies(at in 0usize..1000, bit in 0u8..8) {
            let mut blob = STANDARD.decode(key().sign(Namespace::Drop, b"m")).unwrap();
            let at = at % blob.len();
            blob[at] ^= 1 << bit;
            let public = key().public();
            prop_assert!(public.verify(Namespace::Drop, b"m", &STANDARD.encode(blob)).is_err());
        }
    }
}
