//! The slots and the keys in them: P-256, with what each asks of a person.

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::{PublicKey, SecretKey, ecdh};

use crate::Status;
use crate::tlv::{Tlv, tlv};

/// The algorithm every key here has.
pub(crate) const P256: u8 = 0x11;

/// When a key wants the PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinPolicy {
    /// It does not.
    Never = 1,
    /// Once while the card has power.
    Once = 2,
    /// Before every use.
    Always = 3,
}

/// When a key wants a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchPolicy {
    /// It does not.
    Never = 1,
    /// At every use.
    Always = 2,
    /// At every use, unless the last touch was a moment ago.
    Cached = 3,
}

/// A key in its slot.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub secret: SecretKey,
    pub pin: PinPolicy,
    pub touch: TouchPolicy,
    /// Made here, and not brought.
    pub generated: bool,
}

impl Key {
    pub(crate) fn random(pin: PinPolicy, touch: TouchPolicy) -> Self {
        Self { secret: secret(), pin, touch, generated: true }
    }

    /// The key that a `generate` or `import` describes for `slot`, with the policies that
    /// follow in `data`.
    pub(crate) fn with_policies(slot: u8, data: &[u8]) -> Result<Self, Status> {
        let policy = |tag| Tlv::find(data, tag).map_or(Some(0), |value| value.first().copied());
        let pin = match policy(0xaa) {
            Some(0) => default_pin_policy(slot),
            Some(1) => PinPolicy::Never,
            Some(2) => PinPolicy::Once,
            Some(3) => PinPolicy::Always,
            _ => return Err(Status::WRONG_DATA),
        };
        let touch = match policy(0xab) {
            Some(0 | 1) => TouchPolicy::Never,
            Some(2) => TouchPolicy::Always,
            Some(3) => TouchPolicy::Cached,
            _ => return Err(Status::WRONG_DATA),
        };
        Ok(Self::random(pin, touch))
    }

    /// The same with a secret that was brought.
    pub(crate) fn with_secret(mut self, data: &[u8]) -> Result<Self, Status> {
        let scalar = Tlv::find(data, 6).ok_or(Status::WRONG_DATA)?;
        self.secret = SecretKey::from_slice(scalar).map_err(|_| Status::WRONG_DATA)?;
        self.generated = false;
        Ok(self)
    }

    /// The public key: `04`, x and y.
    pub(crate) fn point(&self) -> Vec<u8> {
        self.secret.public_key().to_encoded_point(false).as_bytes().to_vec()
    }

    pub(crate) fn metadata(&self) -> Vec<u8> {
        let origin = if self.generated { 1 } else { 2 };
        let policies = [self.pin as u8, self.touch as u8];
        [tlv(1, &[P256]), tlv(2, &policies), tlv(3, &[origin]), tlv(4, &tlv(0x86, &self.point()))]
            .concat()
    }

    /// Signs a digest.
    pub(crate) fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, Status> {
        let key = SigningKey::from(&self.secret);
        let signature: Signature = key.sign_prehash(digest).map_err(|_| Status::WRONG_DATA)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    /// The secret shared with whoever has the key of `point`.
    pub(crate) fn agree(&self, point: &[u8]) -> Result<Vec<u8>, Status> {
        let other = PublicKey::from_sec1_bytes(point).map_err(|_| Status::WRONG_DATA)?;
        let shared = ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), other.as_affine());
        Ok(shared.raw_secret_bytes().to_vec())
    }
}

/// Whether there is such a slot for keys.
pub(crate) fn is_slot(slot: u8) -> bool {
    matches!(slot, 0x82..=0x95 | 0x9a | 0x9c..=0x9e | 0xf9)
}

fn default_pin_policy(slot: u8) -> PinPolicy {
    match slot {
        0x9c => PinPolicy::Always,
        0x9e => PinPolicy::Never,
        _ => PinPolicy::Once,
    }
}

pub(crate) fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes
}

fn secret() -> SecretKey {
    // Next to no number of 32 bytes is out of range.
    std::iter::repeat_with(|| SecretKey::from_slice(&random(32)))
        .find_map(Result::ok)
        .expect("it goes on until there is one")
}
