//! The process that gets what this one hands to its parent, and whether that one is only
//! passing: a `timeout`, or a subshell of `$(…)`, that ends before the robot reads.

use std::fs;

use nix::unistd::{Pid, getppid};

use crate::process::{self, Stat};

/// Programs that run one command and end with it.
const WRAPPERS: &[&str] = &[
    "timeout", "xargs", "make", "gmake", "ninja", "nice", "ionice", "time", "env", "nohup", "sudo",
    "su", "runuser", "setpriv", "stdbuf", "script", "watch", "parallel", "flock", "chronic",
];

/// The calling process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its name and process id: `bash (pid 4711)`.
    pub label: String,
    /// Why it will be gone before anybody reads, if it will.
    pub passing: Option<&'static str>,
}

impl Parent {
    /// Looks at the calling process.
    pub fn look() -> Self {
        let pid = getppid();
        Self { label: format!("{} (pid {pid})", comm(pid)), passing: passing(pid) }
    }
}

/// The nearest process above this one that is not only passing.
pub fn lasting() -> Option<Pid> {
    process::line(getppid()).find(|pid| passing(*pid).is_none())
}

fn passing(pid: Pid) -> Option<&'static str> {
    if WRAPPERS.contains(&comm(pid).as_str()) {
        Some("it runs one command and ends")
    } else if is_subshell(pid) {
        Some("it is a subshell, as of $(…)")
    } else {
        None
    }
}

fn comm(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// A shell that was forked, never executed anything (it has its parent's arguments) and
/// writes into a pipe its parent does not write into: somebody reads it to its end, and
/// then it is gone. A plain `( … )` goes on and reads.
fn is_subshell(pid: Pid) -> bool {
    let Some(parent) = Stat::of(pid).map(|stat| stat.parent) else { return false };
    let arguments = |pid: Pid| fs::read(format!("/proc/{pid}/cmdline")).ok();
    let output = |pid: Pid| fs::read_link(format!("/proc/{pid}/fd/1")).ok();
    let is_shell =
        matches!(comm(pid).as_str(), "bash" | "sh" | "dash" | "zsh" | "ksh" | "fish" | "ash");
    let is_fork = comm(pid) == comm(parent)
        && arguments(pid).is_some()
        && arguments(pid) == arguments(parent);
    let is_piped = output(pid).is_some_and(|out| out.to_string_lossy().starts_with("pipe:"));
    is_shell && is_fork && is_piped && output(pid) != output(parent)
}
