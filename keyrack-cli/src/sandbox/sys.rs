//! Every `unsafe` line of the sandbox: mounts by descriptor (mount_setattr(2) and its kin,
//! which no crate wraps), the loopback interface, secure bits, one fork, and what happens
//! between another and its exec.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use libc::{AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE, c_uint};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

// Of <linux/mount.h>; libc has these only for some targets.
const OPEN_TREE_CLONE: c_uint = 1;
const OPEN_TREE_CLOEXEC: c_uint = libc::O_CLOEXEC as c_uint;
const MOVE_MOUNT_F_EMPTY_PATH: c_uint = 4;
const MOUNT_ATTR_RDONLY: u64 = 1;

#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

fn c_path(path: &Path) -> nix::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// What is at `path`, if no symbolic link is on the way there.
///
/// # Errors
/// `ELOOP` where one is; `ENOENT` when there is no such path.
pub fn without_links(path: &Path) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(nix::fcntl::AT_FDCWD, path, how)
}

/// A copy of what is mounted at `path` and below, attached nowhere.
///
/// # Errors
/// As [`without_links`]; `EPERM` without the right to mount.
pub fn copy_of_mount(path: &Path) -> nix::Result<OwnedFd> {
    let at = without_links(path)?;
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (AT_RECURSIVE | AT_EMPTY_PATH) as c_uint;
    // SAFETY: the path is empty, and the descriptor outlives the call.
    let fd = Errno::result(unsafe {
        libc::syscall(libc::SYS_open_tree, at.as_raw_fd(), c"".as_ptr(), flags)
    })?;
    // SAFETY: the kernel just made the descriptor for us, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Mounts such a copy at `target`.
///
/// # Errors
/// `ENOENT` when there is no such path; `ENOTDIR` when one is a directory and one is not.
pub fn attach(mount: BorrowedFd<'_>, target: &Path) -> nix::Result<()> {
    let target = c_path(target)?;
    // SAFETY: both paths end in NUL and outlive the call.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_raw_fd(),
            c"".as_ptr(),
            AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Makes what is mounted at `path`, and all below, read-only.
///
/// # Errors
/// `ENOSYS` before Linux 5.12.
pub fn make_read_only(path: &Path) -> nix::Result<()> {
    set_read_only(AT_FDCWD, &c_path(path)?, AT_RECURSIVE)
}

/// Makes the mount at `path` read-only, and leaves those below it.
///
/// # Errors
/// `ENOSYS` before Linux 5.12.
pub fn make_read_only_here(path: &Path) -> nix::Result<()> {
    set_read_only(AT_FDCWD, &c_path(path)?, 0)
}

/// The same for a copy that is not attached yet.
///
/// # Errors
/// `ENOSYS` before Linux 5.12.
pub fn make_copy_read_only(mount: BorrowedFd<'_>) -> nix::Result<()> {
    set_read_only(mount.as_raw_fd(), c"", AT_RECURSIVE | AT_EMPTY_PATH)
}

fn set_read_only(dir: i32, path: &std::ffi::CStr, flags: i32) -> nix::Result<()> {
    let attr = MountAttr { set: MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, userns: 0 };
    // SAFETY: the path ends in NUL, the structure is as long as said; both outlive the call.
    Errno::result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir,
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Switches the loopback interface of this network namespace on.
///
/// # Errors
/// `EPERM` when the namespace is not ours.
pub fn loopback_up() -> nix::Result<()> {
    // SAFETY: no pointers; the descriptor is owned at once.
    let socket = unsafe {
        let fd =
            Errno::result(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?;
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: all zeroes is a valid request: no name, no flags.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is a whole `ifreq` and outlives the call.
    Errno::result(unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    })
    .map(drop)
}

/// From the next program on, being uid 0 of a user namespace gives no capability, and
/// nothing can undo that.
///
/// # Errors
/// `EPERM` outside of a user namespace of ours.
pub fn root_is_nobody_special() -> nix::Result<()> {
    // Of <linux/securebits.h>: NOROOT and NO_SETUID_FIXUP, each with its lock.
    const BITS: libc::c_ulong = 0b1111;
    // SAFETY: no pointers.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, BITS, 0, 0, 0) }).map(drop)
}

/// Runs `work` in a copy of this process, which ends with the status it gives. Gives the
/// copy's pid.
///
/// # Errors
/// `EAGAIN` when there are too many processes.
pub fn in_a_copy(work: impl FnOnce() -> i32) -> nix::Result<nix::unistd::Pid> {
    // SAFETY: this program has one thread, so the copy may do whatever the original may.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(child),
        nix::unistd::ForkResult::Child => {
            let status = work();
            // SAFETY: ends the copy without running what the original will run at its end.
            unsafe { libc::_exit(status) }
        }
    }
}

/// Lets the program begin with the signals blocked that are blocked now, whatever is
/// blocked here when it is started.
///
/// # Errors
/// Never on Linux; the signature says what the system call says.
pub fn begin_with_this_mask(program: &mut Command) -> nix::Result<()> {
    use nix::sys::signal::SigSet;
    let mask = SigSet::thread_get_mask()?;
    // SAFETY: setting the mask is all that is done between fork and exec, and safe there.
    unsafe { program.pre_exec(move || Ok(mask.thread_set_mask()?)) };
    Ok(())
}

/// Lets the program begin in a session without keys: no capability, and nothing of another's.
/// It ends when this one does, however that ends.
pub fn begin_without_keys(program: &mut Command) {
    let begin = || {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        match crate::system::sys::join_anonymous_session() {
            // There is no session here that could hold anything of ours.
            Err(Errno::EPERM | Errno::ENOSYS) => Ok(()),
            begun => Ok(begun?),
        }
    };
    // SAFETY: two system calls are all that is done between fork and exec.
    unsafe { program.pre_exec(begin) };
}

/// Lets the program begin as the user that `become_user` becomes, which may make system calls
/// and nothing else.
pub fn begin_as(
    program: &mut Command,
    become_user: impl Fn() -> nix::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: this program has one thread, so whatever was allocated before can be read there.
    unsafe { program.pre_exec(move || Ok(become_user()?)) };
}

/// Lets the program begin in a session of its own, with `terminal` as its terminal.
pub fn begin_apart(program: &mut Command, terminal: Option<OwnedFd>) {
    let begin = move || {
        nix::unistd::setsid()?;
        if let Some(terminal) = &terminal {
            // SAFETY: only numbers are read; the descriptor is this closure's own.
            Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
        }
        Ok(())
    };
    // SAFETY: two system calls are all that is done between fork and exec, and safe there.
    unsafe { program.pre_exec(begin) };
}

/// Lets the next program inherit, beyond the first three, only descriptors that lead
/// nowhere: pipes and plain files. A directory would be a way around the mounts, a socket
/// around everything.
///
/// # Errors
/// As [`keep_only`].
pub fn keep_pipes_and_files() -> std::io::Result<()> {
    use nix::sys::stat::SFlag;
    keep_only(|number| {
        // SAFETY: borrowed for one fstat; a number that was closed meanwhile is EBADF.
        let found = nix::sys::stat::fstat(unsafe { BorrowedFd::borrow_raw(number) });
        let kind = found.map_or(0, |found| found.st_mode & SFlag::S_IFMT.bits());
        kind == SFlag::S_IFIFO.bits() || kind == SFlag::S_IFREG.bits()
    })
}

/// Lets the next program inherit the first three descriptors and what `keeps` says.
///
/// # Errors
/// Where nobody can tell what is open.
pub fn keep_only(keeps: impl Fn(RawFd) -> bool) -> std::io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?;
    let numbers: Vec<RawFd> =
        open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2 && !keeps(*number)) {
        // SAFETY: only the number is read; a wrong one is EBADF.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}
