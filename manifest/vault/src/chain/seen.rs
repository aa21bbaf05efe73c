//! What this device has seen of a vault: kept outside of the vault and of what is synced, so
//! that storage which serves an older state, or another one, is caught. It also spares a
//! device what it verified before.

use std::collections::BTreeMap;
use std::path::Path;

use keyrack_manifest::atomic::{self, FileError};
use keyrack_manifest::unique::unique_map;
use keyrack_manifest::{CredId, Digest, EpochId, MemberId, VaultId};
use keyrack_names::Slug;
use serde::{Deserialize, Serialize};

use super::{Chain, Exposure};

/// Largest file, in bytes.
const LARGEST: u64 = 16 << 20;

/// The newest version of a record that was verified here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenRecord {
    /// Whose it was.
    pub owner: MemberId,
    /// The epoch, where it was shared: in another one the same version has other bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<EpochId>,
    /// Which version.
    pub version: u64,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// What it was called: a record that is gone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Slug>,
}

/// What is remembered of one vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The version of this format: 1.
    v: u32,
    /// Which vault.
    pub vault_id: VaultId,
    /// The digest of every link that was verified.
    pub links: Vec<Digest>,
    /// What they exposed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    pub exposures: BTreeMap<CredId, Exposure>,
    /// The newest record of each credential.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    pub records: BTreeMap<CredId, SeenRecord>,
}

/// What was remembered cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SeenError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is damaged.
    #[error("{} does not read as what was seen of a vault", path.display())]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
    },
}

impl Seen {
    /// What there is to remember of a verified chain and its records.
    pub fn of(chain: &Chain, records: BTreeMap<CredId, SeenRecord>) -> Self {
        Self {
            v: 1,
            vault_id: *chain.id(),
            links: chain.digests().to_vec(),
            exposures: chain.exposures().clone(),
            records,
        }
    }

    /// The last link that was seen.
    pub fn head(&self) -> (u64, Digest) {
        let last = self.links.len().saturating_sub(1);
        (last as u64, self.links.get(last).copied().unwrap_or(Digest::from_bytes([0; 32])))
    }

    /// Reads what is remembered of the vault `id`. `None` if nothing is.
    ///
    /// # Errors
    /// [`SeenError`].
    pub fn read(path: &Path, id: &VaultId) -> Result<Option<Self>, SeenError> {
        let Some(bytes) = atomic::read_limited(path, LARGEST)? else { return Ok(None) };
        let seen: Option<Self> = serde_json::from_slice(&bytes).ok();
        seen.filter(|seen| seen.v == 1 && seen.vault_id == *id && !seen.links.is_empty())
            .map(Some)
            .ok_or_else(|| SeenError::Damaged { path: path.to_owned() })
    }

    /// Remembers it.
    ///
    /// # Errors
    /// [`SeenError::File`].
    pub fn write(&self, path: &Path) -> Result<(), SeenError> {
        let bytes = serde_json::to_vec(self)
            .unwrap_or_else(|e| unreachable!("ids and numbers are always JSON: {e}"));
        Ok(atomic::replace(path, &bytes)?)
    }
}
