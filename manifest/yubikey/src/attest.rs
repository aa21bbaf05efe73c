//! What the maker says of a key: that it was made on a YubiKey and cannot leave it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyrack_piv::{Attestation, PivError, Slot};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::card::Card;
use crate::keys;

/// Where the certificate lies that signs attestations.
const SIGNER: u32 = 0x5f_ff01;

/// The attestation of the key in `slot` and the certificate that signed it, in PEM. `None`
/// where there is none: an imported key, or a YubiKey that does not attest.
///
/// # Errors
/// As [`Card::send`]; [`PivError::Other`] if it speaks of another key.
pub fn attest(card: &mut Card, slot: Slot) -> Result<Option<Attestation>, PivError> {
    let reply = card.send([0xf9, slot.id(), 0], &[])?;
    let Some(key) = keys::in_slot(card, slot)?.filter(|_| reply.is_yes()) else { return Ok(None) };
    let Ok(certificate) = Certificate::from_der(&reply.bytes) else { return Ok(None) };
    if keys::point_of(&certificate) != Some(key.point) {
        let serial = card.serial;
        return Err(PivError::Other {
            what: format!(
                "the attestation of slot {slot} of YubiKey {serial} speaks of another key"
            ),
        });
    }
    let signer = card.certificate(SIGNER)?;
    let all = [Some(reply.bytes.to_vec()), signer].into_iter().flatten();
    Ok(Some(Attestation(all.map(|der| pem(&der)).collect())))
}

fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<&str> =
        base64.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
