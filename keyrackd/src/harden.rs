//! Every `unsafe` line of the daemon, each with its reason: the system calls for which
//! there is no safe wrapper. What they are for, and in which order, is in `process`.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;
use std::sync::atomic::AtomicU64;

use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How well the page is kept that everything else is sealed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// Outside the kernel's own map: neither swap, nor a core, nor another process.
    Secret,
    /// Never swapped, never in a core, not inherited.
    Locked,
    /// Ordinary memory: the machine allows nothing better.
    Plain,
}

/// A key's worth of memory: 256 bits.
pub(crate) type KeyPage = [AtomicU64; 4];

/// A zeroed page for one key, kept as well as this machine allows. It stays for the life
/// of the process; atomics, so that it can be wiped while others hold it.
///
/// # Errors
/// When there is no memory at all.
pub(crate) fn key_page() -> Result<(&'static KeyPage, PageKind), Errno> {
    let (page, kind) = match secret_page() {
        Ok(page) => (page, PageKind::Secret),
        Err(_) => anonymous_page()?,
    };
    // SAFETY: `page` is a fresh, zeroed, page-aligned mapping of at least one page that is
    // never unmapped. All-zero bytes are a valid `KeyPage`, and nobody else points there.
    Ok((unsafe { &*page.cast::<KeyPage>() }, kind))
}

fn page_size() -> usize {
    // SAFETY: reads a constant of the system.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn map(flags: i32, fd: i32) -> Result<*mut libc::c_void, Errno> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address the kernel chooses touches no memory of ours.
    let page = unsafe { libc::mmap(ptr::null_mut(), page_size(), access, flags, fd, 0) };
    if page == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(page) }
}

fn secret_page() -> Result<*mut libc::c_void, Errno> {
    // SAFETY: takes flags and makes a descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: `fd` is ours; sizing it touches no memory.
    let sized = Errno::result(unsafe { libc::ftruncate(fd, page_size() as libc::off_t) });
    let page = sized.and_then(|_| map(libc::MAP_SHARED, fd));
    // SAFETY: `fd` is ours and not used again; the mapping keeps the memory.
    unsafe { libc::close(fd) };
    let page = page?;
    // SAFETY: exactly the mapping made above.
    unsafe { libc::madvise(page, page_size(), libc::MADV_DONTFORK) };
    Ok(page)
}

fn anonymous_page() -> Result<(*mut libc::c_void, PageKind), Errno> {
    let page = map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    // SAFETY: exactly the mapping made above; none of the calls changes its content.
    let locked = unsafe {
        libc::madvise(page, page_size(), libc::MADV_WIPEONFORK);
        libc::madvise(page, page_size(), libc::MADV_DONTDUMP) == 0
            && libc::mlock(page, page_size()) == 0
    };
    Ok((page, if locked { PageKind::Locked } else { PageKind::Plain }))
}

/// Whether any process of the user may look into this one.
pub(crate) fn is_open_to_its_user() -> bool {
    const SUID_DUMP_USER: i32 = 1;
    // SAFETY: takes nothing and returns a number. Two is closed, too: cores go to root.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == SUID_DUMP_USER }
}

/// Closes every descriptor but standard input, output and error.
///
/// # Errors
/// When neither the system call nor `/proc` is there.
pub(crate) fn close_inherited() -> io::Result<()> {
    // SAFETY: called first thing, before anything of ours was opened, so that no owner of
    // a descriptor is left with a closed one.
    if unsafe { libc::close_range(3, u32::MAX, 0) } == 0 {
        return Ok(());
    }
    // Before Linux 5.9, or forbidden. Listed first: the list is a descriptor itself.
    let names = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let open: Vec<RawFd> = names.filter_map(|name| name.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: as above. The one of the list is closed already; closing it again fails.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// From here on no memory becomes executable.
///
/// # Errors
/// Before Linux 6.3.
pub(crate) fn deny_writable_code() -> Result<(), Errno> {
    const PR_SET_MDWE: libc::c_int = 65;
    const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    // SAFETY: takes numbers; the unused arguments must be zero.
    let done =
        unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0 as libc::c_ulong, 0, 0) };
    Errno::result(done).map(drop)
}

/// Leaves the caller's session keyring, where its process tree keeps its secret, for an
/// empty one that all daemons of a user share: one each would use up the user's quota of
/// 200 keys.
///
/// # Errors
/// Where keyrings are forbidden, as in many containers, or the quota is full.
pub(crate) fn leave_session_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    const SETPERM: libc::c_int = 5;
    /// Its possessor everything; the user's other processes see it and can join it.
    const SHARED: u32 = 0x3f09_0000;
    // SAFETY: takes a zero-terminated name, and numbers.
    unsafe {
        let name = c"keyrackd".as_ptr();
        let id = libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name);
        let id = Errno::result(id)?;
        // Only its maker may; for the others it is so already.
        libc::syscall(libc::SYS_keyctl, SETPERM, id, SHARED);
    }
    Ok(())
}

/// A closed terminal or a vanished reader does not end a daemon.
pub(crate) fn ignore_hangups() {
    // SAFETY: ignoring a signal installs no handler.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}

/// One heap for all threads: a second one costs memory, and growing it system calls that
/// a sealed daemon does not have.
pub(crate) fn share_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a parameter of the allocator, before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives freed memory back to the system.
pub(crate) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: touches only memory that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A kernel object behind one descriptor, as the runtime wants to see it.
#[derive(Debug)]
pub(crate) struct Watched<T>(pub(crate) T);

/// What keeps one descriptor, the same one, open for as long as it lives.
pub(crate) trait Descriptor: AsFd {}
impl Descriptor for nix::sys::timerfd::TimerFd {}
impl Descriptor for nix::sys::signalfd::SignalFd {}
impl Descriptor for std::os::fd::OwnedFd {}

impl<T: Descriptor> AsRawFd for Watched<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Has the runtime say when `object` can be read.
///
/// # Errors
/// When the kernel cannot watch one more descriptor.
pub(crate) fn watch<T: Descriptor>(object: T) -> io::Result<AsyncFd<Watched<T>>> {
    // SAFETY: a `Descriptor` owns its one descriptor and is moved into the `AsyncFd`.
    let watched = unsafe { AsyncFd::register_with_interest(Watched(object), Interest::READABLE) };
    watched.map_err(io::Error::from)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Memory that is code: what a sealed process must not get.
    pub(crate) fn map_code() -> Result<(), Errno> {
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address the kernel chooses touches no memory of ours.
        let page = unsafe { libc::mmap(ptr::null_mut(), page_size(), access, flags, -1, 0) };
        if page == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(()) }
    }

    #[test]
    fn a_key_page_is_zero_and_better_than_ordinary_memory() {
        let (page, kind) = key_page().unwrap();
        assert!(page.iter().all(|word| word.load(std::sync::atomic::Ordering::Relaxed) == 0));
        assert_ne!(kind, PageKind::Plain);
    }

    #[test]
    fn the_second_best_page_is_locked() {
        let (_, kind) = anonymous_page().unwrap();
        assert_eq!(kind, PageKind::Locked);
    }
}
