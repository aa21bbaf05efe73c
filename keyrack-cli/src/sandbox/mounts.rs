//! Builds what the layout says, in a mount namespace of our own: everything read-only,
//! the hidden covered, a `/dev` with nothing but what programs need.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::layout::{Layout, View};
use super::sys;

/// The devices a program needs. Other terminals are not among them: who can read one
/// reads what is typed there.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// Why a tree was not built.
#[derive(Debug, thiserror::Error)]
#[error("mounting {}: {source}", path.display())]
pub struct MountError {
    path: PathBuf,
    source: io::Error,
}

fn at(path: &Path) -> impl FnOnce(nix::errno::Errno) -> MountError {
    let path = path.to_owned();
    move |errno| MountError { path, source: errno.into() }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> MountError {
    let path = path.to_owned();
    move |source| MountError { path, source }
}

/// What will be seen inside, copied while it can still be reached.
#[derive(Debug)]
pub struct Copies<'a> {
    layout: &'a Layout,
    copies: Vec<Option<OwnedFd>>,
    devices: Vec<(OwnedFd, PathBuf)>,
}

impl<'a> Copies<'a> {
    /// Takes the copies. Nothing is changed yet.
    ///
    /// # Errors
    /// When mounting is refused.
    pub fn take(layout: &'a Layout) -> Result<Self, MountError> {
        let copies =
            layout.mounts.iter().map(|(path, view)| copy(path, *view)).collect::<Result<_, _>>()?;
        let devices = DEVICES
            .iter()
            .map(|name| Path::new("/dev").join(name))
            .map(|path| Ok((sys::copy_of_mount(&path).map_err(at(&path))?, path)))
            .collect::<Result<_, MountError>>()?;
        Ok(Self { layout, copies, devices })
    }

    /// Mounts the layout over what is there.
    ///
    /// # Errors
    /// When a mount is refused; then the tree is half built, and nothing may run in it.
    pub fn place(&self) -> Result<(), MountError> {
        sys::make_read_only(Path::new("/")).map_err(at(Path::new("/")))?;
        dev(&self.devices)?;
        for ((path, view), copy) in self.layout.mounts.iter().zip(&self.copies) {
            place(path, *view, copy.as_ref())?;
        }
        // Places were made in these for what is shown inside of them.
        let empty =
            self.layout.mounts.iter().filter(|(path, view)| *view == View::Empty && path.exists());
        for path in empty.map(|(path, _)| path.as_path()).chain([Path::new("/dev")]) {
            sys::make_read_only_here(path).map_err(at(path))?;
        }
        Ok(())
    }
}

/// An empty directory of this process's and its children's own at `path`, gone with them.
///
/// # Errors
/// When a mount is refused.
pub fn private_directory(path: &Path) -> Result<(), MountError> {
    tmpfs(path, "mode=0700")
}

fn copy(path: &Path, view: View) -> Result<Option<OwnedFd>, MountError> {
    let source = match view {
        View::Read | View::Write => path,
        View::Blank => Path::new("/dev/null"),
        View::Empty | View::Private => return Ok(None),
    };
    let copy = sys::copy_of_mount(source).map_err(at(path))?;
    if view != View::Write {
        sys::make_copy_read_only(copy.as_fd()).map_err(at(path))?;
    }
    Ok(Some(copy))
}

fn place(path: &Path, view: View, copy: Option<&OwnedFd>) -> Result<(), MountError> {
    match (view, copy) {
        // It went away; or nobody with this user's rights gets there, nor will the program.
        (View::Empty | View::Blank, _) if !path.exists() => Ok(()),
        (View::Private, _) => {
            fs::create_dir_all(path).map_err(io_at(path))?;
            tmpfs(path, "mode=1777")
        }
        (_, Some(copy)) => {
            if !path.exists() {
                stand_in(path, copy)?;
            }
            sys::attach(copy.as_fd(), path).map_err(at(path))
        }
        (_, None) => tmpfs(path, "mode=0755"),
    }
}

/// Makes the place that something can be mounted at: a directory for a directory, a file
/// for anything else.
fn stand_in(path: &Path, copy: &OwnedFd) -> Result<(), MountError> {
    use nix::sys::stat::{SFlag, fstat};
    let mode = fstat(copy).map_err(at(path))?.st_mode;
    if SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR {
        return fs::create_dir_all(path).map_err(io_at(path));
    }
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).map_err(io_at(path))?;
    File::create(path).map(drop).map_err(io_at(path))
}

/// `/dev` with the usual devices, links, and pseudo terminals of its own.
fn dev(devices: &[(OwnedFd, PathBuf)]) -> Result<(), MountError> {
    let dev = Path::new("/dev");
    tmpfs(dev, "mode=0755")?;
    for (copy, path) in devices {
        stand_in(path, copy)?;
        sys::attach(copy.as_fd(), path).map_err(at(path))?;
    }
    for (link, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(to, dev.join(link)).map_err(io_at(dev))?;
    }
    for name in ["pts", "shm"] {
        fs::create_dir(dev.join(name)).map_err(io_at(dev))?;
    }
    let pts = dev.join("pts");
    let options = "newinstance,ptmxmode=0666,mode=0620";
    mount(
        Some("devpts"),
        &pts,
        Some("devpts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        Some(options),
    )
    .map_err(at(&pts))
}

fn tmpfs(path: &Path, options: &str) -> Result<(), MountError> {
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options))
        .map_err(at(path))
}
