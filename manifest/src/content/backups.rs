//! Who else can open a manifest. Changes the document only: vaults are wrapped anew by
//! whoever calls this, files written by `Store::update`.

use jiff::Timestamp;

use crate::{Backup, Manifest, Rack, Recipient, SigningKey, Word};

/// Why the recipients of a manifest stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The key is a recipient already.
    #[error("this key can open the manifest already")]
    Known,
    /// Another backup has the label.
    #[error("there is a backup called {label} already")]
    LabelTaken {
        /// The label.
        label: Word,
    },
    /// No backup has the label.
    #[error("there is no backup called {label}")]
    Unknown {
        /// The label.
        label: Word,
    },
    /// Nobody could open the manifest any more.
    #[error("the last key that opens the manifest cannot be removed")]
    Last,
    /// The operating system gave no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Manifest {
    /// Lets `recipient` open the manifest too, from the next write on.
    ///
    /// # Errors
    /// [`BackupError::Known`], [`BackupError::LabelTaken`].
    pub fn add_backup(
        &mut self,
        label: Word,
        recipient: Recipient,
        now: Timestamp,
    ) -> Result<(), BackupError> {
        if self.all_recipients().contains(&recipient) {
            return Err(BackupError::Known);
        }
        if self.recipients.iter().any(|backup| backup.label == label) {
            return Err(BackupError::LabelTaken { label });
        }
        self.recipients.push(Backup { label, via: recipient.via(), recipient, added_at: now });
        Ok(())
    }

    /// Takes a backup away. It is treated as compromised: everything it could read in the
    /// manifest is replaced, here the rack's secret and the signing key. The vault keys are
    /// the caller's to replace before the manifest is written.
    ///
    /// # Errors
    /// [`BackupError::Unknown`].
    pub fn remove_backup(&mut self, label: &Word) -> Result<Backup, BackupError> {
        let at = self
            .recipients
            .iter()
            .position(|backup| backup.label == *label)
            .ok_or_else(|| BackupError::Unknown { label: label.clone() })?;
        self.replace_secrets()?;
        Ok(self.recipients.remove(at))
    }

    /// Takes the owner's own key away, lost or stolen, and puts the first backup in its
    /// place. Everything the old key could read is replaced as by
    /// [`Manifest::remove_backup`]. Returns the key that went.
    ///
    /// # Errors
    /// [`BackupError::Last`] when there is no backup.
    pub fn promote_backup(&mut self) -> Result<Recipient, BackupError> {
        if self.recipients.is_empty() {
            return Err(BackupError::Last);
        }
        self.replace_secrets()?;
        let backup = self.recipients.remove(0);
        self.owner.via = backup.via;
        Ok(std::mem::replace(&mut self.owner.pubkey, backup.recipient))
    }

    fn replace_secrets(&mut self) -> Result<(), BackupError> {
        self.rack.secret = Rack::generate().map_err(BackupError::Random)?.secret;
        self.signing.key = SigningKey::generate().map_err(BackupError::Random)?;
        Ok(())
    }
}

impl Word {
    /// A label for a backup that was given none: `backup-1`.
    pub(crate) fn numbered_backup(number: usize) -> Self {
        format!("backup-{number}").parse().unwrap_or_else(|_| Self::user())
    }
}
