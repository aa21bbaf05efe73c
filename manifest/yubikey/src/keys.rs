//! The P-256 keys in retired slots, as their certificates show them.
//!
//! A key that was made for age files has a certificate signed by itself whose organization
//! is `age-plugin-yubikey`, and which repeats the key's policies in the extension that
//! attestations have. That is that program's convention; it and we see each other's keys.

use keyrack_piv::{PinPolicy, PivError, PivKey, Point, Slot, TouchPolicy};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Any, Decode as _};
use x509_cert::name::Name;

use crate::card::Card;
use crate::metadata;

/// What the certificates of keys for age files have as their organization.
pub const ORGANIZATION: &str = "age-plugin-yubikey";
/// The extension that repeats the policies: one byte each, PIN and touch.
pub const POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.41482.3.8");

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// Every key in a retired slot.
///
/// # Errors
/// As [`Card::send`].
pub fn list(card: &mut Card) -> Result<Vec<PivKey>, PivError> {
    let found = Slot::all().map(|slot| in_slot(card, slot)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// The first key that `is_meant`.
///
/// # Errors
/// As [`Card::send`].
pub fn find(
    card: &mut Card,
    is_meant: impl Fn(&Point) -> bool,
) -> Result<Option<PivKey>, PivError> {
    for slot in Slot::all() {
        let Some((point, certificate)) = certified(card, slot)? else { continue };
        if is_meant(&point) {
            return described(card, slot, point, &certificate).map(Some);
        }
    }
    Ok(None)
}

/// The key in one slot.
///
/// # Errors
/// As [`Card::send`].
pub fn in_slot(card: &mut Card, slot: Slot) -> Result<Option<PivKey>, PivError> {
    match certified(card, slot)? {
        Some((point, certificate)) => described(card, slot, point, &certificate).map(Some),
        None => Ok(None),
    }
}

/// The object that holds a slot's certificate.
pub fn object_id(slot: Slot) -> u32 {
    const OF_R1: u32 = 0x5f_c10d;
    OF_R1 + u32::from(slot.id() - 0x82)
}

/// The P-256 point that a certificate is about.
pub fn point_of(certificate: &Certificate) -> Option<Point> {
    let info = &certificate.tbs_certificate.subject_public_key_info;
    let key = p256::PublicKey::from_sec1_bytes(info.subject_public_key.as_bytes()?).ok()?;
    Point::new(key.to_encoded_point(true).as_bytes()).ok()
}

fn certified(card: &mut Card, slot: Slot) -> Result<Option<(Point, Certificate)>, PivError> {
    let der = card.certificate(object_id(slot))?;
    let certificate = der.and_then(|der| Certificate::from_der(&der).ok());
    Ok(certificate.filter(is_understood).and_then(|found| Some((point_of(&found)?, found))))
}

/// Some keys are only half of what decrypts, and say so in a critical extension: what is
/// sealed to those would be lost.
fn is_understood(certificate: &Certificate) -> bool {
    let extensions = certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
    !extensions.iter().any(|extension| extension.critical && extension.extn_id != POLICIES)
}

fn described(
    card: &mut Card,
    slot: Slot,
    point: Point,
    certificate: &Certificate,
) -> Result<PivKey, PivError> {
    let subject = &certificate.tbs_certificate.subject;
    let shown = metadata::read(card, slot.id())?;
    let (pin, touch) = policies(certificate);
    Ok(PivKey {
        slot,
        point,
        name: common_name(subject).unwrap_or_else(|| subject.to_string()),
        for_age: attribute(subject, ORGANIZATION_NAME).is_some_and(|name| name == ORGANIZATION),
        pin_policy: shown.pin_policy.or(pin),
        touch_policy: shown.touch_policy.or(touch),
    })
}

fn policies(certificate: &Certificate) -> (Option<PinPolicy>, Option<TouchPolicy>) {
    let extensions = certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
    let found = extensions.iter().find(|extension| extension.extn_id == POLICIES);
    match found.map(|extension| extension.extn_value.as_bytes()) {
        Some([pin, touch, ..]) => (PinPolicy::from_byte(*pin), TouchPolicy::from_byte(*touch)),
        _ => (None, None),
    }
}

/// What a certificate calls its key.
pub fn common_name(subject: &Name) -> Option<String> {
    attribute(subject, COMMON_NAME)
}

fn attribute(name: &Name, wanted: ObjectIdentifier) -> Option<String> {
    let attributes = name.0.iter().flat_map(|set| set.0.iter());
    attributes.filter(|attribute| attribute.oid == wanted).find_map(|found| text(&found.value))
}

fn text(value: &Any) -> Option<String> {
    let utf8 = Utf8StringRef::try_from(value).map(|text| text.as_str().to_owned());
    utf8.or_else(|_| PrintableStringRef::try_from(value).map(|text| text.as_str().to_owned())).ok()
}
