//! Where the files of a vault lie.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use keyrack_manifest::{CredId, Digest, EpochId, FileError, RecordRef};

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

    /// A wrap, named by its content.
    pub(crate) fn wrap(&self, epoch: &EpochId, digest: &Digest) -> PathBuf {
        self.epoch(epoch).join("keys").join(format!("{digest}.age"))
    }

    /// One version of a record.
    pub(crate) fn record(&self, epoch: &EpochId, record: &RecordRef) -> PathBuf {
        self.records(epoch).join(format!("{}.{}.cred", record.id, record.version))
    }

    /// Every version of every record of an epoch.
    pub(crate) fn records(&self, epoch: &EpochId) -> PathBuf {
        self.epoch(epoch).join("creds")
    }

    /// What is there of an epoch's records, in no order. Files that have no record's name
    /// are passed over.
    pub(crate) fn list(&self, epoch: &EpochId) -> Result<Vec<RecordRef>, FileError> {
        let dir = self.records(epoch);
        let failed = |error| FileError::new("read", &dir, error);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut records = Vec::new();
        for entry in entries {
            records.extend(entry.map_err(failed)?.file_name().to_str().and_then(parse));
        }
        Ok(records)
    }
}

fn parse(name: &str) -> Option<RecordRef> {
    let (id, version) = name.strip_suffix(".cred")?.split_once('.')?;
    let record = RecordRef { id: id.parse::<CredId>().ok()?, version: version.parse().ok()? };
    // `007` and `+7` are not how versions are written.
    (format!("{}.{}.cred", record.id, record.version) == name).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_names_are_read_back_exactly() {
        let id = CredId::from_bytes([0xab; 16]);
        let name = |version: &str| format!("{id}.{version}.cred");
        assert_eq!(parse(&name("7")), Some(RecordRef { id, version: 7 }));
        for bad in
            [name("07"), name("+7"), name(""), name("x"), format!("{id}.cred"), "x.1.cred".into()]
        {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }
}
