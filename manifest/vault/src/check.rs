//! Whether a vault is whole: for `doctor`, and for whoever just copied one.

use keyrack_manifest::{Digest, RecordRef, atomic};
use keyrack_names::Slug;

use crate::error::VaultError;
use crate::vault::Vault;
use crate::{genesis, wrap};

impl Vault {
    /// Checks everything a manifest names of the vault: the link it begins with, the wrap,
    /// and that each of `records` opens.
    ///
    /// # Errors
    /// The first thing that is not as it was written.
    pub fn check<'a>(
        &self,
        records: impl IntoIterator<Item = (&'a Slug, &'a RecordRef)>,
    ) -> Result<(), VaultError> {
        let link = self.layout.genesis();
        let bytes = atomic::read_shared(&link, genesis::LARGEST)?;
        genesis::check(&bytes.ok_or(VaultError::Missing { path: link.clone() })?, &self.id, &link)?;

        let path = self.layout.wrap(self.keys.epoch(), &self.carried.wrap);
        let bytes = atomic::read_shared(&path, wrap::LARGEST)?;
        if Digest::of(&bytes.ok_or(VaultError::Missing { path: path.clone() })?)
            != self.carried.wrap
        {
            return Err(VaultError::Altered { path });
        }
        records.into_iter().try_for_each(|(name, record)| self.read(record, name).map(drop))
    }
}
