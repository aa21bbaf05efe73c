//! Values as files: each one readable by its user alone, in a directory in memory that is
//! gone with the program.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keyrack_names::{KeyName, Secret};
use tempfile::TempDir;

use super::environment::Environment;
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;
use crate::sandbox;
use crate::settings::Settings;

/// A directory for values.
#[derive(Debug)]
pub enum Files {
    /// Seen by the program and what it starts, and by nobody else who was not let in.
    Private(PathBuf),
    /// Seen by every process of the user, removed when the program has ended.
    Temporary(TempDir),
}

impl Files {
    /// The place at which a directory of the program's own is mounted. Outside it stays
    /// empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn place(settings: &Settings) -> Outcome<PathBuf> {
        let place = settings.places.state.join("files");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&place)
            .context(|| place.display().to_string())?;
        place.canonicalize().context(|| place.display().to_string())
    }

    /// A directory of the program's own at `place`, in a mount namespace of its own.
    ///
    /// # Errors
    /// When the mount is refused.
    pub fn private(place: &Path) -> Outcome<Self> {
        sandbox::private_directory(place)
            .context(|| "a private directory for values".to_owned())?;
        Ok(Self::Private(place.to_owned()))
    }

    /// A directory that every process of the user could look into, because no namespace
    /// can be had.
    ///
    /// # Errors
    /// When there is no place in memory for it.
    pub fn temporary(environment: &Environment, ui: &Ui) -> Outcome<Self> {
        let runtime = environment.get(std::ffi::OsStr::new("XDG_RUNTIME_DIR")).map(PathBuf::from);
        let dirs =
            runtime.into_iter().chain([PathBuf::from("/dev/shm")]).filter(|dir| dir.is_dir());
        let made = dirs
            .filter_map(|dir| tempfile::Builder::new().prefix("keyrack-").tempdir_in(dir).ok())
            .next();
        let dir = made.ok_or_else(|| {
            Failure::new(Code::Blocked, "there is no place in memory for files: neither XDG_RUNTIME_DIR nor /dev/shm can be written")
        })?;
        ui.say(format!(
            "no mount namespace can be had: other programs of this user can read {}",
            dir.path().display()
        ));
        Ok(Self::Temporary(dir))
    }

    /// Writes a value; gives its path.
    ///
    /// # Errors
    /// When memory is full.
    pub fn write(&self, name: &KeyName, value: &Secret) -> Outcome<PathBuf> {
        let path = self.dir().join(name.as_str());
        let doing = || path.display().to_string();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .context(doing)?;
        file.write_all(value.expose()).context(doing)?;
        Ok(path)
    }

    fn dir(&self) -> &Path {
        match self {
            Self::Private(dir) => dir,
            Self::Temporary(dir) => dir.path(),
        }
    }
}
