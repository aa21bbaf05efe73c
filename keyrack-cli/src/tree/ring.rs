//! A new session key ring for this process and what it starts, and what it takes over
//! from the old one.

use std::ffi::CStr;

use nix::errno::Errno;

use crate::system::sys::{self, Serial};

/// The name of the key that holds a process tree's secret, in a session ring.
pub const TREE: &CStr = c"keyrack:tree";
/// The name of the key that holds a user's secret, in the user's ring.
pub const USER: &CStr = c"keyrack:user";
/// Whoever possesses it may do all; the user, the group and others nothing.
pub const POSSESSOR_ONLY: u32 = 0x3f00_0000;
/// The bits of user, group and others.
const OTHERS: u32 = 0x003f_3f3f;
/// Those by which they see that a key is there.
const VIEW: u32 = 0x0001_0101;

/// The user's ring, whose keys this process possesses from here on: only then may it read
/// them. A program in a sandbox has another one.
pub fn of_user() -> Serial {
    let _ = sys::link(Serial::USER, Serial::PROCESS);
    Serial::USER
}

/// The session's ring, where it is one session's: not the user's, nor the one that processes
/// without a session share. Into either, any process of the user may put a key.
///
/// # Errors
/// `ENOKEY` where it is not.
pub fn of_session() -> nix::Result<Serial> {
    let session = sys::resolve(Serial::SESSION)?;
    let shared = [Serial::USER, Serial::USER_SESSION];
    match shared.iter().any(|ring| sys::resolve(*ring) == Ok(session)) {
        true => Err(Errno::ENOKEY),
        false => Ok(session),
    }
}

/// The `user` key of that name that `ring` itself links, and that none but its possessor can
/// read or change. Rings that it links are not looked into: a login's links the user's.
///
/// # Errors
/// `ENOKEY` when there is none.
pub fn linked(ring: Serial, name: &CStr) -> nix::Result<Serial> {
    let is_ours = |key: &Serial| {
        sys::describe(*key).is_ok_and(|found| {
            found.kind == "user"
                && found.name.as_bytes() == name.to_bytes()
                && found.permissions & OTHERS & !VIEW == 0
        })
    };
    sys::links(ring)?.into_iter().find(is_ours).ok_or(Errno::ENOKEY)
}

/// What of the old session the new one holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All of it, and the user's ring: the same person's next shell.
    All,
    /// What is not ours, such as a Kerberos ticket: a program with a capability of its own.
    Foreign,
    /// Nothing: a program in a sandbox is not to act as the person either.
    Nothing,
}

/// Joins a new anonymous session ring.
///
/// The old keys are held in the process ring meanwhile: after joining they are out of
/// reach, and so would be a Kerberos ticket or an encrypted disk's key.
///
/// # Errors
/// `EDQUOT` when the user's key quota is used up; `EPERM` or `ENOSYS` where key rings are
/// forbidden.
pub fn begin(keep: Keep) -> nix::Result<()> {
    let mut wanted = sys::links(Serial::SESSION).unwrap_or_default();
    match keep {
        Keep::All => wanted.push(Serial::USER),
        Keep::Foreign => wanted.retain(|key| is_foreign(*key)),
        Keep::Nothing => wanted.clear(),
    }
    wanted.retain(|key| sys::link(*key, Serial::PROCESS).is_ok());
    sys::join_anonymous_session()?;
    for key in wanted {
        let _ = sys::link(key, Serial::SESSION);
    }
    sys::set_permissions(Serial::SESSION, POSSESSOR_ONLY)
}

/// Whether a key is neither ours, nor a ring that leads to one of ours, nor the user's
/// ring, into which any process of the user may put one.
fn is_foreign(key: Serial) -> bool {
    let users = [Serial::USER, Serial::USER_SESSION];
    if users.iter().any(|ring| sys::resolve(*ring) == Ok(key)) {
        return false;
    }
    match sys::describe(key) {
        Ok(found) if found.kind == "keyring" => {
            [TREE, USER].iter().all(|name| sys::search(key, name) == Err(Errno::ENOKEY))
        }
        Ok(found) => !found.name.starts_with("keyrack:"),
        // What cannot be seen is not ours: ours let their possessor see them.
        Err(_) => true,
    }
}
