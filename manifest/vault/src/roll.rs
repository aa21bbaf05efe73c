//! The roll of an epoch: every record it began with, by digest, named by the chain. Whoever
//! sees the vault for the first time knows by it what must be there. One of nothing needs
//! no file.

use std::collections::BTreeMap;

use keyrack_manifest::{CredId, Digest, EpochId, MemberId};

use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::names;

/// Largest roll, in bytes: 100,000 records.
const LARGEST: u64 = 16 << 20;

/// What the roll says of one credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The version the epoch began with.
    pub(crate) version: u64,
    /// Whose it was.
    pub(crate) owner: MemberId,
    /// SHA-256 of its file.
    pub(crate) digest: Digest,
}

/// Every credential that was shared when the epoch began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Roll(pub(crate) BTreeMap<CredId, Listed>);

impl Roll {
    /// One line for each: credential, version, owner, digest.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let line = |(cred, listed): (&CredId, &Listed)| {
            let Listed { version, owner, digest } = listed;
            format!("{cred} {version} {owner} {digest}\n")
        };
        self.0.iter().map(line).collect::<String>().into_bytes()
    }

    /// The roll that the chain names.
    ///
    /// # Errors
    /// [`VaultError::Missing`], [`VaultError::Altered`], [`VaultError::File`].
    pub(crate) fn read(
        store: &dyn VaultStore,
        epoch: &EpochId,
        root: &Digest,
    ) -> Result<Self, VaultError> {
        if *root == Digest::of(b"") {
            return Ok(Self::default());
        }
        let name = names::roll(epoch, root);
        let bytes = store.get(&name, LARGEST)?;
        let bytes = bytes.ok_or_else(|| VaultError::Missing { path: name.as_str().into() })?;
        let altered = || VaultError::Altered { path: name.as_str().into() };
        if Digest::of(&bytes) != *root {
            return Err(altered());
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| altered())?;
        text.lines().map(|line| parse(line).ok_or_else(altered)).collect::<Result<_, _>>().map(Self)
    }
}

fn parse(line: &str) -> Option<(CredId, Listed)> {
    let mut words = line.split(' ');
    let (cred, version, owner) = (words.next()?, words.next()?, words.next()?);
    let (version, owner) = (version.parse().ok()?, owner.parse().ok()?);
    let listed = Listed { version, owner, digest: words.next()?.parse().ok()? };
    Some((cred.parse().ok()?, listed))
}
