//! The process that gets what this one hands to its parent, and whether that one is only
//! passing: a `timeout`, or a subshell of `$(…)`, that ends before the robot reads.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{Pid, geteuid, getppid};

use crate::system::process::{self, Stat};

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
    /// Whether another user runs it.
    pub is_anothers: bool,
}

impl Parent {
    /// Looks at the calling process.
    pub fn look() -> Self {
        let pid = getppid();
        let owner = fs::metadata(format!("/proc/{pid}")).map(|found| found.uid());
        let is_anothers = owner.is_ok_and(|uid| uid != geteuid().as_raw());
        Self { label: format!("{} (pid {pid})", comm(pid)), passing: passing(pid), is_anothers }
    }
}

/// The nearest process above this one that is not only passing.
pub fn lasting() -> Option<Pid> {
    process::line(getppid()).find(|pid| passing(*pid).is_none())
}

fn passing(pid: Pid) -> Option<&'static str> {
    if WRAPPERS.contains(&comm(pid).as_str()) {
        Some("it runs one command and ends")
    } else if is_one_line(pid) {
        Some("it is a shell for this one command")
    } else if is_subshell(pid) {
        Some("it is a subshell, as of $(…)")
    } else {
        None
    }
}

fn comm(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

fn is_shell(pid: Pid) -> bool {
    matches!(comm(pid).as_str(), "bash" | "sh" | "dash" | "zsh" | "ksh" | "fish" | "ash")
}

/// A shell that `make` and its like started for a line which ends with this very command.
fn is_one_line(pid: Pid) -> bool {
    let parent = Stat::of(pid).map(|stat| comm(stat.parent));
    let runs_one = parent.is_some_and(|name| WRAPPERS.contains(&name.as_str()));
    // Not every argument is UTF-8; what is not is the same on both sides.
    let ours: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    runs_one
        && is_shell(pid)
        && line(&String::from_utf8_lossy(&words)).is_some_and(|line| ends_with(line, &ours))
}

/// The line in a shell's arguments, which end in NUL each: `sh -c LINE`.
fn line(words: &str) -> Option<&str> {
    let mut words = words.split('\0').skip(1);
    let is_flag = |word: &str| word.starts_with('-') && !word.starts_with("--");
    words.find(|word| is_flag(word) && word.ends_with('c'))?;
    words.next()
}

fn ends_with(line: &str, ours: &[String]) -> bool {
    !ours.is_empty() && line.trim_end().ends_with(&ours.join(" "))
}

/// A shell that was forked, never executed anything (it has its parent's arguments) and
/// writes into a pipe its parent does not write into: somebody reads it to its end, and
/// then it is gone. A plain `( … )` goes on and reads.
fn is_subshell(pid: Pid) -> bool {
    let Some(parent) = Stat::of(pid).map(|stat| stat.parent) else { return false };
    let arguments = |pid: Pid| fs::read(format!("/proc/{pid}/cmdline")).ok();
    let output = |pid: Pid| fs::read_link(format!("/proc/{pid}/fd/1")).ok();
    let is_fork = comm(pid) == comm(parent)
        && arguments(pid).is_some()
        && arguments(pid) == arguments(parent);
    let is_piped = output(pid).is_some_and(|out| out.to_string_lossy().starts_with("pipe:"));
    is_shell(pid) && is_fork && is_piped && output(pid) != output(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_ends_with_our_command_is_told_from_one_that_goes_on() {
        let ours = ["unlock", "--for", "bot"].map(str::to_owned);
        for (words, ends) in [
            ("sh\0-c\0X=1 keyrack unlock --for bot\0", true),
            ("bash\0-ec\0cd x; keyrack unlock --for bot \0", true),
            ("sh\0-c\0keyrack unlock --for bot; robot\0", false),
            ("sh\0-c\0keyrack unlock --for bot && robot\0", false),
            ("sh\0robot.sh\0unlock --for bot\0", false),
            ("sh\0", false),
        ] {
            assert_eq!(line(words).is_some_and(|line| ends_with(line, &ours)), ends, "{words:?}");
        }
        assert!(!ends_with("anything", &[]));
    }
}
