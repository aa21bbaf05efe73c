//! A new key in a retired slot, and the certificate that says what it is for.

use std::str::FromStr as _;

use keyrack_piv::{PinPolicy, PivError, PivKey, Slot, TouchPolicy};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{self, Encode, Length, Writer};
use x509_cert::ext::{AsExtension, Extension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::{Time, Validity};
use yubikey::Error::NotFound;
use yubikey::certificate::Certificate;
use yubikey::piv::{self, AlgorithmId, SlotId};

use crate::agree::touching;
use crate::card::Card;
use crate::wire::Wire;
use crate::{admin, keys, metadata, pin};

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where; else in the first slot that is empty.
    pub slot: Option<Slot>,
    /// What the certificate is to call it.
    pub name: String,
    /// When it is to ask for the PIN.
    pub pin_policy: PinPolicy,
    /// When it is to ask for a touch.
    pub touch_policy: TouchPolicy,
}

/// Makes a key. Nothing that is on the card is ever replaced.
///
/// # Errors
/// [`PivError::SlotTaken`], [`PivError::Full`], everything about the PIN and the management
/// key, [`PivError::NoTouch`].
pub fn create(card: &mut Card, wanted: &Wanted, wire: &Wire) -> Result<PivKey, PivError> {
    let serial = card.serial;
    let subject = subject(&wanted.name).map_err(|error| card.error(error))?;
    let (slot, begun) = free_slot(card, wanted)?;
    let id = SlotId::try_from(slot.id()).map_err(|error| card.error(error))?;
    let said = pin::ask_and_verify(card, wire)?;
    admin::authenticate(card, wire)?;
    let public = match begun {
        true => unfinished(card, id)?,
        false => generate(card, id, wanted)?,
    };
    if wanted.pin_policy == PinPolicy::Always {
        // It wants to see the PIN right before it signs.
        pin::verify(card, &said)?;
    }
    let signed =
        touching(serial, Some(wanted.touch_policy), || certify(card, id, wanted, subject, public));
    match signed.map_err(|error| (error, card.error(error))) {
        Ok(()) => {}
        // The crate does not tell why a card would not sign.
        Err((yubikey::Error::KeyError, PivError::Other { .. }))
            if wanted.touch_policy != TouchPolicy::Never =>
        {
            return Err(PivError::NoTouch { serial });
        }
        Err((_, error)) => return Err(error),
    }
    keys::in_slot(card, slot)?.ok_or_else(|| PivError::Other {
        what: format!("YubiKey {serial} does not show the key it made in slot {slot}"),
    })
}

/// The slot that was asked for, or the first that is free; and whether such a key is begun
/// in it: made, and then left without a certificate, since nobody touched the card or it
/// was pulled out.
fn free_slot(card: &mut Card, wanted: &Wanted) -> Result<(Slot, bool), PivError> {
    let serial = card.serial;
    let slots: Vec<Slot> = wanted.slot.map_or_else(|| Slot::all().collect(), |slot| vec![slot]);
    for slot in slots {
        if card.object(keys::object_id(slot))?.is_some() {
            continue;
        }
        let there = metadata::read(card, slot.id())?;
        let is_such = there.algorithm == Some(AlgorithmId::EccP256.into())
            && there.generated == Some(true)
            && there.pin_policy == Some(wanted.pin_policy)
            && there.touch_policy == Some(wanted.touch_policy);
        if is_such || there.algorithm.is_none() {
            return Ok((slot, is_such));
        }
    }
    Err(match wanted.slot {
        Some(slot) => PivError::SlotTaken { serial, slot },
        None => PivError::Full { serial },
    })
}

fn generate(
    card: &mut Card,
    slot: SlotId,
    wanted: &Wanted,
) -> Result<SubjectPublicKeyInfoOwned, PivError> {
    let made = card.with(|yubikey| {
        let pin = yubikey::PinPolicy::try_from(wanted.pin_policy.byte())?;
        let touch = yubikey::TouchPolicy::try_from(wanted.touch_policy.byte())?;
        piv::generate(yubikey, slot, AlgorithmId::EccP256, pin, touch)
    });
    made.map_err(|error| card.error(error))
}

/// The public half of a key that has no certificate yet.
fn unfinished(card: &mut Card, slot: SlotId) -> Result<SubjectPublicKeyInfoOwned, PivError> {
    let shown = card.with(|yubikey| piv::metadata(yubikey, slot)?.public.ok_or(NotFound));
    shown.map_err(|error| card.error(error))
}

fn subject(name: &str) -> Result<Name, yubikey::Error> {
    let version = env!("CARGO_PKG_VERSION");
    // What has a meaning in a distinguished name stands for itself.
    let escaped: String = name
        .chars()
        .flat_map(|c| "\"+,;<>#= \\".contains(c).then_some('\\').into_iter().chain([c]))
        .collect();
    Ok(Name::from_str(&format!("CN={escaped},OU=keyrack {version},O={}", keys::ORGANIZATION))?)
}

fn certify(
    card: &mut Card,
    slot: SlotId,
    wanted: &Wanted,
    subject: Name,
    public: SubjectPublicKeyInfoOwned,
) -> Result<(), yubikey::Error> {
    let mut number = [0; 20];
    getrandom::fill(&mut number).map_err(|_| yubikey::Error::GenericError)?;
    // Positive, and as long as it says.
    number[0] = number[0] & 0x7f | 0x40;
    let validity = Validity { not_before: now()?, not_after: Time::INFINITY };
    let serial = SerialNumber::new(&number)?;
    let policies = Policies([wanted.pin_policy.byte(), wanted.touch_policy.byte()]);
    card.with(|yubikey| {
        Certificate::generate_self_signed::<_, p256::NistP256>(
            yubikey,
            slot,
            serial,
            validity,
            subject,
            public,
            |builder| builder.add_extension(&policies).map_err(|_| der::ErrorKind::Failed.into()),
        )
    })
    .map(drop)
}

fn now() -> Result<Time, yubikey::Error> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    // Whole seconds, as certificates have them.
    let whole = std::time::Duration::from_secs(since.as_secs());
    Ok(Time::UtcTime(der::asn1::UtcTime::from_unix_duration(whole)?))
}

/// The extension that repeats the policies: two bare bytes, as the maker has them in
/// attestations.
struct Policies([u8; 2]);

impl AssociatedOid for Policies {
    const OID: der::oid::ObjectIdentifier = keys::POLICIES;
}

impl Encode for Policies {
    fn encoded_len(&self) -> der::Result<Length> {
        Length::try_from(self.0.len())
    }

    fn encode(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(&self.0)
    }
}

impl AsExtension for Policies {
    fn critical(&self, _: &Name, _: &[Extension]) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_itself_whatever_is_in_it() {
        for name in ["mechanic", "a-b.c_d", "a,b+c=d", "x\\y", "#1", " z "] {
            let parsed = subject(name).unwrap();
            assert_eq!(parsed.0.len(), 3, "{name}: {parsed}");
            let shown = keys::common_name(&parsed).unwrap();
            assert_eq!(shown, name);
        }
    }
}
