//! What the errors of the crates below mean for a person: the exit code, and what to type
//! next.

use std::path::Path;

use keyrack_manifest::{
    Conflict, IdentityError, SealError, StoreError, Tampered, Tried, UpdateError, Why,
};
use keyrack_names::Owner;
use keyrack_vault::VaultError;

use crate::error::{Code, Failure};
use crate::yubikey;

/// A manifest could not be opened or written.
pub fn store(error: StoreError, owner: &Owner) -> Failure {
    let message = error.to_string();
    let (code, hint) = match error {
        StoreError::Absent { path, .. } => return absent(owner, &path),
        StoreError::WrongKey { .. } => {
            (Code::NoIdentity, Some(format!("keyrack unlock --for {owner} --identity FILE")))
        }
        StoreError::Yubikey(error) => return yubikey::words::of_owner(error, owner),
        StoreError::Plugin { .. } => (Code::NoIdentity, None),
        StoreError::Seal(SealError::PluginMissing { ref program, .. }) => {
            (Code::NoIdentity, Some(install(program)))
        }
        StoreError::Tampered {
            kind:
                Tampered::Rollback { .. }
                | Tampered::OtherSigner { .. }
                | Tampered::OtherRack
                | Tampered::RecipientsChanged { .. },
            ..
        } => (Code::Tampered, Some(format!("keyrack doctor --for {owner} --accept-restored"))),
        StoreError::Tampered { .. } => {
            (Code::Tampered, Some(format!("keyrack doctor --for {owner} --fix")))
        }
        StoreError::Newer { .. } => {
            let failure = Failure::new(Code::Tampered, message).hint("install a newer keyrack");
            return failure.hint(format!("keyrack doctor --for {owner} --fix"));
        }
        StoreError::Busy { .. } => (Code::TimedOut, None),
        StoreError::Conflict { conflict: Conflict::OtherBackups { .. }, .. } => {
            (Code::Conflict, Some(format!("keyrack recipient add --for {owner} RECIPIENT")))
        }
        StoreError::Conflict { conflict: Conflict::BackupOnly { .. }, .. } => {
            (Code::Conflict, Some(format!("keyrack doctor --for {owner} --fix")))
        }
        StoreError::Conflict { conflict: Conflict::VaultOnly { .. }, .. } => {
            return to_be_restored(Failure::new(Code::Conflict, message), owner);
        }
        StoreError::Conflict { .. } => {
            (Code::Conflict, Some(format!("keyrack recipient list --for {owner}")))
        }
        StoreError::HandleTaken { .. } => {
            (Code::Conflict, Some(format!("keyrack init --for {owner} --handle NAME")))
        }
        StoreError::Provisional { .. } => {
            (Code::Conflict, Some(format!("keyrack unlock --for {owner}")))
        }
        StoreError::File(_)
        | StoreError::Seal(_)
        | StoreError::Unwritable(_)
        | StoreError::ReadBack { .. }
        | StoreError::Random(_) => (Code::Unexpected, None),
    };
    with(Failure::new(code, message), hint)
}

/// There is no such owner.
pub fn absent(owner: &Owner, manifest: &Path) -> Failure {
    let message = format!("there is no owner {owner} here: {} does not exist", manifest.display());
    Failure::new(Code::Absent, message).hint(format!("keyrack init --for {owner}"))
}

/// There is no manifest, and its backup is there.
pub fn backup_only(owner: &Owner, manifest: &Path, backup: &Path) -> Failure {
    let message = format!("{} is gone; {} is there", manifest.display(), backup.display());
    Failure::new(Code::Tampered, message).hint(format!("keyrack doctor --for {owner} --fix"))
}

/// There is no manifest and no backup, and the owner's vault is there.
pub fn vault_only(owner: &Owner, manifest: &Path, vault: &Path) -> Failure {
    let message = format!("{} is gone; {} is there", manifest.display(), vault.display());
    to_be_restored(Failure::new(Code::Tampered, message), owner)
}

fn to_be_restored(failure: Failure, owner: &Owner) -> Failure {
    failure
        .hint(format!("put host.{owner}.yml.age back from a copy of it"))
        .hint(format!("or begin anew, without what is in the vault: keyrack destroy --for {owner}"))
}

/// A change of a manifest was not made.
pub fn update(error: UpdateError<Failure>, owner: &Owner) -> Failure {
    match error {
        UpdateError::Store(error) => store(error, owner),
        UpdateError::Refused(failure) => failure,
    }
}

/// No private key serves.
pub fn identity(error: IdentityError, owner: &Owner) -> Failure {
    let message = format!("{owner}: {error}");
    let (code, hint) = match &error {
        IdentityError::NoIdentity { tried } if too_open(tried).is_some() => {
            let path = too_open(tried).map(|path| path.display().to_string()).unwrap_or_default();
            (Code::NoIdentity, Some(format!("chmod 600 {path}")))
        }
        IdentityError::NoIdentity { .. } => {
            (Code::NoIdentity, Some(format!("keyrack unlock --for {owner} --identity FILE")))
        }
        IdentityError::Declined { .. } => (Code::NeedsPerson, None),
        IdentityError::Prompt { .. } => (
            Code::NeedsPerson,
            Some("run it in a terminal, or give the passphrase by KEYRACK_PASSPHRASE_FD or KEYRACK_ASKPASS".to_owned()),
        ),
        IdentityError::Hardware { .. } => {
            (Code::NeedsPerson, Some(format!("keyrack unlock --for {owner}")))
        }
        IdentityError::PluginMissing { program, .. } => {
            (Code::NoIdentity, Some(install(program)))
        }
        IdentityError::TooOpen { path, .. } => (Code::NoIdentity, Some(format!("chmod 600 {}", path.display()))),
        IdentityError::Random(_) | IdentityError::File(_) => (Code::Unexpected, None),
        _ => (Code::NoIdentity, None),
    };
    with(Failure::new(code, message), hint)
}

/// A key file that was passed over because others may read it.
fn too_open(tried: &[Tried]) -> Option<&Path> {
    tried.iter().find_map(|tried| match &tried.why {
        Why::Unusable(error) => match error.as_ref() {
            IdentityError::TooOpen { path, .. } => Some(path.as_path()),
            _ => None,
        },
        _ => None,
    })
}

/// A vault could not be read or written.
pub fn vault(error: VaultError, owner: &Owner) -> Failure {
    if let VaultError::Seal(SealError::PluginMissing { program, .. }) = &error {
        return Failure::new(Code::NoIdentity, format!("{owner}: {error}")).hint(install(program));
    }
    let code = if error.is_tampering() { Code::Tampered } else { Code::Unexpected };
    let failure = Failure::new(code, format!("{owner}: {error}"));
    let hint = (code == Code::Tampered).then(|| format!("keyrack doctor --for {owner}"));
    with(failure, hint)
}

fn install(program: &str) -> String {
    format!("install {program} into a directory of the PATH")
}

fn with(failure: Failure, hint: Option<String>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
