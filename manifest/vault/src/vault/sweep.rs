//! Removing what nothing names any more: epochs that were never put in force, versions
//! that were replaced, requests nobody waits for. Only once it is old: it may be what
//! another device is about to name.

use std::time::{Duration, SystemTime};

use super::Vault;
use super::place::Place;
use crate::error::VaultError;
use crate::names;

/// After this long, what nothing names is garbage.
pub const GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Vault<'_> {
    /// Removes garbage that was last written a week before `now`. Returns how many
    /// objects went.
    ///
    /// # Errors
    /// The vault cannot be read or written.
    pub fn sweep(&self, now: SystemTime) -> Result<usize, VaultError> {
        let _guard = self.store.lock()?;
        let mut garbage = self.old_epochs()?;
        garbage.extend(self.unnamed()?);
        garbage.extend(self.replaced()?);
        let then = now.checked_sub(GRACE).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut swept = 0;
        for name in garbage {
            if self.store.written(&name)?.is_some_and(|written| written < then) {
                self.store.remove(&name)?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Everything in epochs that are not in force.
    fn old_epochs(&self) -> Result<Vec<String>, VaultError> {
        let head = self.state().epoch.as_ref().map(|epoch| epoch.id.to_string());
        let mut found = Vec::new();
        for folder in self.store.list(names::EPOCHS)? {
            let epoch = folder.trim_end_matches('/');
            if Some(epoch) == head.as_deref() {
                continue;
            }
            for sub in ["", "/keys", "/creds"] {
                let folder = format!("{}/{epoch}{sub}", names::EPOCHS);
                let files = self.store.list(&folder)?.into_iter().filter(|n| !n.ends_with('/'));
                found.extend(files.map(|name| format!("{folder}/{name}")));
            }
        }
        Ok(found)
    }

    /// Wraps and rolls in force that the head does not name, and requests nobody waits for.
    fn unnamed(&self) -> Result<Vec<String>, VaultError> {
        let mut found = Vec::new();
        if let Some(epoch) = &self.state().epoch {
            let wraps: Vec<String> = epoch.wraps.values().map(|d| format!("{d}.age")).collect();
            let folder = names::wraps(&epoch.id);
            let files = self.store.list(&folder)?.into_iter().filter(|name| !wraps.contains(name));
            found.extend(files.map(|name| format!("{folder}/{name}")));
        }
        for name in self.store.list(names::INVITES)? {
            let invite = name.strip_suffix(".req").and_then(|id| id.parse().ok());
            if invite.is_some_and(|id| !self.state().invites.contains_key(&id)) {
                found.push(format!("{}/{name}", names::INVITES));
            }
        }
        Ok(found)
    }

    /// Versions of records before the one that is believed.
    fn replaced(&self) -> Result<Vec<String>, VaultError> {
        let mut places: Vec<Place> =
            self.state().epoch.iter().map(|epoch| Place::Shared(epoch.id)).collect();
        let members = self.state().members.iter().map(|member| member.member_id);
        places.extend(members.map(Place::Private));
        let mut found = Vec::new();
        for place in places {
            for name in self.store.list(&place.folder())? {
                let Some((cred, version)) = names::parse_record(&name) else { continue };
                let known = self.loaded.known(&cred).ok();
                if known.is_some_and(|known| version < known.record.version) {
                    found.push(place.name(&cred, version));
                }
            }
        }
        Ok(found)
    }
}
