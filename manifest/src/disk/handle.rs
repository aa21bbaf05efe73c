//! The card that bears an owner's handle: written once for each handle of a home, so that
//! two owners never overwrite each other's.

use jiff::Timestamp;
use keyrack_names::Owner;

use crate::card::{self, Card, SignedCard};
use crate::content::text::TextError;
use crate::disk::atomic::{self, Staged};
use crate::disk::lock::Lock;
use crate::{Manifest, Pin, PublicKey, Store, StoreError};

impl Store<'_> {
    /// `owner`'s card as it lies there, if it says what this device remembers of the owner.
    ///
    /// # Errors
    /// [`StoreError::File`]; [`Tampered::DamagedPin`](crate::Tampered::DamagedPin).
    pub fn card(&self, owner: &Owner) -> Result<Option<SignedCard>, StoreError> {
        let Some(pin) = self.pin(owner)? else { return Ok(None) };
        let is_own = |signed: &SignedCard| {
            let card = &signed.card;
            card.sig_key == pin.signer
                && card.recipients == pin.recipients
                && card.handle == pin.handle
        };
        Ok(self.card_at(&pin.handle)?.filter(is_own))
    }

    /// Claims `handle` for a new owner, for as long as the lock is held.
    ///
    /// # Errors
    /// [`StoreError::HandleTaken`] when the card that is there is another's.
    pub(crate) fn claim(&self, owner: &Owner, handle: &Owner) -> Result<Lock, StoreError> {
        let lock = self.lock_at(&self.places.handle_lock(handle), owner)?;
        let path = self.places.card(handle);
        let ours = self.pin(owner).ok().flatten().map(|pin| pin.signer);
        match self.card_at(handle)? {
            Some(signed) if Some(signed.card.sig_key) != ours => {
                let (owner, handle) = (owner.clone(), handle.clone());
                return Err(StoreError::HandleTaken { owner, handle, path });
            }
            // A killed try of ours left it; soon this device will not know it for ours.
            Some(_) => atomic::remove(&path)?,
            None => {}
        }
        Ok(lock)
    }

    /// Writes the owner's card anew where the one that lies there says something else, or
    /// none does; never over one that another owner of this home claimed. Before the
    /// manifest: if nothing comes of that, the next write finds the card stale.
    pub(crate) fn renew_card(&self, manifest: &Manifest, now: Timestamp) -> Result<(), StoreError> {
        let handle = &manifest.owner.handle;
        let key = &manifest.signing.key;
        let recipients = manifest.all_recipients();
        let path = self.places.card(handle);
        atomic::clear_beside(&path)?;
        if let Some(SignedCard { card, .. }) = self.card_at(handle).ok().flatten() {
            let is_current = card.sig_key == key.public() && card.recipients == recipients;
            if is_current || self.is_of_another(&card.sig_key, manifest) {
                return Ok(());
            }
        }
        let card = Card::issue(handle, key, &recipients, now).map_err(|_| unwritable())?;
        Ok(Staged::alone(&path, &card.bytes)?.commit()?)
    }

    /// Whether another owner whom this device knows signs with `key`.
    fn is_of_another(&self, key: &PublicKey, manifest: &Manifest) -> bool {
        let others = self.places.owners().unwrap_or_default();
        let mut others = others.iter().filter(|owner| **owner != manifest.owner.name);
        others.any(|owner| {
            let pin: Option<Pin> = self.pin(owner).ok().flatten();
            pin.is_some_and(|pin| pin.signer == *key && pin.handle == manifest.owner.handle)
        })
    }

    fn card_at(&self, handle: &Owner) -> Result<Option<SignedCard>, StoreError> {
        let bytes = atomic::read_limited(&self.places.card(handle), card::LARGEST)?;
        Ok(bytes.and_then(|bytes| Card::read(&bytes).ok()))
    }
}

/// A card is always JSON; the signature says what the parser says.
pub(crate) fn unwritable() -> StoreError {
    StoreError::Unwritable(TextError::Inconsistent("its card cannot be written"))
}
