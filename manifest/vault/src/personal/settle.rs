//! The links of a vault that was made anew wait beside the chain of the one before, until
//! a manifest names it: the files of `chain/` have the same names in every vault.

use keyrack_manifest::VaultId;

use super::vault::Personal;
use crate::engine::VaultStore as _;
use crate::error::VaultError;
use crate::{chain, names};

/// Where links wait.
pub(super) const WAITING: &str = "next";

/// Where a link of a vault waits.
pub(super) fn waiting(id: &VaultId, link: &str) -> String {
    format!("{WAITING}/{id}/{link}")
}

impl Personal {
    /// Puts the links that wait for this vault in their place. For who holds the lock and
    /// opened what the manifest names. Killed in between, the next writer does it again.
    pub(super) fn settle(&self) -> Result<(), VaultError> {
        let folder = format!("{WAITING}/{}", self.id);
        let links = self.store.list(&folder)?;
        if links.is_empty() {
            return Ok(());
        }
        let mut objects = Vec::with_capacity(links.len());
        for link in &links {
            let bytes = self.store.get(&format!("{folder}/{link}"), chain::LARGEST)?;
            objects.extend(bytes.map(|bytes| (format!("{}/{link}", names::CHAIN), bytes)));
        }
        self.store.stage(&objects)?;
        for link in self.store.list(names::CHAIN)? {
            if !links.contains(&link) {
                self.store.remove(&format!("{}/{link}", names::CHAIN))?;
            }
        }
        for link in &links {
            self.store.remove(&format!("{folder}/{link}"))?;
        }
        for folder in [folder.as_str(), WAITING] {
            // One that is not empty is for another writer.
            let _ = std::fs::remove_dir(self.store.dir().join(folder));
        }
        Ok(())
    }
}
