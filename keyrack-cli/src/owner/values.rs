//! Where values come from and go to: the owner's personal vault. Other vaults are only
//! recorded until a backend for them is there.

use jiff::Timestamp;
use keyrack_manifest::{Entry, Manifest, VaultName};
use keyrack_names::{Secret, Slug};
use keyrack_vault::RecordMeta;
use keyrack_vault::personal::{NewRecord, Personal};

use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::policy::Policy;
use crate::settings::Settings;
use crate::words;

/// The longest value, in bytes.
pub const LONGEST: usize = 1024 * 1024;

/// `--vault`: `personal` (also `os.secure`), or the name of another.
///
/// # Errors
/// [`Code::Usage`] when it cannot be a vault's name.
pub fn vault_name(flag: Option<&str>) -> Outcome<VaultName> {
    match flag {
        None | Some("os.secure") => Ok(VaultName::personal()),
        Some(name) => name.parse().map_err(|e| Failure::new(Code::Usage, format!("--vault: {e}"))),
    }
}

/// The owner's personal vault, opened with what the manifest holds.
///
/// # Errors
/// [`Code::Tampered`] when it is not what was written.
pub fn open_personal(manifest: &Manifest, settings: &Settings) -> Outcome<Personal> {
    let owner = &manifest.owner.name;
    let (id, vault) = manifest.personal_vault().ok_or_else(|| {
        Failure::new(Code::Tampered, format!("{owner}'s manifest names no personal vault"))
    })?;
    Personal::open(
        &settings.places.personal_vault(owner),
        id,
        vault,
        manifest.signing.key.public(),
        manifest.signing.member,
    )
    .map_err(|e| words::vault(e, owner))
}

/// The value of `slug`, from the personal vault.
///
/// # Errors
/// [`Code::Absent`] when there is no such entry.
pub fn personal(opened: &mut Opened, settings: &Settings, slug: &Slug) -> Outcome<Secret> {
    let read = |opened: &Opened| {
        let absent = || Failure::new(Code::Absent, format!("{} has no {slug}", opened.owner));
        let entry = opened.manifest.keys.get(slug).ok_or_else(absent)?;
        value(entry, &open_personal(&opened.manifest, settings)?, &opened.manifest)
    };
    match read(opened) {
        Err(failure) if failure.code == Code::Tampered && opened.refresh(settings)? => read(opened),
        other => other,
    }
}

/// The value of one entry.
///
/// # Errors
/// [`Code::Unexpected`] naming the backend that is missing; [`Code::Tampered`] when the
/// record is not what was written.
pub fn value(entry: &Entry, vault: &Personal, manifest: &Manifest) -> Outcome<Secret> {
    let owner = &manifest.owner.name;
    if !entry.vault.is_personal() {
        return Err(Failure::new(
            Code::Unexpected,
            format!(
                "{} lives in {}, and this keyrack has no backend for that",
                entry.slug, entry.vault
            ),
        ));
    }
    let record = entry.cred.as_ref().ok_or_else(|| {
        Failure::new(
            Code::Tampered,
            format!("{owner}'s manifest names no record for {}", entry.slug),
        )
    })?;
    vault.get(record, &entry.slug).map_err(|e| words::vault(e, owner))
}

/// A value without its last newline, if it ends in one.
pub fn trimmed(value: &Secret) -> Secret {
    match value.expose().strip_suffix(b"\n") {
        Some(line) => Secret::from(line.strip_suffix(b"\r").unwrap_or(line)),
        None => value.clone(),
    }
}

/// A value of `length` bytes is more than any file format of ours holds.
pub fn too_long(length: usize) -> Failure {
    Failure::new(Code::Usage, format!("the value has {length} bytes; the limit is {LONGEST}"))
}

/// What is being set.
#[derive(Debug)]
pub struct NewValue<'a> {
    /// Its name.
    pub slug: &'a Slug,
    /// Its value.
    pub value: &'a Secret,
    /// What the entry is to say; the record's place is filled in.
    pub entry: Entry,
}

/// Writes a value into the personal vault and its entry into `manifest`.
///
/// # Errors
/// As [`put_all`].
pub fn put(
    manifest: &mut Manifest,
    settings: &Settings,
    new: NewValue<'_>,
    now: Timestamp,
) -> Outcome {
    put_all(manifest, settings, vec![new], now)
}

/// Writes values into the personal vault and their entries into `manifest`: the records
/// are in place before the manifest names them.
///
/// # Errors
/// [`Code::Usage`] when a value is too long; [`Code::Denied`] when its class is forbidden here;
/// else as [`open_personal`].
pub fn put_all(
    manifest: &mut Manifest,
    settings: &Settings,
    new: Vec<NewValue<'_>>,
    now: Timestamp,
) -> Outcome {
    if let Some(new) = new.iter().find(|new| new.value.len() > LONGEST) {
        return Err(too_long(new.value.len()));
    }
    let policy = Policy::read(settings)?;
    new.iter().try_for_each(|new| policy.allows(new.entry.class))?;
    let records: Vec<NewRecord<'_>> = new
        .iter()
        .map(|NewValue { slug, value, entry }| NewRecord {
            name: slug,
            about: RecordMeta {
                obtained_via: entry.obtained_via.clone(),
                expires_at: entry.expires_at,
                max_duration: entry.max_duration,
                ..RecordMeta::of(entry.class)
            },
            created_at: entry.created_at,
            value,
            previous: manifest.keys.get(*slug).and_then(|entry| entry.cred),
        })
        .collect();
    let written = open_personal(manifest, settings)?
        .put(&manifest.signing.key, &records, now)
        .map_err(|e| words::vault(e, &manifest.owner.name))?;
    for (new, record) in new.into_iter().zip(written) {
        manifest.keys.insert(new.slug.clone(), Entry { cred: Some(record), ..new.entry });
    }
    Ok(())
}

/// Removes the files that `before` named and `after`, which is committed, does not. Best
/// effort: what stays is ciphertext that nobody names, and the next writer's to remove.
pub fn discard(before: &Manifest, after: &Manifest, settings: &Settings) {
    let Ok(vault) = open_personal(after, settings) else { return };
    let named = |slug: &Slug| after.keys.get(slug).and_then(|entry| entry.cred);
    let dropped = before
        .keys
        .values()
        .filter_map(|entry| entry.cred.filter(|cred| named(&entry.slug) != Some(*cred)));
    let _ = vault.discard(dropped);
    let _ = opened::store(settings).at_rest(after, || vault.tidy());
}
