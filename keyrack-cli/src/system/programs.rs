//! The programs that this one starts and tells secrets: where they are, and how they start
//! so that nobody hears those.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use keyrack_protocol::{peer, sealed_copy};

use crate::error::{Code, Context, Failure, Outcome};

/// A program of ours: beside the command or in `../libexec/keyrack`, never on PATH.
///
/// # Errors
/// [`Code::Unexpected`] when it is in neither place.
pub fn find(name: &str) -> Outcome<PathBuf> {
    let command =
        std::env::current_exe().context(|| "finding the keyrack command itself".to_owned())?;
    let dir = command.parent().unwrap_or(Path::new("/"));
    let places = [dir.join(name), dir.join("../libexec/keyrack").join(name)];
    places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let message = format!("{name} is not installed beside {}", command.display());
        Failure::new(Code::Unexpected, message)
            .hint(format!("install {name} into {}", dir.display()))
    })
}

/// Starts such a program without an environment, and closed: one that its user can read would
/// be open for a moment, in which another process of the user could take a descriptor of it,
/// and so hear all that it is told later.
///
/// # Errors
/// When it cannot be run.
pub fn start_closed(
    program: &Path,
    streams: impl Fn(&mut Command) -> io::Result<()>,
) -> io::Result<Child> {
    let name = program.file_name().unwrap_or_default();
    let start = |path: &Path| {
        let mut command = Command::new(path);
        command.arg0(name).env_clear().current_dir("/");
        streams(&mut command)?;
        command.spawn()
    };
    // Nothing is closed to root. What cannot be read needs no copy; where there can be none,
    // the program goes on as it is, and `status` and `doctor` say so.
    if peer::own_uid() != 0
        && let Ok(copy) = sealed_copy::of(program, &name.to_string_lossy())
        && let Ok(child) = start(Path::new(&format!("/proc/self/fd/{}", copy.as_raw_fd())))
    {
        return Ok(child);
    }
    start(program)
}
