//! How `keyrackd` is installed. Of a program that its user can read a sealed copy is made at
//! each start, so that nobody looks into it while it begins; one that nobody can read starts
//! closed, and costs less.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use keyrack_protocol::peer;
use nix::unistd::{AccessFlags, access};

use crate::error::{Context, Outcome};
use crate::system::programs;

/// Says it for `doctor`; where it `fixes`, and may, it takes the right to read away.
///
/// # Errors
/// [`Code::Unexpected`](crate::error::Code::Unexpected) when it is not installed.
pub fn look(fixes: bool) -> Outcome<String> {
    let program = programs::find("keyrackd")?;
    let path = program.display();
    let doing = || path.to_string();
    let found = program.metadata().context(doing)?;
    // Root reads everything, and nothing is closed to it.
    let is_closed = match peer::own_uid() {
        0 => found.mode() & 0o444 == 0,
        _ => access(&program, AccessFlags::R_OK).is_err(),
    };
    if is_closed {
        return Ok(format!("{path}: nobody can read it, so it starts closed"));
    }
    let is_ours = [found.uid(), 0].contains(&peer::own_uid());
    if fixes && is_ours {
        fs::set_permissions(&program, Permissions::from_mode(0o111)).context(doing)?;
        return Ok(format!("{path}: nobody can read it any more, so it starts closed"));
    }
    Ok(format!(
        "{path}: it can be read, so each start seals a copy first (1 ms, 1.8 MiB); mode 0111 saves that"
    ))
}
