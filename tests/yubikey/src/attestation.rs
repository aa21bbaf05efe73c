//! The certificate by which a card says that a key was made on it: Yubico's extensions,
//! under a root of our own.

use sha2::{Digest as _, Sha256};

use crate::firmware::Firmware;
use crate::keys::{Key, PinPolicy, TouchPolicy};
use crate::tlv::tlv;
use crate::{Status, der};

/// Yubico's extensions for PIV: 1.3.6.1.4.1.41482.3.
const YUBICO: [u8; 9] = [0x2b, 6, 1, 4, 1, 0x82, 0xc4, 0x0a, 3];
/// The object that holds the attesting key's own certificate.
pub(crate) const OBJECT: &[u8] = &[0x5f, 0xff, 0x01];
const ISSUER: &str = "Yubico PIV Attestation";

/// The key a card attests with.
pub(crate) fn key() -> Key {
    Key::random(PinPolicy::Never, TouchPolicy::Never)
}

/// The attesting key's certificate, as the object holds it.
pub(crate) fn own(attesting: &Key) -> Result<Vec<u8>, Status> {
    // "Basic constraints: may sign others."
    let authority = der::extension(&[0x55, 0x1d, 0x13], &der::sequence(&[tlv(0x01, &[0xff])]));
    let certificate = certificate(attesting, ISSUER, ISSUER, attesting, &[authority])?;
    Ok([tlv(0x70, &certificate), tlv(0x71, &[0]), tlv(0xfe, &[])].concat())
}

/// Says of `key` in `slot` where it was made and what it asks.
pub(crate) fn attest(
    attesting: &Key,
    (slot, key): (u8, &Key),
    firmware: Firmware,
    serial: u32,
) -> Result<Vec<u8>, Status> {
    let extension =
        |number: u8, value: &[u8]| der::extension(&[&YUBICO[..], &[number]].concat(), value);
    let extensions = [
        extension(3, &firmware.bytes()),
        extension(7, &der::integer(&serial.to_be_bytes())),
        extension(8, &[key.pin as u8, key.touch as u8]),
        // A key chain with USB-A.
        extension(9, &[1]),
    ];
    let subject = format!("YubiKey PIV Attestation {slot:02x}");
    certificate(attesting, ISSUER, &subject, key, &extensions)
}

fn certificate(
    signer: &Key,
    issuer: &str,
    subject: &str,
    key: &Key,
    extensions: &[Vec<u8>],
) -> Result<Vec<u8>, Status> {
    let body = der::sequence(&[
        tlv(0xa0, &der::integer(&[2])),
        der::integer(&Sha256::digest(key.point())[..16]),
        der::ecdsa(),
        der::name(issuer),
        der::validity(),
        der::name(subject),
        der::public_key(&key.point()),
        tlv(0xa3, &der::sequence(extensions)),
    ]);
    let signature = signer.sign(&Sha256::digest(&body))?;
    Ok(der::sequence(&[body, der::ecdsa(), der::bits(&signature)]))
}
