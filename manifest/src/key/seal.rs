//! Bytes to an age file for some recipients, and back with an identity. No files here.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};

use keyrack_names::Secret;
use keyrack_piv::PivError;
use zeroize::Zeroizing;

use crate::key::header::MAGIC;
use crate::key::piv;
use crate::key::recipient::Kind;
use crate::{Header, Identity, Recipient};

/// Most recipients of one file: beyond, age's header handling grows with their square.
const MOST: usize = 20;

/// Why something could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A plugin's program is not installed.
    #[error("{program} is not on the PATH, and {recipient} needs it")]
    PluginMissing {
        /// The program.
        program: String,
        /// For which recipient.
        recipient: String,
    },
    /// Too many recipients.
    #[error("{count} recipients, where at most {MOST} are possible")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The age library or a plugin refused.
    #[error("sealing failed: {0}")]
    Refused(String),
}

/// Why an age file could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The first line is not that of an age file.
    #[error("it is not an age file")]
    NotAge,
    /// It ends too early.
    #[error("it is cut short")]
    Truncated,
    /// Something in it was altered.
    #[error("it is damaged, or was altered")]
    Damaged,
    /// It decrypts to more than is taken.
    #[error("it holds more than {limit} bytes")]
    TooLarge {
        /// The most that is taken, in bytes.
        limit: usize,
    },
    /// It is sealed to other keys.
    #[error("it is sealed to another key")]
    OtherKey,
    /// A YubiKey refused or failed.
    #[error(transparent)]
    Yubikey(PivError),
    /// A plugin refused or failed.
    #[error("the age plugin failed: {0}")]
    Plugin(String),
}

/// Seals `plain` to every one of `recipients`.
///
/// # Errors
/// [`SealError`]; Ed25519, RSA and X25519 recipients never cause one.
pub fn seal(recipients: &[Recipient], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    if recipients.len() > MOST {
        return Err(SealError::TooMany { count: recipients.len() });
    }
    let keys: Vec<Box<dyn age::Recipient>> =
        recipients.iter().map(age_recipient).collect::<Result<_, _>>()?;
    let refused = |error: &dyn std::fmt::Display| SealError::Refused(plain_text(error));
    let encryptor = age::Encryptor::with_recipients(keys.iter().map(|key| &**key))
        .map_err(|error| refused(&error))?;
    let mut sealed = Vec::with_capacity(plain.len() + plain.len() / 4096 + 1024);
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(|error| refused(&error))?;
    writer.write_all(plain).and_then(|()| writer.finish().map(drop)).map_err(|e| refused(&e))?;
    Ok(sealed)
}

/// Opens an age file with `identity`, taking at most `limit` bytes of plaintext.
///
/// # Errors
/// [`OpenError`].
pub fn open(identity: &Identity, sealed: &[u8], limit: usize) -> Result<Secret, OpenError> {
    if !sealed.starts_with(MAGIC) {
        let cut = MAGIC.starts_with(sealed);
        return Err(if cut { OpenError::Truncated } else { OpenError::NotAge });
    }
    if Header::is_excessive(sealed) {
        return Err(OpenError::Damaged);
    }
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(open_error)?;
    let reader = decryptor.decrypt(identity.keys()).map_err(key_error)?;
    let room = sealed.len().min(limit + 1);
    let mut plain = Zeroizing::new(Vec::with_capacity(room));
    reader.take(limit as u64 + 1).read_to_end(&mut plain).map_err(|e| io_error(&e))?;
    if plain.len() > limit {
        return Err(OpenError::TooLarge { limit });
    }
    Ok(Secret::new(std::mem::take(&mut *plain)))
}

fn age_recipient(recipient: &Recipient) -> Result<Box<dyn age::Recipient>, SealError> {
    Ok(match recipient.kind() {
        Kind::Ssh { key, .. } => Box::new(key.clone()),
        Kind::Age(key) => Box::new(key.clone()),
        Kind::Piv(key) => Box::new(key.clone()),
        Kind::Plugin(key) => {
            let plugin = age::plugin::RecipientPluginV1::new(
                key.plugin(),
                std::slice::from_ref(key),
                &[],
                age::NoCallbacks,
            );
            Box::new(plugin.map_err(|_| SealError::PluginMissing {
                program: format!("age-plugin-{}", key.plugin()),
                recipient: recipient.to_string(),
            })?)
        }
    })
}

/// Why the keys did not open it. The file lies in memory, so it can end too early; whatever
/// else goes wrong in reading and writing does so between us and a plugin.
fn key_error(error: age::DecryptError) -> OpenError {
    match error {
        age::DecryptError::Io(error)
            if piv::refusal(&error).is_none() && error.kind() != io::ErrorKind::UnexpectedEof =>
        {
            OpenError::Plugin(plain_text(&error))
        }
        other => open_error(other),
    }
}

fn open_error(error: age::DecryptError) -> OpenError {
    use age::DecryptError as E;
    match error {
        E::NoMatchingKeys => OpenError::OtherKey,
        E::Io(error) => match piv::refusal(&error) {
            Some(refusal) => OpenError::Yubikey(refusal.clone()),
            None => io_error(&error),
        },
        E::UnknownFormat => OpenError::NotAge,
        E::Plugin(_) | E::PluginResolve(_) => OpenError::Plugin(plain_text(&error)),
        _ => OpenError::Damaged,
    }
}

fn io_error(error: &io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => OpenError::Truncated,
        _ => OpenError::Damaged,
    }
}

/// An error of the age library as one line: its messages carry marks for bidirectional
/// text, and a plugin's may carry anything. Its advice to trace a plugin's secrets is no
/// advice of ours.
fn plain_text(error: &dyn std::fmt::Display) -> String {
    let unwanted: BTreeSet<char> =
        ('\u{2066}'..='\u{2069}').chain('\u{202a}'..='\u{202e}').collect();
    let text = error.to_string();
    let said: Vec<&str> = text.lines().take_while(|line| !line.contains("AGEDEBUG")).collect();
    let text = said.join("\n");
    let clean = text.chars().filter(|c| !unwanted.contains(c));
    clean.map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
