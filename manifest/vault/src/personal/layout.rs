//! Where the files of a vault lie.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use keyrack_manifest::{CredId, Digest, EpochId, FileError};

/// The directory of one vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Says what the directory is, for people; trust comes from the chain.
    pub(crate) fn marker(&self) -> PathBuf {
        self.dir.join("KEYRACK-VAULT")
    }

    /// Keeps git from touching line ends and from merging what is signed.
    pub(crate) fn attributes(&self) -> PathBuf {
        self.dir.join(".gitattributes")
    }

    /// The link that begins the chain.
    pub(crate) fn genesis(&self) -> PathBuf {
        self.dir.join("chain").join("0000000000.link")
    }

    /// Everything of one epoch.
    pub(crate) fn epoch(&self, epoch: &EpochId) -> PathBuf {
        self.dir.join("epochs").join(epoch.to_string())
    }

    /// The wraps of an epoch's keys.
    pub(crate) fn keys(&self, epoch: &EpochId) -> PathBuf {
        self.epoch(epoch).join("keys")
    }

    /// A wrap, named by its content.
    pub(crate) fn wrap(&self, epoch: &EpochId, digest: &Digest) -> PathBuf {
        self.keys(epoch).join(format!("{digest}.age"))
    }

    /// One version of a record.
    pub(crate) fn record(&self, epoch: &EpochId, id: &CredId, version: u64) -> PathBuf {
        self.records(epoch).join(format!("{id}.{version}.cred"))
    }

    /// Every version of every record of an epoch.
    pub(crate) fn records(&self, epoch: &EpochId) -> PathBuf {
        self.epoch(epoch).join("creds")
    }

    /// Every directory that files of the vault are written to.
    pub(crate) fn directories(&self, epoch: &EpochId) -> [PathBuf; 4] {
        [self.dir.clone(), self.dir.join("chain"), self.keys(epoch), self.records(epoch)]
    }

    /// What is there of an epoch's records, in no order.
    pub(crate) fn list(&self, epoch: &EpochId) -> Result<Vec<(CredId, u64)>, FileError> {
        list(&self.records(epoch), parse)
    }

    /// Every epoch there is, in no order.
    pub(crate) fn epochs(&self) -> Result<Vec<EpochId>, FileError> {
        list(&self.dir.join("epochs"), |name| name.parse().ok())
    }

    /// Every wrap of an epoch's keys, in no order.
    pub(crate) fn wraps(&self, epoch: &EpochId) -> Result<Vec<Digest>, FileError> {
        list(&self.keys(epoch), |name| name.strip_suffix(".age")?.parse().ok())
    }
}

/// What is in a directory; names that are not read are passed over.
fn list<T>(dir: &Path, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, FileError> {
    let failed = |error| FileError::new("read", dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        found.extend(entry.map_err(failed)?.file_name().to_str().and_then(&read));
    }
    Ok(found)
}

fn parse(name: &str) -> Option<(CredId, u64)> {
    let (id, version) = name.strip_suffix(".cred")?.split_once('.')?;
    let (id, version): (CredId, u64) = (id.parse().ok()?, version.parse().ok()?);
    // `007` and `+7` are not how versions are written.
    (format!("{id}.{version}.cred") == name).then_some((id, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_names_are_read_back_exactly() {
        let id = CredId::from_bytes([0xab; 16]);
        let name = |version: &str| format!("{id}.{version}.cred");
        assert_eq!(parse(&name("7")), Some((id, 7)));
        for bad in
            [name("07"), name("+7"), name(""), name("x"), format!("{id}.cred"), "x.1.cred".into()]
        {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }
}
