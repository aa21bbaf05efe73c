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
    let slot = empty_slot(card, wanted.slot)?;
    let id = SlotId::try_from(slot.id()).map_err(|error| card.error(error))?;
    let said = pin::ask_and_verify(card, wire)?;
    admin::authenticate(card, wire)?;
    let (pin_policy, touch_policy) = (
        yubikey::PinPolicy::try_from(wanted.pin_policy.byte()).map_err(|e| card.error(e))?,
        yubikey::TouchPolicy::try_from(wanted.touch_policy.byte()).map_err(|e| card.error(e))?,
    );
    let public = card
        .with(|yubikey| piv::generate(yubikey, id, AlgorithmId::EccP256, pin_policy, touch_policy))
        .map_err(|error| card.error(error))?;
    if wanted.pin_policy == PinPolicy::Always {
        // It wants to see the PIN right before it signs.
        pin::verify(card, &said)?;
    }
    let signed = touching(serial, Some(wanted.touch_policy), || certify(card, id, wanted, public));
    match signed {
        Ok(()) => {}
        // The crate does not tell why a card would not sign.
        Err(yubikey::Error::KeyError) if wanted.touch_policy != TouchPolicy::Never => {
            return Err(PivError::NoTouch { serial });
        }
        Err(error) => return Err(card.error(error)),
    }
    keys::in_slot(card, slot)?.ok_or_else(|| PivError::Other {
        what: format!("YubiKey {serial} does not show the key it made in slot {slot}"),
    })
}

/// The slot that was asked for, or the first that holds neither certificate nor key.
fn empty_slot(card: &mut Card, wanted: Option<Slot>) -> Result<Slot, PivError> {
    let serial = card.serial;
    if let Some(slot) = wanted {
        return match is_empty(card, slot)? {
            true => Ok(slot),
            false => Err(PivError::SlotTaken { serial, slot }),
        };
    }
    for slot in Slot::all() {
        if is_empty(card, slot)? {
            return Ok(slot);
        }
    }
    Err(PivError::Full { serial })
}

fn is_empty(card: &mut Card, slot: Slot) -> Result<bool, PivError> {
    Ok(card.object(keys::object_id(slot))?.is_none()
        && metadata::read(card, slot.id())?.algorithm.is_none())
}

fn certify(
    card: &mut Card,
    slot: SlotId,
    wanted: &Wanted,
    public: SubjectPublicKeyInfoOwned,
) -> Result<(), yubikey::Error> {
    let mut number = [0; 20];
    getrandom::fill(&mut number).map_err(|_| yubikey::Error::GenericError)?;
    // Positive, and as long as it says.
    number[0] = number[0] & 0x7f | 0x40;
    let version = env!("CARGO_PKG_VERSION");
    let subject = format!("CN={},OU=keyrack {version},O={}", wanted.name, keys::ORGANIZATION);
    let subject = Name::from_str(&subject)?;
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
