//! What is not there any more, or never was to be believed, and is not waited for.

use jiff::Timestamp;
use keyrack_manifest::CredId;

use super::Vault;
use crate::chain::{LinkKind, Refusal};
use crate::error::VaultError;

impl Vault<'_> {
    /// Gives up credentials that are lost, all at once: new keys leave behind those that are
    /// shared, and are refused while another one is.
    ///
    /// # Errors
    /// [`VaultError::Unknown`] when one is not lost; [`VaultError::Refused`] when it is not
    /// this member's to do; as [`Vault::rotate`]. Then none is given up.
    pub fn give_up(&mut self, creds: &[CredId], now: Timestamp) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        if creds.iter().any(|cred| !self.loaded.is_lost(cred)) {
            return Err(VaultError::Unknown { what: "lost credential" });
        }
        let may_rotate = self.role().writes_shared();
        let epoch = self.state().epoch.as_ref().map(|epoch| epoch.id);
        if !may_rotate && creds.iter().any(|cred| self.loaded.is_lost_in(cred, epoch)) {
            let kind = LinkKind::Rotate;
            return Err(VaultError::Refused { kind, why: Refusal::NotEntitled { kind } });
        }
        let before = (self.seen(), self.abandoned.clone());
        for cred in creds {
            self.loaded.abandon(cred);
            self.abandoned.insert(*cred);
        }
        let given_up = if may_rotate { self.rotate_alone(now) } else { Ok(()) };
        if given_up.is_err() {
            self.abandoned = before.1;
            self.load(&before.0.records)?;
        }
        given_up
    }

    /// Removes what lies there under a credential's id and was never believed.
    ///
    /// # Errors
    /// [`VaultError::Unknown`] when there is no such thing, or the vault has, or had, that
    /// credential.
    pub fn discard(&mut self, cred: &CredId) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        let strays: Vec<String> = self.strays(cred).collect();
        if strays.is_empty() {
            return Err(VaultError::Unknown { what: "record" });
        }
        strays.iter().try_for_each(|name| self.store.remove(name))?;
        self.refresh()
    }

    /// The files under the id of a credential that the vault has not, and never had.
    fn strays(&self, cred: &CredId) -> impl Iterator<Item = String> {
        let is_unknown = !self.loaded.is_lost(cred) && self.loaded.known(cred).is_err();
        let aside =
            self.quarantined().iter().filter(move |aside| is_unknown && aside.cred == *cred);
        aside.map(|aside| aside.name.clone())
    }
}
