//! A record: one version of one credential, sealed under a key of its own, that key
//! sealed under the vault's, the whole signed by its author.

use jiff::Timestamp;
use keyrack_manifest::signed::{self, Signed};
use keyrack_manifest::{
    Class, CredId, Digest, EpochId, MemberId, Namespace, PublicKey, SigningKey, VaultId, Word,
};
use keyrack_names::{Secret, Slug};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::aead::{self, Associated, Sealed};
use crate::error::VaultError;
use crate::keys::{Compartment, Key, Keys, dek_commitment};

/// The longest value, in bytes.
pub(crate) const LONGEST_VALUE: usize = 1024 * 1024;
/// The largest record, in bytes.
pub(crate) const LARGEST: u64 = 2 * 1024 * 1024;

/// What a record says besides its value.
#[derive(Debug, Clone)]
pub struct OldMeta {
    /// The credential's class; decides its compartment.
    pub class: Class,
    /// How it came here.
    pub obtained_via: Word,
    /// When the credential itself ends.
    pub expires_at: Option<Timestamp>,
}

/// The first line of a record's file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    v: u32,
    vault_id: VaultId,
    epoch: EpochId,
    cred_id: CredId,
    version: u64,
    name: Slug,
    owner: MemberId,
    author: MemberId,
    visibility: Visibility,
    class: Class,
    compartment: Compartment,
    obtained_via: Word,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// What the record's own key commits to.
    dek_commit: Digest,
    body: Base64,
    wrap: Base64,
}

/// Whom a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Visibility {
    /// Every member with the compartment.
    Shared,
}

/// A ciphertext in a payload; shown by nobody's `Debug`.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Base64(Sealed);

impl std::fmt::Debug for Base64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Where a record belongs, and whose it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) vault: VaultId,
    pub(crate) cred: CredId,
    pub(crate) version: u64,
    pub(crate) name: &'a Slug,
    pub(crate) member: MemberId,
}

/// Seals and signs a value.
pub(crate) fn write(
    place: Place<'_>,
    keys: &Keys,
    meta: &OldMeta,
    value: &Secret,
    author: &SigningKey,
    now: Timestamp,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    if value.len() > LONGEST_VALUE {
        return Err(VaultError::TooLong { length: value.len(), limit: LONGEST_VALUE });
    }
    let compartment = Compartment::of(meta.class);
    let key = Key::random()?;
    let body = aead::seal(&key, value.expose(), &body_data(place, meta.class, compartment))?;
    let wrapping = keys.wrapping(compartment).ok_or(VaultError::OtherKeys)?;
    let wrapped = aead::seal(&wrapping, key.expose(), &wrap_data(place, keys.epoch()))?;
    let payload = Payload {
        v: 1,
        vault_id: place.vault,
        epoch: *keys.epoch(),
        cred_id: place.cred,
        version: place.version,
        name: place.name.clone(),
        owner: place.member,
        author: place.member,
        visibility: Visibility::Shared,
        class: meta.class,
        compartment,
        obtained_via: meta.obtained_via.clone(),
        created_at: now,
        expires_at: meta.expires_at,
        dek_commit: dek_commitment(&key, &place.vault),
        body: Base64(body),
        wrap: Base64(wrapped),
    };
    let bytes =
        signed::payload(&payload).unwrap_or_else(|e| unreachable!("a record is always JSON: {e}"));
    Ok(signed::sign(&bytes, Namespace::Cred, author))
}

/// What a record holds.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) value: Secret,
    pub(crate) meta: OldMeta,
    pub(crate) version: u64,
}

/// Checks a record against its place and opens it: signed by `author`, or vouched for by
/// the caller where there is `None`.
///
/// # Errors
/// In which way it is not what belongs there. `path` is for the error only.
pub(crate) fn open(
    bytes: &[u8],
    place: Place<'_>,
    keys: &Keys,
    author: Option<&PublicKey>,
    path: &std::path::Path,
) -> Result<Opened, VaultError> {
    let damaged = |source| VaultError::Signed { path: path.to_owned(), source };
    let signed = Signed::split(bytes).map_err(damaged)?;
    // Nothing is believed before the signature holds.
    if let Some(author) = author {
        signed.verify(Namespace::Cred, author).map_err(damaged)?;
    }
    let payload: Payload = signed.read().map_err(damaged)?;
    let moved = |what| Err(VaultError::Moved { path: path.to_owned(), what });
    let sealed = || VaultError::Sealed { path: path.to_owned() };
    match &payload {
        p if p.v != 1 => return moved("format"),
        p if p.vault_id != place.vault => return moved("vault"),
        p if p.epoch != *keys.epoch() => return moved("epoch"),
        p if p.cred_id != place.cred => return moved("credential"),
        p if p.version != place.version => return moved("version"),
        p if p.name != *place.name => return moved("name"),
        p if p.owner != place.member || p.author != place.member => return moved("owner"),
        p if p.compartment != Compartment::of(p.class) => return moved("compartment"),
        _ => {}
    }
    let wrapping = keys.wrapping(payload.compartment).ok_or_else(sealed)?;
    let key = aead::open(&wrapping, &payload.wrap.0, &wrap_data(place, keys.epoch()))
        .map_err(|_| sealed())?;
    let key = Key::from_secret(&key).ok_or_else(sealed)?;
    if dek_commitment(&key, &place.vault) != payload.dek_commit {
        return Err(sealed());
    }
    let data = body_data(place, payload.class, payload.compartment);
    let value = aead::open(&key, &payload.body.0, &data).map_err(|_| sealed())?;
    let meta = OldMeta {
        class: payload.class,
        obtained_via: payload.obtained_via,
        expires_at: payload.expires_at,
    };
    Ok(Opened { value, meta, version: place.version })
}

/// What the value is bound to.
fn body_data(place: Place<'_>, class: Class, compartment: Compartment) -> Associated {
    Associated::purpose("keyrack/v1/body")
        .and(place.vault.as_bytes())
        .and(place.cred.as_bytes())
        .and(place.name.to_string())
        .and(class.as_str())
        .and(compartment.as_str())
        .and_number(place.version)
}

/// What the record's key is bound to.
fn wrap_data(place: Place<'_>, epoch: &EpochId) -> Associated {
    Associated::purpose("keyrack/v1/wrap")
        .and(place.vault.as_bytes())
        .and(place.cred.as_bytes())
        .and_number(place.version)
        .and(place.member.as_bytes())
        .and("shared")
        .and(epoch.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record whose author signed what `rewrite` made of the payload.
    fn rewritten(rewrite: impl FnOnce(String) -> String) -> Result<Opened, VaultError> {
        let vault = VaultId::from_bytes([1; 32]);
        let name = "@all.all.A".parse().unwrap();
        let member = MemberId::from_bytes([2; 16]);
        let cred = CredId::from_bytes([3; 16]);
        let place = Place { vault, cred, version: 1, name: &name, member };
        let keys = Keys::random(vault, "0000000003-0011223344556677".parse().unwrap()).unwrap();
        let class = Class::LongLivedToken;
        let meta = OldMeta { class, obtained_via: Word::user(), expires_at: None };
        let author = SigningKey::generate().unwrap();
        let value = Secret::from(&b"value"[..]);
        let bytes = write(place, &keys, &meta, &value, &author, Timestamp::UNIX_EPOCH).unwrap();
        let payload = String::from_utf8(Signed::split(&bytes).unwrap().payload().to_vec()).unwrap();
        let bytes = signed::sign(rewrite(payload).as_bytes(), Namespace::Cred, &author);
        open(&bytes, place, &keys, Some(&author.public()), std::path::Path::new("record"))
    }

    #[test]
    fn a_record_signed_by_its_author_may_still_be_wrong() {
        assert_eq!(rewritten(|payload| payload).unwrap().value.expose(), b"value");
        for (from, to, what) in [
            ("\"v\":1", "\"v\":2", "its format is another"),
            ("\"version\":1", "\"version\":2", "its version is another"),
            ("0000000003", "0000000004", "its epoch is another"),
            ("long_lived_token", "password", "its compartment is another"),
            ("long_lived_token", "session", "does not open"),
            ("\"std\"", "\"password\"", "its compartment is another"),
            ("\"shared\"", "\"private\"", "its payload does not read"),
            ("\"v\":1", "\"v\":1,\"v\":1", "its payload does not read"),
            ("\"v\":1", "\"v\":1,\"w\":1", "its payload does not read"),
            ("\"author\":\"02", "\"author\":\"03", "its owner is another"),
        ] {
            let refused = rewritten(|payload| {
                assert!(payload.contains(from), "{payload}");
                payload.replacen(from, to, 1)
            });
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(what), "{from} -> {to}: {refused}");
        }
    }

    #[test]
    fn the_records_key_is_the_one_it_commits_to() {
        let other = dek_commitment(&Key::random().unwrap(), &VaultId::from_bytes([1; 32]));
        // The cipher alone does not bind its key: one record might open to two values.
        let refused = rewritten(|payload| {
            let (before, rest) = payload.split_once("\"dek_commit\":\"").unwrap();
            format!("{before}\"dek_commit\":\"{other}{}", &rest[64..])
        });
        assert!(matches!(refused, Err(VaultError::Sealed { .. })), "{refused:?}");
    }
}
