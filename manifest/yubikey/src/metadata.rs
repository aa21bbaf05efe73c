//! What a slot says of itself (GET METADATA, firmware 5.3 and later), and the PIN, the PUK
//! and the management key as well.

use keyrack_piv::{PinPolicy, PivError, TouchPolicy};

use crate::card::Card;
use crate::tlv;

/// The PIN, as a slot.
pub const PIN: u8 = 0x80;
/// The PUK, as a slot.
pub const PUK: u8 = 0x81;
/// The management key, as a slot.
pub const MANAGEMENT: u8 = 0x9b;

/// What a slot says of itself. Nothing, where it holds nothing or the firmware is older.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// What kind of key it is.
    pub algorithm: Option<u8>,
    /// When it asks for the PIN.
    pub pin_policy: Option<PinPolicy>,
    /// When it asks for a touch.
    pub touch_policy: Option<TouchPolicy>,
    /// Whether the key was made on the card.
    pub generated: Option<bool>,
    /// Whether it is the one that every YubiKey is sold with.
    pub factory: Option<bool>,
    /// How many tries are left.
    pub left: Option<u8>,
}

/// Asks a slot.
///
/// # Errors
/// As [`Card::send`].
pub fn read(card: &mut Card, slot: u8) -> Result<Metadata, PivError> {
    let reply = card.send([0xf7, 0, slot], &[])?;
    Ok(if reply.is_yes() { parse(&reply.bytes) } else { Metadata::default() })
}

fn parse(bytes: &[u8]) -> Metadata {
    let mut metadata = Metadata::default();
    for (tag, value) in tlv::parse(bytes) {
        match (tag, value) {
            (1, [algorithm, ..]) => metadata.algorithm = Some(*algorithm),
            (2, [pin, touch, ..]) => {
                metadata.pin_policy = PinPolicy::from_byte(*pin);
                metadata.touch_policy = TouchPolicy::from_byte(*touch);
            }
            (3, [origin, ..]) => metadata.generated = Some(*origin == 1),
            (5, [factory, ..]) => metadata.factory = Some(*factory == 1),
            (6, [_, left, ..]) => metadata.left = Some(*left),
            _ => {}
        }
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_known_and_passes_over_the_rest() {
        let key = parse(&[1, 1, 0x11, 2, 2, 2, 3, 3, 1, 1, 0x77, 0]);
        assert_eq!(key.algorithm, Some(0x11));
        assert_eq!(key.pin_policy, Some(PinPolicy::Once));
        assert_eq!(key.touch_policy, Some(TouchPolicy::Cached));
        assert_eq!(key.generated, Some(true));
        let pin = parse(&[1, 1, 0xff, 5, 1, 1, 6, 2, 3, 2]);
        assert_eq!((pin.factory, pin.left), (Some(true), Some(2)));
        assert_eq!(parse(&[]), Metadata::default());
        assert_eq!(parse(&[1, 0, 2, 1, 9, 6, 1, 3]), Metadata::default());
    }
}
