//! A manifest as text: YAML, then one line with the signature over every byte before it.
//!
//! Reading goes from cheap to dear, and every step has its own refusal: size, version,
//! the part of YAML we use, the document, its owner, its signature.

use keyrack_names::Owner;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::content::yaml::{self, YamlError};
use crate::{Manifest, Namespace};

/// The version of the manifest format that is written; older ones are read.
pub const VERSION: u32 = 1;

/// Largest manifest, decrypted, in bytes: about 35,000 keys.
pub(crate) const LARGEST: usize = 16 << 20;

/// Where counters and versions end, so that one more is a number too. JSON readers in
/// other languages know no larger ones.
const LAST: u64 = (1 << 53) - 1;

const SIGNATURE: &str = "signature: ";

/// Why a decrypted text is not a manifest of the owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not text, no signature line, or no version.
    #[error("it is not a manifest: {0}")]
    Shape(&'static str),
    /// YAML with parts a manifest has no use for.
    #[error("it is not a manifest keyrack wrote: {0}")]
    Yaml(#[from] YamlError),
    /// YAML that is no manifest of this version.
    #[error("it does not read as a manifest{}", .line.map(|line| format!(" (line {line})")).unwrap_or_default())]
    Document {
        /// Where reading stopped, counted from 1. What stands there is not shown: it may
        /// be a secret.
        line: Option<usize>,
    },
    /// Fields that must agree do not.
    #[error("it contradicts itself: {0}")]
    Inconsistent(&'static str),
    /// Written by a newer keyrack.
    #[error("it has version {theirs}; this keyrack reads up to {ours}")]
    Newer {
        /// The file's version.
        theirs: u32,
        /// The newest that is read.
        ours: u32,
    },
    /// Another owner's manifest under this owner's name.
    #[error("it is the manifest of {is}, put in the place of {expected}'s")]
    Swapped {
        /// Whose it says it is.
        is: Owner,
        /// Whose it should be.
        expected: Owner,
    },
    /// The signature does not hold.
    #[error("its signature does not hold")]
    BadSignature,
}

/// Writes `manifest` down and signs it with its own signing key.
///
/// # Errors
/// [`TextError::Inconsistent`], [`TextError::Yaml`] when it would not be read back: it is
/// larger than [`LARGEST`], or its parts disagree.
pub(crate) fn write(manifest: &Manifest) -> Result<Zeroizing<String>, TextError> {
    consistent(manifest)?;
    let yaml = serde_yaml::to_string(manifest)
        .map_err(|_| TextError::Inconsistent("it cannot be written as YAML"))?;
    let mut text = Zeroizing::new(yaml);
    // What is written is read again, whatever a name or a comment holds.
    yaml::check(&text)?;
    let signature = manifest.signing.key.sign(Namespace::Manifest, text.as_bytes());
    text.reserve_exact(SIGNATURE.len() + signature.len() + 1);
    for part in [SIGNATURE, &signature, "\n"] {
        text.push_str(part);
    }
    if text.len() > LARGEST {
        return Err(TextError::Inconsistent("it is larger than 16 MiB"));
    }
    Ok(text)
}

/// Reads `owner`'s manifest from a decrypted text, signature and all.
///
/// # Errors
/// [`TextError`]; nothing of the text is shown in it.
pub(crate) fn read(bytes: &[u8], owner: &Owner) -> Result<Manifest, TextError> {
    if bytes.len() > LARGEST {
        return Err(TextError::Shape("it is larger than 16 MiB"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| TextError::Shape("it is not UTF-8"))?;
    check_version(text)?;
    let (payload, signature) =
        split(text).ok_or(TextError::Shape("its last line is not a signature"))?;
    yaml::check(payload)?;
    let manifest: Manifest = serde_yaml::from_str(payload).map_err(|error| {
        TextError::Document { line: error.location().map(|place| place.line()) }
    })?;
    consistent(&manifest)?;
    if manifest.owner.name != *owner {
        return Err(TextError::Swapped { is: manifest.owner.name, expected: owner.clone() });
    }
    manifest
        .signing
        .key
        .public()
        .verify(Namespace::Manifest, payload.as_bytes(), signature)
        .map_err(|_| TextError::BadSignature)?;
    Ok(manifest)
}

/// The signed part, with its last newline, and the signature.
fn split(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_suffix('\n')?;
    let start = body.rfind('\n')? + 1;
    Some((&text[..start], body[start..].strip_prefix(SIGNATURE)?))
}

/// Versions are told apart before anything else is asked of the text: a newer format may
/// differ in everything but its first line.
fn check_version(text: &str) -> Result<(), TextError> {
    #[derive(Deserialize)]
    struct FirstLine {
        version: u32,
    }
    let first = text.lines().next().unwrap_or_default();
    let shape = TextError::Shape("its first line is not a version");
    if first.len() > 40 {
        return Err(shape);
    }
    let FirstLine { version } = serde_yaml::from_str(first).map_err(|_| shape.clone())?;
    match version {
        0 => Err(shape),
        VERSION => Ok(()),
        theirs => Err(TextError::Newer { theirs, ours: VERSION }),
    }
}

fn consistent(manifest: &Manifest) -> Result<(), TextError> {
    let labels: std::collections::BTreeSet<_> =
        manifest.recipients.iter().map(|backup| &backup.label).collect();
    let recipients = manifest.all_recipients();
    let twice = |at: usize| recipients[..at].contains(&recipients[at]);
    let wrong = [
        (manifest.version != VERSION, "its version"),
        (!(1..=LAST).contains(&manifest.counter), "its counter"),
        (manifest.rack.secret.len() != 32, "its rack secret"),
        (manifest.owner.via != manifest.owner.pubkey.via(), "its owner's kind of key"),
        (manifest.recipients.iter().any(|b| b.via != b.recipient.via()), "a backup's kind of key"),
        (labels.len() != manifest.recipients.len(), "a backup's label comes twice"),
        ((1..recipients.len()).any(twice), "a recipient comes twice"),
        (manifest.keys.iter().any(|(k, e)| *k != e.slug || !e.is_consistent()), "a key's name"),
        (manifest.keys.values().any(|e| e.cred.is_some_and(|c| c.version > LAST)), "a version"),
        (manifest.vaults.values().any(|vault| !vault.is_consistent()), "a vault's key"),
    ];
    match wrong.into_iter().find(|(wrong, _)| *wrong) {
        Some((_, what)) => Err(TextError::Inconsistent(what)),
        None => Ok(()),
    }
}
