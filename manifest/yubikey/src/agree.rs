//! ECDH by a key on the card. One rule serves every policy: try; if the card refuses, it
//! wants the PIN; if it refuses again, nobody touched it.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use keyrack_names::Secret;
use keyrack_piv::{Event, PinPolicy, PivError, PivKey, Point, TouchPolicy};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use yubikey::piv::{self, AlgorithmId, SlotId};

use crate::card::Card;
use crate::pin::{self, Standing};
use crate::wire::{self, Wire};

/// How long a card computes at most: what takes longer waits for a finger.
const COMPUTES: Duration = Duration::from_millis(250);

/// The secret that `key` and the other side's `point` agree on.
///
/// # Errors
/// [`PivError::NoTouch`], [`PivError::WrongPin`] and everything else about the PIN,
/// [`PivError::Reset`], [`PivError::Removed`].
pub fn agree(
    card: &mut Card,
    key: &PivKey,
    point: &Point,
    wire: &Wire,
) -> Result<Secret, PivError> {
    let serial = card.serial;
    let Ok(other) = p256::PublicKey::from_sec1_bytes(point.as_bytes()) else {
        return Err(PivError::Other { what: "the file names a point that is not on P-256".into() });
    };
    let other = other.to_encoded_point(false);
    let mut shown = false;
    loop {
        let tried = touching(serial, key.touch_policy, || {
            let slot = SlotId::try_from(key.slot.id())?;
            card.with(|yubikey| {
                piv::decrypt_data(yubikey, other.as_bytes(), AlgorithmId::EccP256, slot)
            })
        });
        match tried {
            Ok(secret) if secret.len() == 32 => return Ok(Secret::from(&secret[..])),
            Ok(_) => {
                return Err(PivError::Other {
                    what: format!("YubiKey {serial} answered too little"),
                });
            }
            Err(yubikey::Error::AuthenticationError) if shown || !wants_pin(card, key)? => {
                return Err(PivError::NoTouch { serial });
            }
            Err(yubikey::Error::AuthenticationError) => {
                pin::ask_and_verify(card, wire)?;
                shown = true;
            }
            Err(error) => return Err(card.error(error)),
        }
    }
}

/// Whether a key that refused did so for want of its PIN.
fn wants_pin(card: &mut Card, key: &PivKey) -> Result<bool, PivError> {
    match key.pin_policy {
        Some(PinPolicy::Never) => Ok(false),
        Some(PinPolicy::Always) => Ok(true),
        Some(PinPolicy::Once) | None => Ok(pin::standing(card)? != Standing::Verified),
    }
}

/// Does something that may wait for a touch, and says so once it does.
pub fn touching<T>(serial: u32, policy: Option<TouchPolicy>, act: impl FnOnce() -> T) -> T {
    if policy == Some(TouchPolicy::Never) {
        return act();
    }
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(COMPUTES) == Err(RecvTimeoutError::Timeout) {
                wire::say(&Event::Touch { serial });
            }
        });
        let result = act();
        drop(done);
        result
    })
}
