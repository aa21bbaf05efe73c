//! Every `unsafe` line of the command but the sandbox's: the kernel's key rings (keyctl(2)),
//! descriptors that a caller names by number, and the size of a terminal.
//!
//! No crate serves for the key rings: `linux-keyutils` has no way to join an anonymous
//! session, to hand it to the parent or to set a ring's permissions, and passes over
//! links of types it does not know.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_long, c_ulong};
use nix::errno::Errno;
use zeroize::Zeroizing;

/// A key or key ring, by serial number or by one of the kernel's special numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial(i32);

impl Serial {
    /// The process's own ring.
    pub const PROCESS: Self = Self(-2);
    /// The session's ring.
    pub const SESSION: Self = Self(-3);
    /// The user's ring.
    pub const USER: Self = Self(-4);
    /// The ring that processes of a user without a session share.
    pub const USER_SESSION: Self = Self(-5);
}

const GET_KEYRING_ID: c_ulong = 0;
const JOIN_SESSION_KEYRING: c_ulong = 1;
const UPDATE: c_ulong = 2;
const SETPERM: c_ulong = 5;
const DESCRIBE: c_ulong = 6;
const LINK: c_ulong = 8;
const SEARCH: c_ulong = 10;
const READ: c_ulong = 11;
const SESSION_TO_PARENT: c_ulong = 18;

/// keyctl(2). The pointers in `a` to `d` must be valid for what `operation` does.
unsafe fn keyctl(
    operation: c_ulong,
    a: c_ulong,
    b: c_ulong,
    c: c_ulong,
    d: c_ulong,
) -> nix::Result<c_long> {
    // SAFETY: the caller answers for the pointers.
    Errno::result(unsafe { libc::syscall(libc::SYS_keyctl, operation, a, b, c, d) })
}

fn number(serial: Serial) -> c_ulong {
    // The kernel reads 32 bits, sign included.
    i64::from(serial.0) as c_ulong
}

/// The serial number behind a special one; nothing is created.
///
/// # Errors
/// `ENOKEY` when there is none; `EPERM` or `ENOSYS` where key rings are forbidden.
pub fn resolve(special: Serial) -> nix::Result<Serial> {
    // SAFETY: no pointers.
    let serial = unsafe { keyctl(GET_KEYRING_ID, number(special), 0, 0, 0) }?;
    Ok(Serial(serial as i32))
}

/// Replaces this process's session ring by a new anonymous one.
///
/// # Errors
/// `EDQUOT` when the user's key quota is used up.
pub fn join_anonymous_session() -> nix::Result<()> {
    // SAFETY: a null name asks for an anonymous ring.
    unsafe { keyctl(JOIN_SESSION_KEYRING, 0, 0, 0, 0) }.map(drop)
}

/// Gives this process's session ring to its parent.
///
/// # Errors
/// `EPERM` when the parent has several threads, another uid or a session ring that is not
/// the user's.
pub fn session_to_parent() -> nix::Result<()> {
    // SAFETY: no pointers.
    unsafe { keyctl(SESSION_TO_PARENT, 0, 0, 0, 0) }.map(drop)
}

/// Finds a `user` key by its description in `ring` and the rings it links.
///
/// # Errors
/// `ENOKEY` when there is none.
pub fn search(ring: Serial, description: &CStr) -> nix::Result<Serial> {
    let (kind, name) = (c"user".as_ptr() as c_ulong, description.as_ptr() as c_ulong);
    // SAFETY: both strings end in NUL and outlive the call.
    let serial = unsafe { keyctl(SEARCH, number(ring), kind, name, 0) }?;
    Ok(Serial(serial as i32))
}

/// Adds a `user` key to `ring`, or replaces the one of that description.
///
/// # Errors
/// `EDQUOT` when the user's key quota is used up.
pub fn add(ring: Serial, description: &CStr, payload: &[u8]) -> nix::Result<Serial> {
    // SAFETY: the strings end in NUL, the payload is as long as said; all outlive the call.
    let serial = Errno::result(unsafe {
        libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            description.as_ptr(),
            payload.as_ptr(),
            payload.len(),
            ring.0,
        )
    })?;
    Ok(Serial(serial as i32))
}

/// Replaces the payload of a key.
///
/// # Errors
/// `EDQUOT` when the user's key quota is used up.
pub fn update(key: Serial, payload: &[u8]) -> nix::Result<()> {
    // SAFETY: the payload is as long as said and outlives the call.
    unsafe { keyctl(UPDATE, number(key), payload.as_ptr() as c_ulong, payload.len() as c_ulong, 0) }
        .map(drop)
}

/// The payload of a key.
///
/// # Errors
/// `EACCES` when it may not be read.
pub fn read(key: Serial) -> nix::Result<Zeroizing<Vec<u8>>> {
    let mut size = 1024;
    loop {
        let mut buffer = Zeroizing::new(vec![0u8; size]);
        // SAFETY: the buffer is as long as said.
        let found = unsafe {
            keyctl(READ, number(key), buffer.as_mut_ptr() as c_ulong, size as c_ulong, 0)
        }?;
        let found = found as usize;
        // The kernel says how long it is, even when it did not fit.
        if found <= size {
            buffer.truncate(found);
            return Ok(buffer);
        }
        size = found;
    }
}

/// What a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its type: `user`, `keyring`, …
    pub kind: String,
    /// Who may do what with it, as in [`set_permissions`].
    pub permissions: u32,
    /// Its description.
    pub name: String,
}

/// What a key is.
///
/// # Errors
/// `EACCES` when it may not be seen.
pub fn describe(key: Serial) -> nix::Result<Described> {
    let mut buffer = [0u8; 4096];
    let (start, size) = (buffer.as_mut_ptr() as c_ulong, buffer.len());
    // SAFETY: the buffer is as long as said.
    let length = unsafe { keyctl(DESCRIBE, number(key), start, size as c_ulong, 0) }? as usize;
    // type;uid;gid;permissions;description, which may hold anything, and a NUL.
    let text = String::from_utf8_lossy(
        buffer.get(..length.min(size).saturating_sub(1)).unwrap_or_default(),
    );
    let mut parts = text.splitn(5, ';');
    let kind = parts.next().unwrap_or_default().to_owned();
    let permissions = parts.nth(2).and_then(|bits| u32::from_str_radix(bits, 16).ok());
    // What cannot be told is taken for open to all.
    let permissions = permissions.unwrap_or(u32::MAX);
    Ok(Described { kind, permissions, name: parts.next().unwrap_or_default().to_owned() })
}

/// What a ring links.
///
/// # Errors
/// `EACCES` when it may not be read.
pub fn links(ring: Serial) -> nix::Result<Vec<Serial>> {
    let bytes = read(ring)?;
    Ok(bytes
        .chunks_exact(4)
        .filter_map(|c| c.try_into().ok())
        .map(|c| Serial(i32::from_ne_bytes(c)))
        .collect())
}

/// Links `key` into `ring`.
///
/// # Errors
/// `EACCES` when the key does not let itself be linked.
pub fn link(key: Serial, ring: Serial) -> nix::Result<()> {
    // SAFETY: no pointers.
    unsafe { keyctl(LINK, number(key), number(ring), 0, 0) }.map(drop)
}

/// Sets who may do what with a key, in keyctl(2)'s bits: possessor, user, group, other.
///
/// # Errors
/// `EACCES` when the key is not ours to change.
pub fn set_permissions(key: Serial, bits: u32) -> nix::Result<()> {
    // SAFETY: no pointers.
    unsafe { keyctl(SETPERM, number(key), c_ulong::from(bits), 0, 0) }.map(drop)
}

/// Ends this process as SIGPIPE does by default. Rust ignores that signal from the start,
/// and a write to a daemon that went away must not kill us, so only stdout restores it.
pub fn end_by_sigpipe() -> ! {
    use nix::sys::signal::{SigHandler, Signal, raise, signal};
    // SAFETY: SIG_DFL runs no code of ours.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let _ = raise(Signal::SIGPIPE);
    std::process::abort()
}

/// Keeps the descriptor of that number from the programs this one starts.
pub fn keep_from_programs(fd: RawFd) {
    // SAFETY: only the number is read; a wrong one is EBADF.
    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Gives one terminal the size of another.
///
/// # Errors
/// `ENOTTY` when one of them is none.
pub fn copy_size(from: impl AsFd, to: impl AsFd) -> nix::Result<()> {
    // SAFETY: all zeroes is a valid size.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: `size` is a whole `winsize` and outlives both calls.
    Errno::result(unsafe {
        libc::ioctl(from.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size)
    })?;
    // SAFETY: as above.
    Errno::result(unsafe { libc::ioctl(to.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
        .map(drop)
}

/// A copy of the descriptor that the caller named by number.
///
/// # Errors
/// `EBADF` when nothing is open there.
pub fn duplicate(fd: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC only reads the number; a wrong one is EBADF.
    let copy = Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the kernel just made `copy` for us, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Takes variables out of this process's own environment.
pub fn forget_variables(names: &[&str]) {
    for name in names {
        // SAFETY: the command has one thread so far; nothing reads the environment beside it.
        unsafe { std::env::remove_var(name) };
    }
}
