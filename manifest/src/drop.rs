//! A drop: a value set for an owner by someone who cannot open the manifest now. An age
//! file to the owner's recipients, with nothing in it that could execute or refer. The
//! owner's next unlock merges it.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use keyrack_names::{Owner, RackId, Secret, Slug};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::disk::atomic::{self, FileError};
use crate::key::seal::{self, OpenError, SealError};
use crate::signed::{self, Proof, Signed, SignedError};
use crate::{
    Class, Digest, DropId, Identity, Lifetime, Namespace, Places, PublicKey, Recipient, SigningKey,
};

/// Largest drop, in bytes: a value of 1 MiB in base64, and what stands around it.
pub const LARGEST: usize = 2 << 20;

/// What a drop says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropPayload {
    /// The version of this format: 1.
    pub v: u32,
    /// This drop's id: it is merged once.
    pub id: DropId,
    /// For whom.
    pub owner: Owner,
    /// For which rack of that owner, where the dropper knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<RackId>,
    /// Which credential.
    pub slug: Slug,
    /// Its value.
    pub value: Secret,
    /// Its class.
    pub class: Class,
    /// When the credential itself ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The longest one unlock may hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Lifetime>,
    /// The owner it was copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<Owner>,
    /// When it was dropped, by the dropper's clock.
    pub created: Timestamp,
}

/// Who vouches for a drop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody: merged only into a provisional manifest, or when a person agrees.
    None,
    /// The owner's daemon: HMAC-SHA256 of the payload's SHA-256, in hex.
    Mac(String),
    /// Whoever holds a card's key: an SSHSIG in base64.
    Signature(String),
}

/// Why a drop cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// The file cannot be written or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It does not open.
    #[error("the drop {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: OpenError,
    },
    /// It opens, and holds no drop for this owner.
    #[error("the drop {}: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SignedError,
    },
    /// It opens, and is another owner's, or bears another drop's name.
    #[error("the drop {} is not for this owner, or was renamed", path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
    },
    /// It is larger than a value of 1 MiB makes it.
    #[error("the value is larger than 1 MiB")]
    TooLarge,
}

/// A drop about to be written: its payload is fixed, so that somebody can vouch for it.
#[derive(Debug)]
pub struct Unsealed {
    payload: Zeroizing<Vec<u8>>,
    owner: Owner,
    id: DropId,
}

impl DropPayload {
    /// Fixes the payload's bytes.
    ///
    /// # Errors
    /// [`DropError::TooLarge`].
    pub fn fix(&self) -> Result<Unsealed, DropError> {
        let payload = signed::payload(self).map_err(|_| DropError::TooLarge)?;
        // Room for the proof.
        if payload.len() > LARGEST - 4096 {
            return Err(DropError::TooLarge);
        }
        Ok(Unsealed { payload, owner: self.owner.clone(), id: self.id })
    }
}

impl Unsealed {
    /// What is vouched for.
    pub fn payload_bytes(&self) -> &[u8] {
        &self.payload
    }

    /// SHA-256 of it: what the daemon makes its MAC over.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.payload)
    }

    /// Vouches for it with a card's key.
    pub fn sign(&self, key: &SigningKey) -> Auth {
        Auth::Signature(key.sign(Namespace::Drop, &self.payload))
    }

    /// Seals it to `recipients` and leaves it for its owner.
    ///
    /// # Errors
    /// [`DropError::Seal`], [`DropError::File`].
    pub fn leave(
        &self,
        places: &Places,
        recipients: &[Recipient],
        auth: &Auth,
    ) -> Result<PathBuf, DropError> {
        let proof = match auth {
            Auth::None => Proof::default(),
            Auth::Mac(mac) => Proof { mac: Some(mac.clone()), sig: None },
            Auth::Signature(sig) => Proof { sig: Some(sig.clone()), mac: None },
        };
        let sealed = seal::seal(recipients, &signed::join(&self.payload, &proof))?;
        let path = places.drop(&self.owner, &self.id);
        atomic::replace(&path, &sealed)?;
        Ok(path)
    }
}

/// A drop that was opened. Whether to believe it is the reader's to decide, by its proof.
#[derive(Debug)]
pub struct OpenedDrop {
    /// What it says.
    pub payload: DropPayload,
    /// What it is vouched for with.
    pub auth: Auth,
    /// SHA-256 of the payload, which a MAC is over.
    pub digest: Digest,
    bytes: Zeroizing<Vec<u8>>,
}

impl OpenedDrop {
    /// Opens `owner`'s drop `id`.
    ///
    /// # Errors
    /// [`DropError`].
    pub fn read(
        places: &Places,
        owner: &Owner,
        id: &DropId,
        identity: &Identity,
    ) -> Result<Option<Self>, DropError> {
        let path = places.drop(owner, id);
        let Some(sealed) = atomic::read_limited(&path, LARGEST as u64 * 2)? else {
            return Ok(None);
        };
        let plain = seal::open(identity, &sealed, LARGEST)
            .map_err(|source| DropError::Open { path: path.clone(), source })?;
        let content = |source| DropError::Content { path: path.clone(), source };
        let signed = Signed::split(plain.expose()).map_err(content)?;
        let payload: DropPayload = signed.read().map_err(content)?;
        let auth = match (&signed.proof().sig, &signed.proof().mac) {
            (None, None) => Auth::None,
            (None, Some(mac)) => Auth::Mac(mac.clone()),
            (Some(sig), None) => Auth::Signature(sig.clone()),
            (Some(_), Some(_)) => return Err(content(SignedError::Shape)),
        };
        if payload.v != 1 {
            return Err(content(SignedError::Payload));
        }
        if payload.owner != *owner || payload.id != *id {
            return Err(DropError::Misplaced { path });
        }
        let bytes = Zeroizing::new(signed.payload().to_vec());
        Ok(Some(Self { payload, auth, digest: Digest::of(&bytes), bytes }))
    }

    /// Whether `key` vouches for it.
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        match &self.auth {
            Auth::Signature(sig) => key.verify(Namespace::Drop, &self.bytes, sig).is_ok(),
            Auth::None | Auth::Mac(_) => false,
        }
    }
}

/// The drops that wait for `owner`, in no order: their names say nothing of what is in
/// them.
///
/// # Errors
/// The directory cannot be read.
pub fn pending(places: &Places, owner: &Owner) -> Result<Vec<DropId>, FileError> {
    let dir = places.drops(owner);
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::new("read", &dir, error)),
    };
    let mut ids: Vec<DropId> = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| FileError::new("read", &dir, error))?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".age")?.parse::<DropId>().ok());
        ids.extend(id);
    }
    ids.sort();
    Ok(ids)
}

/// Removes a drop that was merged or refused. Its id belongs in the manifest's `dropped`
/// before.
///
/// # Errors
/// The file stays.
pub fn consume(places: &Places, owner: &Owner, id: &DropId) -> Result<(), FileError> {
    atomic::remove(&places.drop(owner, id))
}
