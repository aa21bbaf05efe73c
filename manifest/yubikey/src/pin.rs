//! The PIN: asked for by the card's rules, never sent where it would burn a try for
//! nothing.

use keyrack_names::Secret;
use keyrack_piv::{Asked, PivError};

use crate::card::Card;
use crate::metadata;
use crate::wire::{Wire, name};

/// How a PIN stands with the card now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was verified.
    Verified,
    /// It was not; so many tries are left.
    Left(u8),
}

/// Asks the card; costs no try.
///
/// # Errors
/// As [`Card::send`].
pub fn standing(card: &mut Card) -> Result<Standing, PivError> {
    match card.with(|yubikey| yubikey.verify_pin(&[])) {
        Ok(()) => Ok(Standing::Verified),
        Err(yubikey::Error::WrongPin { tries }) => Ok(Standing::Left(tries)),
        Err(error) => Err(card.error(error)),
    }
}

/// Asks the person for the PIN and shows it to the card. Returns it, for what the card
/// wants it shown again for.
///
/// # Errors
/// [`PivError::PinBlocked`], [`PivError::BadLength`], [`PivError::WrongPin`],
/// [`PivError::Nobody`], [`PivError::Declined`].
pub fn ask_and_verify(card: &mut Card, wire: &Wire) -> Result<Secret, PivError> {
    let pin = ask(card, wire, Asked::Pin)?;
    verify(card, &pin)?;
    Ok(pin)
}

/// Asks the person for the PIN or the PUK that is in force.
///
/// # Errors
/// As [`ask_and_verify`], but for a wrong one.
pub fn ask(card: &mut Card, wire: &Wire, what: Asked) -> Result<Secret, PivError> {
    let serial = card.serial;
    let slot = if what == Asked::Puk { metadata::PUK } else { metadata::PIN };
    let shown = metadata::read(card, slot)?;
    let left = match (shown.left, what) {
        (Some(left), _) => Some(left),
        (None, Asked::Pin) => match standing(card)? {
            Standing::Left(left) => Some(left),
            Standing::Verified => None,
        },
        (None, _) => None,
    };
    if left == Some(0) {
        return Err(blocked(what, serial));
    }
    let said = wire.ask(what, serial, left, shown.factory == Some(true))?;
    fits(&said, serial, what)?;
    // Typing takes as long as another program needs to choose another application.
    card.listens()?;
    Ok(said)
}

/// Asks the person for a new PIN or PUK.
///
/// # Errors
/// As [`ask`].
pub fn ask_new(card: &mut Card, wire: &Wire, what: Asked) -> Result<Secret, PivError> {
    let said = wire.ask(what, card.serial, None, false)?;
    fits(&said, card.serial, what)?;
    card.listens()?;
    Ok(said)
}

/// Shows the card a PIN that was asked for.
///
/// # Errors
/// [`PivError::WrongPin`], [`PivError::PinBlocked`].
pub fn verify(card: &mut Card, pin: &Secret) -> Result<(), PivError> {
    let verified = card.with(|yubikey| yubikey.verify_pin(pin.expose()));
    verified.map_err(|error| refused(card, Asked::Pin, error))?;
    card.verified = true;
    Ok(())
}

/// What it means that the card did not take a PIN or a PUK.
pub fn refused(card: &mut Card, what: Asked, error: yubikey::Error) -> PivError {
    let serial = card.serial;
    match error {
        yubikey::Error::PinLocked | yubikey::Error::WrongPin { tries: 0 } => blocked(what, serial),
        yubikey::Error::WrongPin { tries: left } if what == Asked::Puk => {
            PivError::WrongPuk { serial, left }
        }
        yubikey::Error::WrongPin { tries: left } => PivError::WrongPin { serial, left },
        other => card.error(other),
    }
}

fn blocked(what: Asked, serial: u32) -> PivError {
    match what {
        Asked::Puk => PivError::PukBlocked { serial },
        _ => PivError::PinBlocked { serial },
    }
}

/// Whether the card would compare it at all: anything else burns a try.
fn fits(said: &Secret, serial: u32, what: Asked) -> Result<(), PivError> {
    match said.expose() {
        bytes if (6..=8).contains(&bytes.len()) => Ok(()),
        typed if is_typed_by(serial, typed) => Err(PivError::Typed { serial }),
        _ => Err(PivError::BadLength { serial, what: name(what).to_owned() }),
    }
}

/// Whether a YubiKey types this when it is touched: its serial in its own alphabet, and a
/// one-time password.
fn is_typed_by(serial: u32, bytes: &[u8]) -> bool {
    const ALPHABET: &[u8; 16] = b"cbdefghijklnrtuv";
    let digit = |shift: u32| ALPHABET[(u64::from(serial) >> shift & 0xf) as usize];
    let prefix: Vec<u8> = (0..12).rev().map(|at| digit(at * 4)).collect();
    bytes.len() == 44 && bytes.starts_with(&prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_card_would_not_compare_is_not_sent() {
        let check = |text: &str| fits(&Secret::from(text.as_bytes()), 11_223_344, Asked::Pin);
        assert!(check("123456").is_ok() && check("12345678").is_ok());
        for bad in ["", "12345", "123456789", "ü234é"] {
            let fits = check(bad).is_ok();
            assert_eq!(fits, (6..=8).contains(&bad.len()), "{bad}");
        }
        assert_eq!(
            check("12345"),
            Err(PivError::BadLength { serial: 11_223_344, what: "PIN".to_owned() })
        );
    }

    /// 11223344 is ab4130 in hex.
    #[test]
    fn what_the_yubikey_types_is_told_from_a_pin() {
        let typed = "cccccclnfbectghkbjrlcdvvcdlrnurbrjgkttbnjgrv";
        assert!(is_typed_by(11_223_344, typed.as_bytes()));
        assert!(!is_typed_by(11_223_345, typed.as_bytes()));
        assert!(!is_typed_by(11_223_344, &typed.as_bytes()[..43]));
    }
}
