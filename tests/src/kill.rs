//! `kill -9` at single system calls: `strace` delivers the signal at the N-th call of one
//! kind, for every kind and every N until a run gets through.

use std::fs;
use std::process::Command;

use crate::Rack;

/// Every call by which a file, a name or a directory comes, changes or goes.
pub const CHANGES: &[&str] = &[
    "openat",
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "ftruncate",
    "mkdir",
    "mkdirat",
    "fchmod",
    "flock",
    "fallocate",
    "copy_file_range",
    "close",
];
/// More calls of one kind than any command makes.
const MANY: usize = 400;

/// Kills `command` at each of `calls` that it makes; after each kill, `check` sees the sandbox.
/// Returns how often it was killed.
///
/// # Panics
/// When a run that is not killed fails, or none gets through.
pub fn kill_at(calls: &[&str], rack: &Rack, command: &str, check: impl Fn(&Rack, &str)) -> usize {
    let save = |from: &str, to: &str| {
        let copied = Command::new("cp").arg("-a").arg(rack.path(from)).arg(rack.path(to)).status();
        assert!(copied.is_ok_and(|s| s.success()), "cp {from} {to}");
    };
    save("home", "saved");
    let mut kills = 0;
    for call in calls {
        let mut through = false;
        for n in 1..MANY {
            fs::remove_dir_all(rack.path("home")).expect("our sandbox");
            save("saved", "home");
            let strace = format!(
                "strace -f -qq -o /dev/null -e trace={call} -e signal=none \
                 -e inject={call}:signal=SIGKILL:when={n} {command}"
            );
            let done = rack.script(&strace).stdin("new value").run();
            let place = format!("{command}: killed at {call} {n}");
            check(rack, &place);
            if done.code != 137 {
                done.ok();
                through = true;
                break;
            }
            kills += 1;
        }
        assert!(through, "{command} makes more than {MANY} calls of {call}");
    }
    kills
}
