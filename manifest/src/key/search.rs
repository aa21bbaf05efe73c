//! Which private key opens an owner's manifest: where to look, in which order, and what
//! to say when nothing found serves.

use std::io;
use std::path::{Path, PathBuf};

use keyrack_names::Owner;

use crate::key::identity::{Tried, Why};
use crate::key::seal::{self, OpenError};
use crate::{Header, Identity, IdentityError, IdentityFile, Means, Pin, Places, Recipient};

/// Where to look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The file named on the command line. Nothing else is tried then.
    pub flag: Option<PathBuf>,
    /// The file named in the environment.
    pub env: Option<PathBuf>,
    /// `~/.ssh`.
    pub ssh_dir: Option<PathBuf>,
}

impl Search {
    /// The files to try, in order: flag; environment, `id_ed25519_<owner>`, the path that
    /// served before, `keys/<owner>.txt`, and for `human` the default keys of ssh.
    pub fn candidates(&self, owner: &Owner, pin: Option<&Pin>, places: &Places) -> Vec<PathBuf> {
        if let Some(flag) = &self.flag {
            return vec![flag.clone()];
        }
        let ssh = |name: &str| self.ssh_dir.as_ref().map(|dir| dir.join(name));
        let mut paths = vec![
            self.env.clone(),
            ssh(&format!("id_ed25519_{owner}")),
            pin.and_then(|pin| pin.identity_path.clone()),
            Some(places.age_key(owner)),
        ];
        if owner.is_human() {
            paths.extend([ssh("id_ed25519"), ssh("id_rsa")]);
        }
        let mut found: Vec<PathBuf> = Vec::new();
        for path in paths.into_iter().flatten() {
            if !found.contains(&path) {
                found.push(path);
            }
        }
        found
    }
}

/// What is to be opened.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Whom it is known to be sealed to; may be empty.
    pub recipients: &'a [Recipient],
    /// The age file itself, to try keys on that match no known recipient.
    pub sealed: Option<&'a [u8]>,
}

/// Finds a key among `candidates` that opens `target`, and unlocks it: by recipient
/// first, by trial second. Of several that fit, one that needs no person comes first.
///
/// # Errors
/// [`IdentityError::NoIdentity`] with everything tried; or why the key that fits could
/// not be unlocked.
pub fn unlock_for(
    target: &Target<'_>,
    candidates: &[PathBuf],
    means: &Means,
) -> Result<Identity, IdentityError> {
    let mut tried = Vec::new();
    let mut files = Vec::new();
    for path in candidates {
        match IdentityFile::read(path) {
            Ok(file) => files.push(file),
            Err(error) => tried.push(Tried { path: path.clone(), why: why_not(error) }),
        }
    }
    files.sort_by_key(IdentityFile::needs_person);
    let header = target.sealed.and_then(Header::read);
    let (fitting, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| fits(file, target.recipients, header.as_ref()));

    let mut first_error = None;
    for file in &fitting {
        match file.unlock(means) {
            Ok(identity) => return Ok(identity),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    for file in &others {
        if let Some(identity) = try_silently(file, target, means) {
            return Ok(identity);
        }
        tried.push(Tried { path: file.path().to_owned(), why: Why::OtherKey });
    }
    Err(first_error.unwrap_or_else(|| {
        // In the order they were looked for, which is the order people know.
        tried.sort_by_key(|tried| candidates.iter().position(|path| *path == tried.path));
        IdentityError::NoIdentity { tried }
    }))
}

/// Whether the file's public half says that it opens the target.
fn fits(file: &IdentityFile, recipients: &[Recipient], header: Option<&Header<'_>>) -> bool {
    let known = |public: &Recipient| recipients.iter().any(|r| r.same_key(public));
    let shown = |public: &Recipient| header.and_then(|h| h.sealed_to(public));
    file.publics().iter().any(|public| shown(public).unwrap_or_else(|| known(public)))
        || file.is_stub_of(recipients, header)
        || recipients.iter().any(|recipient| file.may_be_plugin_of(recipient))
}

/// Tries a key on the file itself, where that disturbs nobody.
fn try_silently(file: &IdentityFile, target: &Target<'_>, means: &Means) -> Option<Identity> {
    let sealed = target.sealed.filter(|_| !file.needs_person())?;
    let identity = file.unlock(means).ok()?;
    // A limit of nothing: only whether the key fits is asked, not what is inside. A file
    // that is damaged further on is told as that, by whoever opens it.
    match seal::open(&identity, sealed, 0) {
        Err(OpenError::OtherKey | OpenError::NotAge) => None,
        _ => Some(identity),
    }
}

fn why_not(error: IdentityError) -> Why {
    match error {
        IdentityError::File(error) if error.source.kind() == io::ErrorKind::NotFound => {
            Why::Missing
        }
        error => Why::Unusable(Box::new(error)),
    }
}

/// The public half that lies beside a private key.
pub(crate) fn pub_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}
