//! Namespaces of the program's own, without being root and without any helper: a user
//! namespace in which the user is the same user, a mount namespace, one for shared memory
//! and message queues, and where nothing is to be reached a network namespace.

use std::fs;
use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{getegid, geteuid};

use super::sys;

/// Which namespaces to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    /// Root may do without, and then stays root of the machine.
    pub user: bool,
    /// With no shared memory, semaphores or message queues but its own.
    pub memory: bool,
    /// With nothing but the loopback interface.
    pub network: bool,
}

/// Enters them, with a mount namespace whose changes nobody else sees.
///
/// This process can be read by others of the same user for a moment: it must hold no
/// secret yet, or only those that the program is going to hold.
///
/// # Errors
/// When the kernel, or its security modules, forbid it.
pub fn enter(kinds: Kinds) -> io::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWNS;
    flags.set(CloneFlags::CLONE_NEWUSER, kinds.user);
    flags.set(CloneFlags::CLONE_NEWIPC, kinds.memory);
    flags.set(CloneFlags::CLONE_NEWNET, kinds.network);
    unshare(flags)?;
    if kinds.user {
        // /proc/self belongs to root as long as this process cannot be read.
        prctl::set_dumpable(true)?;
        let mapped = map(uid.as_raw(), gid.as_raw());
        prctl::set_dumpable(false)?;
        mapped?;
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    if kinds.network {
        sys::loopback_up()?;
    }
    Ok(())
}

/// The user is who it was; every other user is nobody.
fn map(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}
