//! Who may read and write the files of a vault: whoever may its directory. So a directory
//! of a group is a vault for several Unix users, and one made by us is its owner's alone.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use keyrack_manifest::{FileError, atomic};

/// The modes of a vault's files and directories.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Modes {
    dir: u32,
}

impl Modes {
    /// As the directory of the vault has them; 0700 where it is not there yet.
    pub(crate) fn of(root: &Path) -> Self {
        let mode = root.metadata().map_or(0o700, |about| about.permissions().mode());
        // Others never write, whatever the directory says; set-group-id stays.
        Self { dir: mode & 0o2775 | 0o700 }
    }

    /// Whether nobody but the user has a right to them: what our files are made with.
    pub(crate) fn is_private(self) -> bool {
        self.dir & 0o077 == 0
    }

    /// The mode of a file.
    pub(crate) fn of_files(self) -> u32 {
        self.dir & 0o666
    }

    /// Gives a file that this user made the vault's mode.
    pub(crate) fn file(self, file: &File) -> io::Result<()> {
        if self.is_private() {
            return Ok(());
        }
        file.set_permissions(Permissions::from_mode(self.of_files()))
    }

    /// Makes `dir` and what is missing between it and `root`, and makes that last.
    pub(crate) fn make_dirs(self, root: &Path, dir: &Path) -> Result<(), FileError> {
        let mut changed = BTreeSet::new();
        self.make_dirs_in(root, dir, &mut changed)?;
        changed.iter().try_for_each(|dir| atomic::sync_dir(dir))
    }

    /// Makes `dir` and what is missing on the way to it. It lasts once what is added to
    /// `changed` is synced.
    pub(crate) fn make_dirs_in(
        self,
        root: &Path,
        dir: &Path,
        changed: &mut BTreeSet<PathBuf>,
    ) -> Result<(), FileError> {
        if dir.is_dir() {
            return Ok(());
        }
        let above = dir.parent().filter(|_| dir != root);
        let Some(above) = above else { return atomic::make_dir(dir) };
        self.make_dirs_in(root, above, changed)?;
        let failed = |error| FileError::new("make", dir, error);
        match fs::DirBuilder::new().mode(self.dir & 0o777).create(dir) {
            Ok(()) => {}
            // Another writer was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {
                return Ok(());
            }
            Err(error) => return Err(failed(error)),
        }
        if !self.is_private() {
            fs::set_permissions(dir, Permissions::from_mode(self.dir)).map_err(failed)?;
        }
        changed.insert(above.to_owned());
        Ok(())
    }
}
