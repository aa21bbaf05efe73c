//! Which values this host left as drops: what was left once is not left again, though
//! nobody here can open a drop. One small file for each owner, beside this device's pins;
//! it holds a keyed digest of each value, and the key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hmac::{Hmac, Mac as _};
use keyrack_manifest::{DropPayload, atomic};
use keyrack_names::{Owner, Slug};
use keyrack_protocol::keys::Key;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::error::{Code, Context, Failure, Outcome};
use crate::settings::Settings;

/// What was left for one owner.
#[derive(Debug)]
pub struct Left {
    path: PathBuf,
    file: File,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    v: u32,
    key: Key,
    left: BTreeMap<Slug, String>,
}

impl Left {
    /// Reads what was left for `owner`. A file that does not read says nothing.
    ///
    /// # Errors
    /// When it cannot be read, or no random numbers can be had.
    pub fn read(settings: &Settings, owner: &Owner) -> Outcome<Self> {
        let path = settings.places.left(owner);
        let bytes = atomic::read_limited(&path, 16 << 20).context(|| path.display().to_string())?;
        let read = bytes.and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok());
        let file = match read.filter(|file| file.v == 1) {
            Some(file) => file,
            None => {
                let key = Key::random().map_err(|e| Failure::new(Code::Unexpected, e.to_string()));
                File { v: 1, key: key?, left: BTreeMap::new() }
            }
        };
        Ok(Self { path, file })
    }

    /// Whether the last value left for that credential is this one.
    pub fn is_last(&self, payload: &DropPayload) -> bool {
        self.file.left.get(&payload.slug) == Some(&self.digest(payload))
    }

    /// Notes that it is.
    pub fn note(&mut self, payload: &DropPayload) {
        self.file.left.insert(payload.slug.clone(), self.digest(payload));
    }

    /// Writes it down.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Outcome {
        let bytes = zeroize::Zeroizing::new(
            serde_json::to_vec(&self.file).context(|| self.path.display().to_string())?,
        );
        atomic::replace(&self.path, &bytes).context(|| self.path.display().to_string())
    }

    fn digest(&self, payload: &DropPayload) -> String {
        let mut hmac = Hmac::<Sha256>::new_from_slice(self.file.key.expose())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of every length"));
        let said = format!("{}\0{}\0", payload.slug, payload.class);
        hmac.update(said.as_bytes());
        hmac.update(payload.value.expose());
        hex::lower::encode_string(&hmac.finalize().into_bytes())
    }
}
