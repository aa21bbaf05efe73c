//! Every path keyrack keeps files at, in one place. Builds paths; opens nothing but the
//! list of owners.

use std::io;
use std::path::PathBuf;

use keyrack_names::Owner;

use crate::{DropId, VaultId, VaultName, Word};

/// The two directories everything lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `$KEYRACK_HOME`: manifests, cards, vaults, drops. May be synced between devices.
    pub home: PathBuf,
    /// `$KEYRACK_STATE`: pins and locks. This device's own, never synced.
    pub state: PathBuf,
}

impl Places {
    /// An owner's manifest.
    pub fn manifest(&self, owner: &Owner) -> PathBuf {
        self.home.join(format!("host.{owner}.yml.age"))
    }

    /// The manifest before the last write.
    pub fn backup(&self, owner: &Owner) -> PathBuf {
        self.home.join(format!("host.{owner}.yml.age.bak"))
    }

    /// Where damaged manifests are put when they are replaced, in their order. `~` is in no
    /// owner's name.
    pub fn asides(&self, owner: &Owner) -> impl Iterator<Item = PathBuf> {
        let first = self.home.join(format!("host.{owner}.yml.age~damaged"));
        let base = first.clone().into_os_string();
        let numbered = (2..).map(move |n: u32| {
            let mut name = base.clone();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        });
        std::iter::once(first).chain(numbered)
    }

    /// A public identity card. Handles obey the rule for owners.
    pub fn card(&self, handle: &Owner) -> PathBuf {
        self.home.join("identities").join(format!("{handle}.card"))
    }

    /// What a YubiKey's maker says of an owner's key.
    pub fn attestation(&self, handle: &Owner) -> PathBuf {
        self.home.join("identities").join(format!("{handle}.attestation.pem"))
    }

    /// An owner's personal vault.
    pub fn personal_vault(&self, owner: &Owner) -> PathBuf {
        self.home.join("vaults").join(format!("@{owner}"))
    }

    /// The age identity of an owner made `--via age`.
    pub fn age_key(&self, owner: &Owner) -> PathBuf {
        self.home.join("keys").join(format!("{owner}.txt"))
    }

    /// What connectors may be given of an owner's: a folder for each connector.
    pub fn grants(&self, owner: &Owner) -> PathBuf {
        self.home.join("grants").join(owner.as_str())
    }

    /// One of them.
    pub fn grant(&self, owner: &Owner, connector: &Word, name: &Word) -> PathBuf {
        self.grants(owner).join(connector.as_str()).join(format!("{name}.grant"))
    }

    /// A connector's declaration that was added to this home.
    pub fn connector(&self, connector: &Word) -> PathBuf {
        self.home.join("connectors").join(format!("{connector}.yml"))
    }

    /// Where values wait that were set while the manifest could not be opened.
    pub fn drops(&self, owner: &Owner) -> PathBuf {
        self.home.join("drops").join(owner.as_str())
    }

    /// One of them.
    pub fn drop(&self, owner: &Owner, id: &DropId) -> PathBuf {
        self.drops(owner).join(format!("{id}.age"))
    }

    /// What that owner's daemon gave out.
    pub fn audit(&self, owner: &Owner) -> PathBuf {
        self.home.join("audit").join(format!("{owner}.log"))
    }

    /// What this device remembers of an owner's manifest.
    pub fn pin(&self, owner: &Owner) -> PathBuf {
        self.state.join("owners").join(format!("{owner}.json"))
    }

    /// What this device has seen of a vault as this owner.
    pub fn seen(&self, owner: &Owner, vault: &VaultId) -> PathBuf {
        self.state.join("vaults").join(owner.as_str()).join(format!("{vault}.json"))
    }

    /// A vault that is kept here and is not one owner's alone.
    pub fn vault(&self, name: &VaultName) -> PathBuf {
        self.home.join("vaults").join(name.as_str())
    }

    /// The lock every writer of an owner's files holds.
    pub fn lock(&self, owner: &Owner) -> PathBuf {
        self.state.join("locks").join(format!("{owner}.lock"))
    }

    /// The lock of whoever claims a handle. `@` is in no owner's name.
    pub fn handle_lock(&self, handle: &Owner) -> PathBuf {
        self.state.join("locks").join(format!("@{handle}.lock"))
    }

    /// Which values this device left for an owner as drops.
    pub fn left(&self, owner: &Owner) -> PathBuf {
        self.state.join("left").join(format!("{owner}.json"))
    }

    /// Who waits for a person on behalf of an owner.
    pub fn pending(&self, owner: &Owner) -> PathBuf {
        self.state.join("pending").join(owner.as_str())
    }

    /// There when this Unix user was given to one owner as its own.
    pub fn own_user(&self) -> PathBuf {
        self.state.join("own-user")
    }

    /// The owners that have a manifest here, sorted. A home that does not exist has none;
    /// files whose names hold no owner are passed over.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn owners(&self) -> io::Result<Vec<Owner>> {
        let entries = match std::fs::read_dir(&self.home) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut owners = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let owner = name
                .to_str()
                .and_then(|name| name.strip_prefix("host.")?.strip_suffix(".yml.age"))
                .and_then(|owner| owner.parse().ok());
            owners.extend(owner);
        }
        owners.sort();
        Ok(owners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_from_manifest_names() {
        let home = tempfile::tempdir().unwrap();
        let places = Places { home: home.path().into(), state: home.path().join("state") };
        assert_eq!(places.owners().unwrap(), []);
        for name in [
            "host.b.yml.age",
            "host.a.yml.age",
            "host.a.yml.age.bak",
            "host..yml.age",
            "host.A.yml.age",
            ".host.a.yml.age.1.tmp",
            "host.a.yml.age~damaged",
            "other",
        ] {
            std::fs::write(home.path().join(name), "").unwrap();
        }
        let owners: Vec<String> = places.owners().unwrap().iter().map(Owner::to_string).collect();
        assert_eq!(owners, ["a", "b"]);
        let gone = Places { home: home.path().join("none"), state: home.path().into() };
        assert_eq!(gone.owners().unwrap(), []);
    }

    #[test]
    fn no_two_owners_share_a_path() {
        let places = Places { home: "/h".into(), state: "/s".into() };
        let owners: Vec<Owner> =
            ["a", "a.yml.age.bak", "a.bak", "b"].iter().map(|o| o.parse().unwrap()).collect();
        let mut paths: Vec<PathBuf> = owners
            .iter()
            .flat_map(|o| {
                let aside = places.asides(o).take(2);
                aside.chain([places.manifest(o), places.backup(o), places.pin(o)])
            })
            .collect();
        let all = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), all);
    }
}
