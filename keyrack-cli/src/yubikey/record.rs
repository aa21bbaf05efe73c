//! The attestation of an owner's key: public, beside the owner's card, for anybody to check
//! against the maker's own certificate.

use keyrack_manifest::atomic;
use keyrack_names::Owner;
use keyrack_piv::Attestation;

use crate::error::{Context as _, Outcome};
use crate::settings::Settings;

/// Writes it.
///
/// # Errors
/// When it cannot be written.
pub fn attestation(attestation: &Attestation, handle: &Owner, settings: &Settings) -> Outcome {
    let path = settings.places.attestation(handle);
    atomic::replace(&path, attestation.0.as_bytes()).context(|| path.display().to_string())
}
