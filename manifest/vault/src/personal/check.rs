//! Whether what a vault has besides its records is whole: for `doctor`, and for whoever
//! just copied one.

use keyrack_manifest::Digest;

use super::renew::own_file;
use super::vault::Personal;
use super::{old, settle};
use crate::chain::Chain;
use crate::engine::VaultStore as _;
use crate::error::VaultError;
use crate::roll::Roll;
use crate::{names, wrap};

impl Personal {
    /// Checks the chain, and that the wrap which stock age opens is the one the manifest
    /// and the chain name. Records are checked by [`Personal::get`].
    ///
    /// # Errors
    /// The first thing that is not as it was written.
    pub fn check(&self) -> Result<(), VaultError> {
        let name = names::wrap(self.keys.epoch(), &self.carried.wrap);
        let path = || self.store.dir().join(&name);
        let wrap = self.store.get(&name, wrap::LARGEST)?;
        let wrap = wrap.ok_or_else(|| VaultError::Missing { path: path() })?;
        if Digest::of(&wrap) != self.carried.wrap {
            return Err(VaultError::Altered { path: path() });
        }
        if let Some(own) = &self.carried.private_key {
            let path = || self.store.dir().join(names::private_key(&self.member, own.generation));
            match own_file(&self.store, &self.member, own.generation)? {
                None => return Err(VaultError::Missing { path: path() }),
                // One that was sealed to other recipients since, by a writer that was killed.
                Some(there)
                    if own.file.is_some_and(|noted| noted != there) && !self.is_ahead()? =>
                {
                    return Err(VaultError::Altered { path: path() });
                }
                Some(_) => {}
            }
        }
        self.check_chain()
    }

    fn check_chain(&self) -> Result<(), VaultError> {
        if self.is_old() {
            let path = self.store.dir().join(names::link(0));
            let link = self.store.get(&names::link(0), crate::chain::LARGEST)?;
            let link = link.ok_or_else(|| VaultError::Missing { path: path.clone() })?;
            return old::check_link(&link, &self.id, &path);
        }
        // Made anew by a writer that was killed after it: the next one puts it in place.
        if !self.store.list(&format!("{}/{}", settle::WAITING, self.id))?.is_empty() {
            return Ok(());
        }
        let chain = Chain::verify(&self.store, &self.id, None)?;
        let head = chain.state().epoch.as_ref().ok_or(VaultError::OtherKeys)?;
        if head.id != *self.keys.epoch() || head.commitments != self.carried.commitments {
            return Err(VaultError::OtherKeys);
        }
        Roll::read(&self.store, &head.id, &head.creds_root).map(drop)
    }

    /// Whether the chain names another wrap than the manifest: a writer was killed between
    /// the two.
    fn is_ahead(&self) -> Result<bool, VaultError> {
        let chain = Chain::verify(&self.store, &self.id, None)?;
        let head = chain.state().epoch.as_ref();
        Ok(head.and_then(|head| head.wraps.get(&self.member)) != Some(&self.carried.wrap))
    }
}
