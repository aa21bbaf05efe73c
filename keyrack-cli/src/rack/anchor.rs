//! The process that an ephemeral daemon ends with. It is held by a descriptor, which stays
//! its own when its pid is given to another.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use keyrack_protocol::message::Process;
use keyrack_protocol::peer;
use nix::unistd::{Pid, getpid};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::args::{EndsWith, Ephemeral};
use crate::error::{Code, Failure, Outcome};
use crate::settings::Settings;
use crate::system::process::{self, Stat};
use crate::tree::parent;

/// What runs a job's steps on a GitHub runner, each in a process of its own.
const GITHUB_WORKER: &str = "Runner.Worker";

/// A process to end with.
#[derive(Debug)]
pub struct Anchor {
    /// Which.
    pub process: Process,
    descriptor: OwnedFd,
}

impl Anchor {
    /// The process that `unlock --ephemeral` means: the one named, else what outlives the
    /// steps of this CI job and ends with it, else the calling program.
    ///
    /// # Errors
    /// [`Code::Absent`] when there is no such process.
    pub fn of_unlock(args: &Ephemeral, settings: &Settings) -> Outcome<Option<Self>> {
        let pid = match args.ephemeral {
            None => return Ok(None),
            Some(EndsWith::Pid(pid)) => Pid::from_raw(pid),
            Some(EndsWith::Auto) if settings.in_github_job => github_job()?,
            Some(EndsWith::Auto) => {
                parent::lasting().ok_or_else(|| unseen("the calling program"))?
            }
        };
        Self::hold(pid).map(Some)
    }

    /// The process that `exec --ephemeral` means: the one named, else the program, which
    /// takes this process's place or is watched by it.
    ///
    /// # Errors
    /// [`Code::Absent`] when there is no such process.
    pub fn of_exec(args: &Ephemeral, program: &str) -> Outcome<Option<Self>> {
        match args.ephemeral {
            None => Ok(None),
            Some(EndsWith::Pid(pid)) => Self::hold(Pid::from_raw(pid)).map(Some),
            Some(EndsWith::Auto) => {
                let own = Self::hold(getpid())?;
                let process = Process { name: program.to_owned(), ..own.process };
                Ok(Some(Self { process, ..own }))
            }
        }
    }

    /// The process that a daemon ends with, to end with once more.
    ///
    /// # Errors
    /// [`Code::Absent`] when it has ended, be its pid another's by now.
    pub fn again(process: &Process) -> Outcome<Self> {
        let held = Self::hold(Pid::from_raw(process.pid))?;
        match held.process.is(process) {
            true => Ok(Self { process: process.clone(), ..held }),
            false => Err(Failure::new(Code::Absent, format!("{process} has ended"))),
        }
    }

    /// The descriptor, to hand to a daemon.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn hold(pid: Pid) -> Outcome<Self> {
        let gone = || Failure::new(Code::Absent, format!("there is no process {pid} to end with"));
        let number = rustix::process::Pid::from_raw(pid.as_raw()).ok_or_else(gone)?;
        let descriptor = pidfd_open(number, PidfdFlags::empty()).map_err(|errno| match errno {
            rustix::io::Errno::NOSYS | rustix::io::Errno::PERM => Failure::new(
                Code::Blocked,
                "this kernel hands out no descriptors of processes (pidfd_open)",
            ),
            _ => gone(),
        })?;
        let stat = Stat::of(pid).ok_or_else(gone)?;
        // It lives after it was looked at: so it was this one that was looked at.
        if peer::ends_within(&descriptor, Duration::ZERO) != Some(false) {
            return Err(gone());
        }
        let process = Process { pid: pid.as_raw(), started: stat.started, name: stat.name };
        Ok(Self { process, descriptor })
    }
}

/// The runner's worker, which lives as long as the job. A step that runs inside of a
/// container was started from outside: there the container lives as long as the job.
fn github_job() -> Outcome<Pid> {
    let line: Vec<Pid> = process::line(getpid()).collect();
    if let Some(worker) = line.iter().find(|pid| process::is_called(**pid, GITHUB_WORKER)) {
        return Ok(*worker);
    }
    let first = Pid::from_raw(1);
    match line.last() {
        Some(last) if *last != first => Ok(first),
        _ => Err(unseen(GITHUB_WORKER)),
    }
}

fn unseen(what: &str) -> Failure {
    Failure::new(Code::Absent, format!("{what} is not above this process"))
        .hint("--ephemeral=PID, with the process that lives as long as the job")
}
