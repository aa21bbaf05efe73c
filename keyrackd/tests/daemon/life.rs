//! From start to end: grants, their time, locks, restarts.

use std::fs::File;
use std::io::BufReader;
use std::time::{Duration, Instant};

use keyrack_protocol::audit_chain::{Line, verify};
use keyrack_protocol::client::{self, ClientError};
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::message::{
    Answer, AuditHead, Push, Refusal, Reply, Request, Rights, Started,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{HOUR, Rig, grant};

#[test]
fn what_was_granted_is_given_and_nothing_else() {
    let rig = Rig::new();
    let _daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple"), ("o.sudo.B", b"")], HOUR);
    assert_eq!(rig.value("o.all.A"), b"apple");
    assert_eq!(rig.value("o.sudo.B"), b"");
    assert!(matches!(rig.get(&rig.attach(), "o.all.C"), Answer::Absent));
    let status = rig.status();
    let times: Vec<u64> = status.grants.iter().map(|grant| grant.expires_in_ms).collect();
    assert!(times[0] <= HOUR && times[1] <= HOUR / 2, "{times:?}");
    let reader = status.grants[0].last_reader.as_deref().unwrap();
    assert!(reader.starts_with(&format!("pid {}", std::process::id())), "{reader}");
}

#[test]
fn values_of_every_size_and_kind_come_back() {
    let rig = Rig::new();
    let _daemon = rig.start();
    let values: Vec<Vec<u8>> = vec![
        vec![],
        (0..=255).collect(),
        "non-ASCII ü€🐢".repeat(20_000).into_bytes(),
        vec![0xff; 44_000],
        vec![7; 1 << 20],
    ];
    for (n, value) in values.iter().enumerate() {
        let slug = format!("o.all.K{n}");
        rig.grant(&[(&slug, value)], HOUR);
        assert!(rig.value(&slug) == *value, "value {n} of {} bytes", value.len());
    }
    let reply = client::ask(
        &rig.socket(),
        &rig.attach(),
        &Request::GetAll { env: None, caller: String::new() },
    );
    let Ok(Reply::Values { answers }) = reply else { panic!("{reply:?}") };
    for (answer, value) in answers.iter().zip(&values) {
        assert!(matches!(answer, Answer::Granted { value: v, .. } if v.expose() == value));
    }
    assert_eq!(answers.len(), values.len());
}

#[test]
fn a_grant_ends_by_itself_and_the_empty_daemon_with_it() {
    let rig = Rig::new();
    let mut daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple")], 1_500);
    assert_eq!(rig.value("o.all.A"), b"apple");
    let begun = Instant::now();
    while matches!(rig.get(&rig.attach(), "o.all.A"), Answer::Granted { .. }) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it never ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(begun.elapsed() > Duration::from_millis(1_000));
    assert!(matches!(rig.get(&rig.attach(), "o.all.A"), Answer::Expired { .. }));
    assert!(daemon.ended());
}

#[test]
fn a_daemon_that_is_given_nothing_ends() {
    let rig = Rig::new();
    let mut daemon = rig.start();
    assert!(rig.bare().unwrap().locked);
    assert!(daemon.ended());
    assert!(matches!(rig.bare(), Err(ClientError::NotRunning)));
}

#[test]
fn a_lock_needs_no_key_and_ends_everything() {
    let rig = Rig::new();
    let mut daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    let (_, capability) = rig.capability(&["o.all.A"], Rights::TREE);
    let mut open = client::Session::open(&rig.socket(), &capability).unwrap();
    let before = rig.lock().unwrap();
    assert!(!before.locked && before.next_expiry_ms.is_some());
    assert!(open.call(&Request::Status).is_err(), "open connections end");
    assert!(daemon.ended());
    assert!(matches!(rig.lock(), Err(ClientError::NotRunning)));
}

#[test]
fn being_told_to_end_is_a_clean_end() {
    let rig = Rig::new();
    let mut daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    kill(Pid::from_raw(daemon.pid() as i32), Signal::SIGHUP).unwrap();
    assert_eq!(rig.value("o.all.A"), b"apple", "a hang-up changes nothing");
    kill(Pid::from_raw(daemon.pid() as i32), Signal::SIGTERM).unwrap();
    assert!(daemon.ended());
}

#[test]
fn killed_and_started_again_it_holds_nothing_and_works() {
    let rig = Rig::new();
    let mut first = rig.start();
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    let generation = rig.status().generation;
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(matches!(rig.bare(), Err(ClientError::NotRunning)));
    let _second = rig.start();
    assert!(matches!(rig.get(&rig.attach(), "o.all.A"), Answer::Absent));
    // An unlock that began with the first is refused by the second.
    let push = Push {
        generation: Some(generation),
        grants: vec![grant("o.all.A", b"old", HOUR)],
        ..Push::default()
    };
    let reply = rig.session().call(&Request::Push(push)).unwrap();
    assert!(matches!(reply, Reply::Refused { code: Refusal::Relocked, .. }), "{reply:?}");
    rig.grant(&[("o.all.A", b"new")], HOUR);
    assert_eq!(rig.value("o.all.A"), b"new");
}

#[test]
fn twenty_starters_leave_one_daemon() {
    let rig = Rig::new();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let starters: Vec<_> = (0..20).map(|_| scope.spawn(|| rig.try_start())).collect();
        starters.into_iter().map(|starter| starter.join().unwrap()).collect()
    });
    let mut alive = Vec::new();
    for (mut child, started) in outcomes {
        match started {
            Started::Ready { .. } => alive.push(rig.expect_ready((child, started))),
            Started::AlreadyRunning { socket } => {
                assert_eq!(socket, rig.socket());
                assert!(child.wait().unwrap().success());
            }
            Started::Failed { message } => panic!("{message}"),
        }
    }
    assert_eq!(alive.len(), 1);
    assert_eq!(rig.bare().unwrap().pid, alive[0].pid());
}

#[test]
fn killing_one_owners_daemon_leaves_the_others_grants() {
    let rig = Rig::new();
    let mut other = Rig::beside(&rig);
    other.owner = "mechanic".parse().unwrap();
    let mut daemon = rig.start();
    let _other = other.start();
    rig.grant(&[("o.all.A", b"turtle")], HOUR);
    other.grant(&[("o.all.A", b"wrench")], HOUR);
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    assert_eq!(other.value("o.all.A"), b"wrench");
}

#[test]
fn self_proof_reads_what_is_marked_and_can_be_off() {
    let mut rig = Rig::new();
    let daemon = rig.start();
    let mut open = grant("o.all.A", b"apple", HOUR);
    open.self_proof = true;
    let grants = vec![open, grant("o.all.B", b"bread", HOUR)];
    rig.session().call(&Request::Push(Push { grants, ..Push::default() })).unwrap();
    let target = rig.target(KeyKind::SelfProof, rig.secret.self_proof_key());
    assert!(matches!(rig.get(&target, "o.all.A"), Answer::Granted { .. }));
    assert!(matches!(rig.get(&target, "o.all.B"), Answer::Denied { .. }));
    drop(daemon);
    rig.self_proof = false;
    let _daemon = rig.start();
    let refused = client::ask(&rig.socket(), &target, &Request::Status);
    assert!(
        matches!(&refused, Err(ClientError::Refused { refusal, .. }) if refusal.code == Refusal::Key),
        "{refused:?}"
    );
}

#[test]
fn a_revoked_capability_loses_its_connection() {
    let rig = Rig::new();
    let _daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    let (id, target) = rig.capability(&["o.all.A"], Rights::READ);
    let mut open = client::Session::open(&rig.socket(), &target).unwrap();
    assert!(matches!(open.call(&Request::Status).unwrap(), Reply::Status(_)));
    let reply = rig.session().call(&Request::Revoke { capability: id }).unwrap();
    assert!(matches!(reply, Reply::Done { count: 1 }), "{reply:?}");
    assert!(open.call(&Request::Status).is_err());
    let refused = client::ask(&rig.socket(), &target, &Request::Status);
    assert!(matches!(refused, Err(ClientError::Refused { .. })), "{refused:?}");
}

#[test]
fn every_act_is_in_the_log_and_no_value_is() {
    let rig = Rig::new();
    let mut daemon = rig.start();
    rig.grant(&[("o.all.A", b"canary-in-the-mine")], HOUR);
    let (_, capability) = rig.capability(&["o.all.A"], Rights::READ);
    rig.get(&capability, "o.all.A");
    rig.get(&capability, "o.all.OTHER");
    let wrong = rig.target(KeyKind::Attach, rig.secret.drop_key());
    assert!(client::ask(&rig.socket(), &wrong, &Request::Status).is_err());
    // Lines reach the disk a moment later.
    let begun = Instant::now();
    while rig.status().audit_head.seq < 6 {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", rig.status().audit_head);
    }
    rig.lock().unwrap();
    assert!(daemon.ended());
    let mut lines: Vec<Line> = Vec::new();
    let log = BufReader::new(File::open(rig.log()).unwrap());
    let each = |line: &Line| lines.push(line.clone());
    verify(&rig.secret.audit_key(), log, AuditHead::default(), each).unwrap();
    let acts: Vec<(&str, &str)> =
        lines.iter().map(|line| (line.action.as_str(), line.outcome.as_str())).collect();
    assert_eq!(
        acts,
        [
            ("start", "ok"),
            ("push", "ok 1"),
            ("mint", "ok 1"),
            ("get", "granted 1"),
            ("get", "absent 1"),
            ("connect", "refused key"),
            ("lock", "ok"),
            ("end", "locked"),
        ]
    );
    let get = &lines[3];
    assert_eq!((get.pid, get.caller.as_str()), (std::process::id() as i32, "test"));
    assert!(get.channel.starts_with("capability ") && get.slugs.len() == 1);
    let text = std::fs::read_to_string(rig.log()).unwrap();
    assert!(!text.contains("canary"));
}

#[test]
fn a_log_that_cannot_be_written_stops_no_read_and_is_told() {
    let rig = Rig::new();
    let full = File::options().append(true).open("/dev/full").unwrap();
    let _daemon = rig.expect_ready(rig.try_start_logging_to(full));
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    assert_eq!(rig.value("o.all.A"), b"apple");
    let state = |rig: &Rig| {
        let all = rig.bare().unwrap().protections;
        all.into_iter().find(|protection| protection.name == "audit log").unwrap()
    };
    let begun = Instant::now();
    while state(&rig).on {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", state(&rig));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(state(&rig).state.contains("No space left"), "{:?}", state(&rig));
}
