//! Who connected, as the log and `status` say it: a process that lives, one of another
//! session, one that has ended.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyrack_protocol::audit_chain::{Line, verify};
use keyrack_protocol::frame;
use keyrack_protocol::hello::{Hello, KeyKind};
use keyrack_protocol::message::{AuditHead, Request, encode, lead};
use keyrack_protocol::names::Ask;
use keyrack_protocol::peer::{Life, Peer, Seen, own_uid};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{getsockopt, sockopt::PeerPidfd};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getsid, setsid};

use crate::callers::first;
use crate::rig::{Daemon, HOUR, Rig, skip};

const ACT: &str = "KEYRACKD_TEST_ACT";
const SOCKET: &str = "KEYRACKD_TEST_SOCKET";

/// What another process does, which a test starts from its own program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Connects, asks and waits for the answer.
    Ask,
    /// The same, in a session of its own.
    AskApart,
    /// Connects, asks and is gone.
    AskAndLeave,
}

impl Act {
    const ALL: [(&str, Self); 3] =
        [("ask", Self::Ask), ("apart", Self::AskApart), ("leave", Self::AskAndLeave)];

    fn perform(self) {
        let mut question = Vec::new();
        std::io::stdin().read_to_end(&mut question).unwrap();
        if self == Self::AskApart {
            setsid().unwrap();
        }
        let mut stream = UnixStream::connect(std::env::var_os(SOCKET).unwrap()).unwrap();
        stream.write_all(&question).unwrap();
        if self != Self::AskAndLeave {
            assert_eq!(frame::read(&mut stream).unwrap()[0], lead::CHANNEL);
        }
    }
}

/// Another process, which asks for a value.
fn another(rig: &Rig, act: Act) -> Child {
    let (name, _) = Act::ALL.into_iter().find(|(_, known)| *known == act).unwrap();
    let test = "who::a_process_that_lives_is_logged_with_its_session";
    let mut run = Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", test, "--test-threads=1"]).env(ACT, name).env(SOCKET, rig.socket());
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let hello = Hello::new(rig.owner.clone(), rig.rack, KeyKind::Attach);
    let asks = vec![Ask::exactly("o.all.A".parse().unwrap())];
    let request = encode(&Request::Get { asks, caller: "test".to_owned() });
    let question = first(&hello, &rig.secret.attach_key(), &request);
    child.stdin.take().unwrap().write_all(&question).unwrap();
    child
}

fn seen(pid: u32, life: Life) -> Seen {
    Seen { peer: Peer { uid: own_uid(), pid: pid as i32 }, life }
}

/// What this very process is seen as.
fn ourselves() -> Seen {
    let life = match getsid(None).unwrap().as_raw() {
        // Its session is one of the pid namespace around this one.
        0 => Life::Unknown,
        session => Life::Session(session),
    };
    seen(std::process::id(), life)
}

fn rig() -> Option<(Rig, Daemon)> {
    let (socket, _other) = UnixStream::pair().unwrap();
    if getsockopt(&socket, PeerPidfd).is_err_and(|error| error == Errno::ENOPROTOOPT) {
        skip("before Linux 6.5 a socket does not tell which process its peer is");
        return None;
    }
    let rig = Rig::new();
    let daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    Some((rig, daemon))
}

fn last_reader(rig: &Rig) -> Option<String> {
    rig.status().grants.remove(0).last_reader
}

/// Ends the daemon, and gives what its log says.
fn logged(rig: &Rig, daemon: &mut Daemon) -> Vec<Line> {
    rig.lock().unwrap();
    assert!(daemon.ended());
    let mut lines = Vec::new();
    let log = BufReader::new(File::open(rig.log()).unwrap());
    let each = |line: &Line| lines.push(line.clone());
    verify(&rig.secret.audit_key(), log, AuditHead::default(), each).unwrap();
    lines
}

fn gets(lines: &[Line]) -> Vec<Seen> {
    lines.iter().filter(|line| line.action == "get").map(Line::seen).collect()
}

#[test]
fn a_process_that_lives_is_logged_with_its_session() {
    if let Ok(name) = std::env::var(ACT) {
        let (_, act) = Act::ALL.into_iter().find(|(known, _)| *known == name).unwrap();
        return act.perform();
    }
    let Some((rig, mut daemon)) = rig() else { return };
    let mut neighbour = another(&rig, Act::Ask);
    assert!(neighbour.wait().unwrap().success());
    rig.value("o.all.A");
    assert_eq!(last_reader(&rig).unwrap(), ourselves().and_says("test"));
    let lines = logged(&rig, &mut daemon);
    assert_eq!(gets(&lines), [seen(neighbour.id(), ourselves().life), ourselves()]);
    let by = |action: &str| lines.iter().find(|line| line.action == action).unwrap().seen();
    assert_eq!([by("push"), by("lock")], [ourselves(); 2]);
    // Of itself a daemon says nothing of the kind.
    assert_eq!([by("start"), by("end")], [seen(daemon.pid(), Life::Unknown); 2]);
}

#[test]
fn a_process_of_another_session_is_told_apart() {
    let Some((rig, mut daemon)) = rig() else { return };
    let mut apart = another(&rig, Act::AskApart);
    assert!(apart.wait().unwrap().success());
    let expected = seen(apart.id(), Life::Session(apart.id() as i32));
    assert_eq!(last_reader(&rig).unwrap(), expected.and_says("test"));
    assert_eq!(gets(&logged(&rig, &mut daemon)), [expected]);
}

#[test]
fn a_process_that_ended_before_its_answer_is_said_to_have() {
    // A pid that nobody waited for yet is still its own; afterwards it is anybody's.
    for is_waited_for in [false, true] {
        let Some((rig, mut daemon)) = rig() else { return };
        let its_pid = Pid::from_raw(daemon.pid() as i32);
        kill(its_pid, Signal::SIGSTOP).unwrap();
        waitid(Id::Pid(its_pid), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOWAIT).unwrap();
        let mut gone = another(&rig, Act::AskAndLeave);
        let id = Id::Pid(Pid::from_raw(gone.id() as i32));
        waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        if is_waited_for {
            assert!(gone.wait().unwrap().success());
        }
        kill(its_pid, Signal::SIGCONT).unwrap();
        let begun = Instant::now();
        let reader = loop {
            assert!(begun.elapsed() < Duration::from_secs(10), "nobody read it");
            if let Some(reader) = last_reader(&rig) {
                break reader;
            }
        };
        assert_eq!(reader, format!("pid {} (exited), who says: test", gone.id()));
        assert!(gone.wait().unwrap().success());
        let lines = logged(&rig, &mut daemon);
        assert_eq!(gets(&lines), [seen(gone.id(), Life::Exited)]);
    }
}
