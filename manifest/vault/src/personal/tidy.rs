//! Removing what no manifest names any more: what was replaced, and what writers left that
//! were killed. All of it is ciphertext; a key that was taken away may still open it.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::SystemTime;

use keyrack_manifest::{CredId, Digest, EpochId, RecordRef, atomic};

use super::settle;
use super::vault::Personal;
use crate::chain::Chain;
use crate::engine::VaultStore as _;
use crate::error::VaultError;
use crate::names;
pub use crate::vault::GRACE;

impl Personal {
    /// Removes records that a manifest named before, and no longer does. Needs no lock:
    /// nobody writes these versions again.
    ///
    /// # Errors
    /// [`VaultError::File`]; then ciphertext is left that nobody names.
    pub fn discard(&self, dropped: impl IntoIterator<Item = RecordRef>) -> Result<(), VaultError> {
        for record in dropped {
            let name = names::record(&record.id, record.version);
            self.store.remove(&format!("{}/{name}", self.folder()))?;
        }
        Ok(())
    }

    /// Removes what was replaced by what this vault was opened with: epochs before it,
    /// earlier keys of its owner, wraps that nothing names. For who holds the lock, and
    /// knows that the manifest it was opened with is still the one that is there.
    ///
    /// # Errors
    /// [`VaultError::File`].
    pub fn tidy(&self) -> Result<(), VaultError> {
        self.settle()?;
        for other in self.epochs()? {
            // A later one is not ours to judge.
            if other.number() < self.keys.epoch().number() {
                self.remove_epoch(&other)?;
            }
        }
        self.remove_wraps()?;
        // Half-written files of who was killed: of nobody else, since this is alone.
        for folder in self.folders() {
            atomic::clear(&folder)?;
        }
        atomic::sweep(&self.store.dir().join(names::CHAIN), SystemTime::now())?;
        for generation in 1..self.own.as_ref().map_or(1, |own| own.generation) {
            self.store.remove(&names::private_key(&self.member, generation))?;
        }
        Ok(())
    }

    /// Removes wraps that neither the chain nor the manifest names. Never the last one: it
    /// is what stock age opens.
    fn remove_wraps(&self) -> Result<(), VaultError> {
        let epoch = self.keys.epoch();
        let folder = names::wraps(epoch);
        let wraps = self.store.list(&folder)?;
        let file = |digest: &Digest| format!("{digest}.age");
        if !wraps.contains(&file(&self.carried.wrap)) || wraps.len() < 2 {
            return Ok(());
        }
        let chain = Chain::verify(&self.store, &self.id, None)?;
        let in_force = chain.state().epoch.as_ref().filter(|head| head.id == *epoch);
        let mut named: BTreeSet<String> =
            in_force.iter().flat_map(|head| head.wraps.values()).map(file).collect();
        named.insert(file(&self.carried.wrap));
        for wrap in wraps.iter().filter(|wrap| !named.contains(*wrap)) {
            self.store.remove(&format!("{folder}/{wrap}"))?;
        }
        Ok(())
    }

    /// Removes what killed writers left: records that are not in `named` nor after it,
    /// epochs that were never finished, links of a vault that no manifest named, temporary
    /// files. Only what was last written [`GRACE`] before `now`. A vault of which the
    /// manifest was lost is none of that, and stays. For who holds the lock and opened this
    /// vault under it. Returns how many files went.
    ///
    /// # Errors
    /// [`VaultError::File`].
    pub fn sweep(
        &self,
        named: impl IntoIterator<Item = RecordRef>,
        now: SystemTime,
    ) -> Result<usize, VaultError> {
        let then = now.checked_sub(GRACE).unwrap_or(SystemTime::UNIX_EPOCH);
        let named: HashMap<CredId, u64> =
            named.into_iter().map(|record| (record.id, record.version)).collect();
        let (mut garbage, mut swept) = (Vec::new(), 0);
        for (id, version) in self.list()? {
            // A later version than is named may be needed: see `get`.
            if named.get(&id).is_none_or(|named| version < *named) {
                garbage.push(format!("{}/{}", self.folder(), names::record(&id, version)));
            }
        }
        for other in self.epochs()? {
            let wraps = self.store.list(&names::wraps(&other))?;
            let is_whole = wraps.iter().any(|name| name.ends_with(".age"));
            let root = format!("{}/{other}", names::EPOCHS);
            let is_old = self.store.written(&root)?.is_some_and(|written| written < then);
            if other != *self.keys.epoch() && !is_whole && is_old {
                self.remove_epoch(&other)?;
                swept += 1;
            }
        }
        for folder in self.store.list(settle::WAITING)? {
            let folder = format!("{}/{}", settle::WAITING, folder.trim_end_matches('/'));
            let links = self.store.list(&folder)?;
            garbage.extend(links.into_iter().map(|link| format!("{folder}/{link}")));
        }
        for name in garbage {
            if self.store.written(&name)?.is_some_and(|written| written < then) {
                self.store.remove(&name)?;
                swept += 1;
            }
        }
        for folder in self.folders() {
            swept += atomic::sweep(&folder, then)?;
        }
        Ok(swept)
    }

    /// Every directory that is written to.
    fn folders(&self) -> [PathBuf; 4] {
        let wraps = names::wraps(self.keys.epoch());
        ["", names::CHAIN, &self.folder(), &wraps].map(|folder| self.store.dir().join(folder))
    }

    fn epochs(&self) -> Result<Vec<EpochId>, VaultError> {
        let folders = self.store.list(names::EPOCHS)?;
        Ok(folders.iter().filter_map(|name| name.trim_end_matches('/').parse().ok()).collect())
    }

    fn files_of(&self, epoch: &EpochId) -> Result<Vec<String>, VaultError> {
        let root = format!("{}/{epoch}", names::EPOCHS);
        let mut files = Vec::new();
        for folder in [names::shared(epoch), names::wraps(epoch), root] {
            let found = self.store.list(&folder)?.into_iter().filter(|name| !name.ends_with('/'));
            files.extend(found.map(|name| format!("{folder}/{name}")));
        }
        Ok(files)
    }

    fn remove_epoch(&self, epoch: &EpochId) -> Result<(), VaultError> {
        for name in self.files_of(epoch)? {
            self.store.remove(&name)?;
        }
        let root = self.store.dir().join(names::EPOCHS).join(epoch.to_string());
        for folder in ["creds", "keys", ""] {
            // One that is not empty holds what is not ours.
            let _ = std::fs::remove_dir(root.join(folder));
        }
        Ok(())
    }
}
