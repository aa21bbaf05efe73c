//! Whether what a vault has besides its records is whole: for `doctor`, and for whoever
//! just copied one.

use keyrack_manifest::{Digest, atomic};

use super::genesis;
use super::vault::Personal;
use crate::error::VaultError;
use crate::wrap;

impl Personal {
    /// Checks the link the vault begins with, and that the wrap which stock age opens is
    /// the one the manifest names. Records are checked by [`Personal::get`].
    ///
    /// # Errors
    /// The first thing that is not as it was written.
    pub fn check(&self) -> Result<(), VaultError> {
        let path = self.layout.genesis();
        let link = atomic::read_shared(&path, genesis::LARGEST)?;
        let link = link.ok_or_else(|| VaultError::Missing { path: path.clone() })?;
        genesis::check(&link, &self.id, &path)?;

        let path = self.layout.wrap(self.keys.epoch(), &self.carried.wrap);
        let wrap = atomic::read_shared(&path, wrap::LARGEST)?;
        let wrap = wrap.ok_or_else(|| VaultError::Missing { path: path.clone() })?;
        if Digest::of(&wrap) == self.carried.wrap {
            Ok(())
        } else {
            Err(VaultError::Altered { path })
        }
    }
}
