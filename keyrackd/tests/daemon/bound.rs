//! A daemon that ends with a process.

use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, Command, Stdio};

use keyrack_protocol::client::ClientError;
use keyrack_protocol::message::{Process, Push, Refusal, Reply, Request, Started};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

use crate::rig::{Daemon, HOUR, Rig, grant};

/// A process that waits to be killed.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap())
    }

    fn process(&self) -> Process {
        Process { pid: self.0.id() as i32, started: 7, name: "sleep".to_owned() }
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    fn start(&self, rig: &Rig) -> Daemon {
        let pid = rustix::process::Pid::from_raw(self.0.id() as i32).unwrap();
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        rig.expect_ready(try_start(rig, Some(self.process()), Some(descriptor.as_fd())))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn try_start(
    rig: &Rig,
    ends_with: Option<Process>,
    descriptor: Option<BorrowedFd<'_>>,
) -> (Child, Started) {
    let mut start = rig.start_message();
    start.ends_with = ends_with;
    rig.spawn().hand_over_with(&start, descriptor)
}

fn push(rig: &Rig, ends_with: Option<Process>) -> Reply {
    let grants = vec![grant("o.all.A", b"apple", HOUR)];
    let push = Push { grants, ends_with, ..Push::default() };
    rig.session().call(&Request::Push(push)).unwrap()
}

#[test]
fn it_ends_with_its_process_whatever_it_holds() {
    let rig = Rig::new();
    let mut sleeper = Sleeper::new();
    let mut daemon = sleeper.start(&rig);
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    assert_eq!(rig.bare().unwrap().ends_with, Some(sleeper.process()));
    assert_eq!(rig.value("o.all.A"), b"apple");
    sleeper.end();
    assert!(daemon.ended());
    assert!(matches!(rig.bare(), Err(ClientError::NotRunning)));
    let log = std::fs::read_to_string(rig.log()).unwrap();
    assert!(log.lines().last().unwrap().contains(r#""action":"end","outcome":"process ended""#));
}

#[test]
fn a_process_that_ended_before_ends_it_at_once() {
    let rig = Rig::new();
    let sleeper = Sleeper::new();
    kill(Pid::from_raw(sleeper.0.id() as i32), Signal::SIGKILL).unwrap();
    // Not waited for: its pid is still its own.
    assert!(sleeper.start(&rig).ended());
}

#[test]
fn values_meant_to_end_with_another_process_are_refused() {
    let rig = Rig::new();
    let sleeper = Sleeper::new();
    let own = sleeper.process();
    let _daemon = sleeper.start(&rig);
    // The same pid, given to another process later.
    let later = Process { started: own.started + 1, ..own.clone() };
    let other = Process { pid: own.pid + 1, ..own.clone() };
    for process in [later, other] {
        let reply = push(&rig, Some(process));
        assert!(matches!(reply, Reply::Refused { code: Refusal::Unbound, .. }), "{reply:?}");
    }
    assert!(rig.status().grants.is_empty());
    for process in [None, Some(own.clone()), Some(Process { name: String::new(), ..own })] {
        let reply = push(&rig, process);
        assert!(matches!(reply, Reply::Done { count: 1 }), "{reply:?}");
    }
}

#[test]
fn a_daemon_that_ends_with_nobody_is_not_taken_for_one_that_does() {
    let rig = Rig::new();
    let sleeper = Sleeper::new();
    let _daemon = rig.start();
    assert_eq!(rig.bare().unwrap().ends_with, None);
    let reply = push(&rig, Some(sleeper.process()));
    assert!(matches!(reply, Reply::Refused { code: Refusal::Unbound, .. }), "{reply:?}");
}

#[test]
fn a_name_without_its_process_starts_nothing() {
    let rig = Rig::new();
    let sleeper = Sleeper::new();
    let pair = std::os::unix::net::UnixStream::pair().unwrap();
    for (named, came) in [(Some(sleeper.process()), None), (None, Some(pair.0.as_fd()))] {
        let (mut child, started) = try_start(&rig, named, came);
        assert!(matches!(started, Started::Failed { .. }), "{started:?}");
        assert!(!child.wait().unwrap().success());
    }
}
