//! What a daemon can do once it is ready: nothing but talk to those who connect, keep
//! time, and append to its log. It opens no file, starts no process, connects nowhere.
//!
//! Landlock takes every right to files, networks and other processes; the system calls
//! that are left are listed below, and any other one kills the daemon.

use std::collections::BTreeMap;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

/// The newest rules this build knows. An older kernel applies those it knows.
const BEST: ABI = ABI::V7;

/// System calls that need no look at their arguments.
const ALLOWED: &[i64] = &[
    // Callers.
    libc::SYS_accept4,
    libc::SYS_getsockopt,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    libc::SYS_close,
    // What has become of them.
    libc::SYS_ppoll,
    libc::SYS_getsid,
    // Waiting, and time.
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_clock_gettime,
    libc::SYS_timerfd_settime,
    libc::SYS_restart_syscall,
    // The log's thread, and the log when its disk is full.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_ftruncate,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_getrandom,
    // The end.
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// System calls whose third argument must not ask for executable memory.
const NEVER_EXECUTABLE: &[i64] = &[libc::SYS_mmap, libc::SYS_mprotect];

/// Takes every right that Landlock knows from this thread and those it starts. Returns
/// what is missing.
///
/// # Errors
/// When the kernel has no Landlock, in words for `status`.
pub(crate) fn drop_rights() -> Result<(), String> {
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(BEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(BEST)))
        .and_then(|rules| rules.scope(Scope::from_all(BEST)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|e| e.to_string())?;
    match restricted.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => {
            Err("in part: this kernel knows older rules".to_owned())
        }
        RulesetStatus::NotEnforced => Err("this kernel offers none".to_owned()),
    }
}

/// From here on every thread has only the system calls above.
///
/// # Errors
/// When the kernel has no seccomp, in words for `status`.
pub(crate) fn drop_system_calls() -> Result<(), String> {
    let program = filter().map_err(|e| e.to_string())?;
    apply_filter_all_threads(&program).map_err(|e| e.to_string())
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // Builds with debug assertions look at a descriptor before they close it.
    let (dword, eq) = (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq);
    let look = SeccompCondition::new(1, dword, eq, libc::F_GETFD as u64)?;
    rules.insert(libc::SYS_fcntl, vec![SeccompRule::new(vec![look])?]);
    for call in NEVER_EXECUTABLE {
        let asks_for = SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64);
        let never = SeccompCondition::new(2, SeccompCmpArgLen::Dword, asks_for, 0)?;
        rules.insert(*call, vec![SeccompRule::new(vec![never])?]);
    }
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    use super::*;

    const ACT: &str = "KEYRACKD_TEST_ACT";
    const FORBIDDEN: [&str; 7] = ["open", "connect", "spawn", "signal", "unlink", "code", "memory"];

    /// Does what a sealed daemon must not, in a process that has been sealed.
    #[expect(clippy::exit, reason = "a sealed process cannot go back to its test harness")]
    fn act(what: &str) {
        let own = std::env::current_exe().unwrap();
        drop_rights().unwrap();
        if what == "landlock" {
            // Without the filter the answer is a refusal.
            std::process::exit(i32::from(std::fs::File::open(own).is_ok()));
        }
        drop_system_calls().unwrap();
        match what {
            "nothing" => drop(vec![1; 1 << 20]),
            "open" => drop(std::fs::File::open(own)),
            "connect" => drop(UnixStream::connect("/nonexistent")),
            "spawn" => drop(Command::new("true").spawn()),
            "signal" => drop(nix::sys::signal::kill(nix::unistd::Pid::this(), None)),
            "unlink" => drop(std::fs::remove_file("/nonexistent")),
            "code" => drop(crate::harden::tests::map_code()),
            "memory" => drop(nix::sys::prctl::set_dumpable(true)),
            other => unreachable!("{other}"),
        }
        std::process::exit(0);
    }

    fn sealed(what: &str) -> ExitStatus {
        let own = std::env::current_exe().unwrap();
        let test = "sandbox::tests::a_sealed_process_that_reaches_out_dies";
        let mut run = Command::new(own);
        run.args(["--exact", test, "--test-threads=1"]).env(ACT, what);
        run.output().unwrap().status
    }

    #[test]
    fn a_sealed_process_that_reaches_out_dies() {
        if let Ok(what) = std::env::var(ACT) {
            act(&what);
        }
        assert_eq!(sealed("nothing").code(), Some(0));
        assert_eq!(sealed("landlock").code(), Some(0));
        for what in FORBIDDEN {
            assert_eq!(sealed(what).signal(), Some(libc::SIGSYS), "{what}");
        }
    }
}
