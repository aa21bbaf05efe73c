//! New private keys, made in process: `ssh-keygen` would cost 10 ms and a pipe.

use std::path::Path;
use std::time::{Duration, SystemTime};

use age::secrecy::ExposeSecret as _;
use keyrack_names::Secret;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};
use zeroize::Zeroizing;

use crate::disk::atomic::{self, FileError};
use crate::key::search::pub_beside;
use crate::{IdentityError, Recipient};

/// No maker takes as long.
const HOUR: Duration = Duration::from_secs(3600);

/// Makes an Ed25519 key without a passphrase in OpenSSH's form at `path` (0600), its
/// public half beside it in `.pub` (0644), and the directory (0700) if it is missing.
///
/// # Errors
/// [`IdentityError::Exists`] when either file exists; the files cannot be written.
pub fn ssh_ed25519(path: &Path, comment: &str) -> Result<Recipient, IdentityError> {
    let pub_path = pub_beside(path);
    if let Some(there) = [path, &pub_path].into_iter().find(|path| path.symlink_metadata().is_ok())
    {
        return Err(IdentityError::Exists { path: there.to_owned() });
    }
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)?;
    let comment: String = comment.chars().filter(|c| !c.is_control()).take(128).collect();
    let key = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), comment);
    let encoded =
        key.and_then(|key| Ok((key.to_openssh(LineEnding::LF)?, key.public_key().to_openssh()?)));
    let (private, public) =
        encoded.map_err(|_| IdentityError::NotAKey { path: path.to_owned() })?;
    create(path, private.as_bytes(), 0o600)?;
    create(&pub_path, format!("{public}\n").as_bytes(), 0o644)?;
    Recipient::parse(&public)
        .map_err(|source| IdentityError::Recipient { path: path.to_owned(), source })
}

/// Makes an age identity at `path` (0600), as `age-keygen` writes it, and the directory
/// (0700) if it is missing.
///
/// # Errors
/// [`IdentityError::Exists`]; the file cannot be written.
pub fn age_file(path: &Path) -> Result<Recipient, IdentityError> {
    let (text, recipient) = age_text()?;
    let mut file = Zeroizing::new(format!("# public key: {recipient}\n").into_bytes());
    file.reserve_exact(text.len());
    file.extend_from_slice(text.expose());
    create(path, &file, 0o600)?;
    Ok(recipient)
}

/// Makes an age identity that is kept elsewhere than in a file: its one line, and the
/// recipient.
///
/// # Errors
/// [`IdentityError::Recipient`], if age made what it does not take.
pub fn age_text() -> Result<(Secret, Recipient), IdentityError> {
    let key = age::x25519::Identity::generate();
    let recipient = Recipient::parse(&key.to_public().to_string())
        .map_err(|source| IdentityError::Recipient { path: "(new key)".into(), source })?;
    let text = Zeroizing::new(format!("{}\n", key.to_string().expose_secret()).into_bytes());
    Ok((Secret::from(&text[..]), recipient))
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
    // Keys of makers that were killed, to which nothing is sealed.
    atomic::sweep_beside(path, SystemTime::now() - HOUR)?;
    match atomic::create_new(path, bytes, mode) {
        Err(FileError { source, path, .. })
            if source.kind() == std::io::ErrorKind::AlreadyExists =>
        {
            Err(IdentityError::Exists { path })
        }
        other => Ok(other?),
    }
}
