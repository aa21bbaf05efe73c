//! From what stands after `--pubkey` to a recipient: a public key file, a private key's
//! path (its public half is used), the recipient itself, or `-` for stdin.

use std::io::Read;
use std::path::{Path, PathBuf};

use keyrack_manifest::{IdentityFile, Recipient};

use crate::bounded;
use crate::error::{Code, Failure, Outcome};
use crate::system::streams::Stdin;

/// No public key is longer.
const LONGEST: u64 = 64 * 1024;

/// A recipient, and the file it came from.
#[derive(Debug)]
pub struct Key {
    /// The recipient.
    pub recipient: Recipient,
    /// Where its private half may be: the file named, or the one beside a `.pub`.
    pub private: Option<PathBuf>,
    /// The files that were made for it just now.
    pub made: Vec<PathBuf>,
}

impl Key {
    /// A key that was there.
    pub fn found(recipient: Recipient, private: Option<PathBuf>) -> Self {
        Self { recipient, private, made: Vec::new() }
    }

    /// Removes what was made for it, since nothing is sealed to it. Best effort: what stays
    /// is a key that opens nothing.
    pub fn take_back(&self) {
        for file in &self.made {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Reads what stands after `--pubkey`.
///
/// # Errors
/// [`Code::NoIdentity`] when there is no key there that can be a recipient.
pub fn read(text: &str) -> Outcome<Key> {
    if text == "-" {
        return parse(&bounded::text(Stdin, LONGEST, "stdin")?, None);
    }
    if text.starts_with("age1")
        || text.starts_with("ssh-")
        || text.starts_with("ecdsa-")
        || text.starts_with("sk-")
    {
        return parse(text, None);
    }
    from_file(Path::new(text))
}

/// Reads a public key file, or the public half of a private key.
///
/// # Errors
/// [`Code::NoIdentity`] when there is no key there that can be a recipient.
pub fn from_file(path: &Path) -> Outcome<Key> {
    let bad = |why: String| Failure::new(Code::NoIdentity, format!("{}: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|e| bad(e.to_string()))?;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    file.take(LONGEST).read_to_end(&mut bytes).map_err(|e| bad(e.to_string()))?;
    let is_private = bytes.starts_with(b"-----BEGIN")
        || contains(&bytes, b"AGE-SECRET-KEY-")
        || contains(&bytes, b"AGE-PLUGIN-");
    if is_private {
        let private =
            IdentityFile::read(path).map_err(|e| Failure::new(Code::NoIdentity, e.to_string()))?;
        let recipient = private.public().cloned().ok_or_else(|| {
            bad("its public half cannot be told without its passphrase: give the .pub file".into())
        })?;
        return Ok(Key::found(recipient, Some(path.to_owned())));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("not a key".into()))?;
    let private = path
        .extension()
        .is_some_and(|e| e == "pub")
        .then(|| path.with_extension(""))
        .filter(|p| p.is_file());
    parse(text, private).map_err(|failure| Failure {
        message: format!("{}: {}", path.display(), failure.message),
        ..failure
    })
}

fn parse(text: &str, private: Option<PathBuf>) -> Outcome<Key> {
    let recipient =
        Recipient::parse(text.trim()).map_err(|e| Failure::new(Code::NoIdentity, e.to_string()))?;
    Ok(Key::found(recipient, private))
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
