//! The daemons that live, found by what they listen on, and their end.
//!
//! A daemon's environment is empty and its memory closed, so the kernel's list of Unix
//! sockets is what tells which sandbox it belongs to.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill as signal};
use nix::unistd::Pid;

/// The listening Unix sockets whose path fits, whether or not the path still exists.
pub fn sockets(fits: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    // Num RefCount Protocol Flags Type St Inode Path; flag 0x10000 is "listening".
    let table = fs::read_to_string("/proc/net/unix").expect("Linux has it");
    let listening = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        (fields.get(3) == Some(&"00010000")).then(|| fields.get(7).map(PathBuf::from))?
    });
    listening.filter(|path| fits(path)).collect()
}

/// The pids that listen on sockets whose path fits, in order, once each.
pub fn listening(fits: impl Fn(&Path) -> bool) -> Vec<i32> {
    let mut pids: Vec<i32> = sockets(fits).iter().filter_map(|path| pid(path)).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// The pid of whoever listens on `path`.
pub fn pid(path: &Path) -> Option<i32> {
    let stream = UnixStream::connect(path).ok()?;
    Some(keyrack_protocol::peer::of(&stream).ok()?.pid)
}

/// Kills the daemons whose sockets fit, except this very process; gives what is left.
pub fn kill(fits: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let own = std::process::id() as i32;
    for pid in listening(&fits) {
        if pid != own {
            let _ = signal(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    let others = |path: &Path| fits(path) && pid(path) != Some(own);
    until(|| sockets(others).is_empty());
    sockets(others)
}

/// The processes whose environment or command line names `sandbox`, as far as this user
/// may look; a moment is given to those that are about to end.
pub fn mentioning(sandbox: &Path) -> Vec<String> {
    let needle = sandbox.display().to_string();
    let find = || -> Vec<String> {
        let processes = fs::read_dir("/proc").expect("Linux has it").flatten();
        let mentions = processes.filter_map(|process| {
            let pid: u32 = process.file_name().to_str()?.parse().ok()?;
            if pid == std::process::id() {
                return None;
            }
            let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
            let cmdline = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            let environ = String::from_utf8_lossy(&read("environ")).into_owned();
            let mentioned = cmdline.contains(&needle) || environ.contains(&needle);
            mentioned.then(|| format!("{pid}: {cmdline}"))
        });
        mentions.collect()
    };
    until(|| find().is_empty());
    find()
}

/// Waits until something is so, at most a few seconds. What follows asserts it.
pub fn until(mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !so() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
}
