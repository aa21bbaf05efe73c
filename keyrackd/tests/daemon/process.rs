//! The process itself: what it shows, what it keeps, what it leaves.

use std::collections::VecDeque;
use std::fs::{self, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyrack_protocol::message::{Forget, Push, Request, Rights};

use crate::rig::{BINARY, Daemon, HOUR, Rig, binary, grant, is_root, skip};

fn status_field(daemon: &Daemon, name: &str) -> String {
    let status = fs::read_to_string(daemon.proc("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_default().trim().to_owned()
}

/// How often `needle` is in the daemon's memory. Needs root.
fn copies(daemon: &Daemon, needle: &[u8]) -> usize {
    let maps = fs::read_to_string(daemon.proc("maps")).unwrap();
    let mut memory = fs::File::open(daemon.proc("mem")).unwrap();
    let mut count = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let from = u64::from_str_radix(from, 16).unwrap();
        let to = u64::from_str_radix(to, 16).unwrap();
        let mut bytes = vec![0; (to - from) as usize];
        memory.seek(SeekFrom::Start(from)).unwrap();
        // The secret page cannot be read, not even here.
        if memory.read_exact(&mut bytes).is_ok() {
            count += bytes.windows(needle.len()).filter(|window| *window == needle).count();
        }
    }
    count
}

#[test]
fn by_hand_it_says_who_starts_it() {
    for (args, code, text) in [
        (&[][..], 2, "keyrackd: error: keyrackd is started by `keyrack unlock`, not by hand\n"),
        (&["--now"], 2, "keyrackd: error: it takes no arguments but --version and --help\n"),
    ] {
        let run = Command::new(binary()).args(args).stdin(Stdio::null()).output().unwrap();
        assert_eq!(run.status.code(), Some(code));
        assert_eq!(String::from_utf8(run.stderr).unwrap(), text);
        assert!(run.stdout.is_empty());
    }
    let run = Command::new(binary()).arg("--version").output().unwrap();
    let version = format!("keyrackd {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(run.stdout).unwrap(), version);
}

#[test]
fn it_shows_nothing_in_proc() {
    let rig = Rig::new();
    let daemon = rig.start();
    assert_eq!(fs::read(daemon.proc("comm")).unwrap(), b"keyrackd\n");
    let words = fs::read(daemon.proc("cmdline")).unwrap();
    assert!(words.iter().filter(|byte| **byte == 0).count() <= 2, "{words:?}");
    assert_eq!(status_field(&daemon, "NoNewPrivs"), "1");
    if is_root() {
        assert!(fs::read(daemon.proc("environ")).unwrap().is_empty());
        let limits = fs::read_to_string(daemon.proc("limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"));
        assert_eq!(fs::read_link(daemon.proc("cwd")).unwrap().to_str(), Some("/"));
    }
    let stat = fs::read_to_string(daemon.proc("stat")).unwrap();
    let session: u32 =
        stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().parse().unwrap();
    assert_eq!(session, daemon.pid(), "its own session");
}

#[test]
fn every_other_test_passes_for_an_ordinary_user() {
    use std::os::unix::process::CommandExt;
    if !is_root() {
        return skip("this is an ordinary user");
    }
    const NOBODY: u32 = 65_534;
    let dir = tempfile::Builder::new().prefix("kr").tempdir_in("/tmp").unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    let copy = |from: &Path, to: &str| -> PathBuf {
        let to = dir.path().join(to);
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, Permissions::from_mode(0o755)).unwrap();
        to
    };
    let daemon = copy(&binary(), "keyrackd");
    let tests = copy(&std::env::current_exe().unwrap(), "tests");
    let run = Command::new(tests).env(BINARY, daemon).uid(NOBODY).gid(NOBODY).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

#[test]
fn another_process_of_its_user_cannot_look_inside() {
    if is_root() {
        return skip("root can look into every process");
    }
    let rig = Rig::new();
    let daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    for file in ["mem", "environ", "maps", "smaps", "auxv", "pagemap", "exe", "fd/0", "cwd/x"] {
        let error = fs::File::open(daemon.proc(file)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{file}");
    }
    assert!(fs::read_dir(daemon.proc("fd")).is_err() && fs::read_link(daemon.proc("exe")).is_err());
    for tool in [["gcore", "-o", "/dev/null"], ["strace", "-o", "/dev/null"]] {
        let mut attach = Command::new(tool[0]);
        let pid = daemon.pid().to_string();
        if tool[0] == "strace" {
            attach.arg("-p");
        }
        match attach.arg(&pid).stdout(Stdio::null()).stderr(Stdio::null()).status() {
            Ok(status) => assert!(!status.success(), "{}", tool[0]),
            Err(e) => skip(&format!("{}: {e}", tool[0])),
        }
    }
    assert_eq!(rig.value("o.all.A"), b"apple");
}

/// Between exec and its first instruction a process can be opened, and what was opened
/// stays so. Of 200 daemons without a cure 171 could be read like this.
#[test]
fn who_opened_it_early_reads_nothing_later() {
    if is_root() {
        return skip("root can look into every process");
    }
    let rig = Rig::new();
    for _ in 0..200 {
        let child = rig.spawn();
        let end = Instant::now() + Duration::from_millis(5);
        let mut early = VecDeque::new();
        while Instant::now() < end {
            early.extend(fs::File::open(format!("/proc/{}/maps", child.id())));
            // The other tests of this process need descriptors as well.
            if early.len() > 200 {
                early.pop_front();
            }
        }
        let daemon = rig.expect_ready(child.hand_over(&rig.start_message()));
        for mut maps in early {
            let mut text = String::new();
            let _ = maps.read_to_string(&mut text);
            let window = || rig.bare().map(|bare| bare.protections.into_iter().next());
            assert!(text.is_empty(), "the daemon's own memory was opened: {:?}", window());
        }
        drop(daemon);
    }
}

#[test]
fn every_protection_is_in_force_or_says_what_is_missing() {
    let rig = Rig::new();
    let daemon = rig.start();
    let all = rig.bare().unwrap().protections;
    let names: Vec<&str> = all.iter().map(|protection| protection.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "start window",
            "no inherited descriptors",
            "non-dumpable",
            "no core",
            "no new privileges",
            "no writable code",
            "own keyring",
            "empty environment",
            "locked page",
            "landlock",
            "seccomp",
            "audit log",
        ]
    );
    let missing: Vec<&str> = all.iter().filter(|p| !p.on).map(|p| p.state.as_str()).collect();
    // Nothing else: this is the kernel that the tests are for.
    let expected: &[&str] = if is_root() { &["open: uid 0 can read every program"] } else { &[] };
    assert_eq!(missing, expected, "{all:?}");
    // What the kernel says about it, for each thread.
    for task in fs::read_dir(daemon.proc("task")).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("\nSeccomp:\t2\n") && status.contains("\nNoNewPrivs:\t1\n"));
    }
}

#[test]
fn a_program_that_its_user_cannot_read_is_used_as_it_is() {
    if is_root() {
        return skip("root can read every program");
    }
    let mut rig = Rig::new();
    let is_second_stage = |daemon: &Daemon| {
        let words = fs::read_to_string(daemon.proc("cmdline")).unwrap();
        assert!(words.starts_with("keyrackd\0") || words.starts_with('/'), "{words:?}");
        words.contains("--second-stage=")
    };
    let daemon = rig.start();
    assert!(is_second_stage(&daemon), "a readable one copies itself");
    rig.lock().unwrap();
    let installed = rig.dir.path().join("keyrackd");
    fs::copy(binary(), &installed).unwrap();
    fs::set_permissions(&installed, Permissions::from_mode(0o111)).unwrap();
    rig.binary = installed;
    let daemon = rig.start();
    assert!(!is_second_stage(&daemon));
    let window = &rig.bare().unwrap().protections[0];
    assert!(window.on && window.state == "in force", "{window:?}");
}

#[test]
fn a_made_up_second_stage_is_none() {
    let mut rig = Rig::new();
    // Whoever claims to be the second stage without being one becomes one.
    let script = rig.dir.path().join("claim");
    let text = format!("#!/bin/sh\nexec {} --second-stage=0000\n", binary().display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    rig.binary = script;
    let daemon = rig.start();
    let words = fs::read_to_string(daemon.proc("cmdline")).unwrap();
    assert_eq!(words.contains("--second-stage=0000"), is_root(), "{words:?}");
    // A shell gives its children PWD: the second stage has none of it.
    let environment = &rig.bare().unwrap().protections[7];
    assert_eq!(environment.on, !is_root(), "{environment:?}");
}

#[test]
fn no_descriptor_of_its_starter_stays_open() {
    if !is_root() {
        return skip("only root sees a non-dumpable process's descriptors");
    }
    let rig = Rig::new();
    // A pipe a careless caller left inheritable.
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let daemon = rig.start();
    drop(writer);
    let mut nothing = Vec::new();
    fs::File::from(reader).read_to_end(&mut nothing).unwrap();
    let open: Vec<String> = fs::read_dir(daemon.proc("fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    for target in &open {
        let fine = ["/dev/null", "socket:", "anon_inode:", "/memfd:"]
            .iter()
            .any(|prefix| target.starts_with(prefix));
        assert!(fine || target.ends_with("audit.log"), "{open:?}");
    }
}

#[test]
fn what_was_forgotten_is_nowhere_in_memory() {
    if !is_root() {
        return skip("only root can read a non-dumpable process's memory");
    }
    let rig = Rig::new();
    let daemon = rig.start();
    let canary = b"canary-5b1f0c62-a-value-of-some-length";
    let other = b"robin-77aa31c9-another-value-of-length";
    rig.grant(&[("o.all.A", canary), ("o.all.B", other)], HOUR);
    for _ in 0..20 {
        assert_eq!(rig.value("o.all.A"), canary);
        assert_eq!(rig.value("o.all.B"), other);
    }
    // At rest there is ciphertext only, even while it is held. In base64, too.
    assert_eq!((copies(&daemon, canary), copies(&daemon, other)), (0, 0));
    assert_eq!(copies(&daemon, b"Y2FuYXJ5LTViMWYwYzYyLWEtdmFsdWUtb2Y"), 0);
    // No more do the keys lie about that it proves itself with.
    let (_, capability) = rig.capability(&["o.all.A"], Rights::TREE);
    rig.get(&capability, "o.all.A");
    for key in [
        rig.secret.attach_key(),
        rig.secret.self_proof_key(),
        rig.secret.audit_key(),
        rig.secret.drop_key(),
        capability.key,
    ] {
        // The last connection may be closing yet.
        let begun = Instant::now();
        while copies(&daemon, key.expose()) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(5), "a key lies about");
        }
    }
    // The search itself works.
    assert!(copies(&daemon, b"o.all.A") + copies(&daemon, b"personal") > 0);
    let forget = Forget { slugs: vec!["o.all.A".parse().unwrap()], ..Forget::default() };
    rig.session().call(&Request::Forget(forget)).unwrap();
    assert_eq!(copies(&daemon, canary), 0);
    assert_eq!(rig.value("o.all.B"), other);
}

/// What the daemon has of its own, in KiB. Needs root.
fn own_memory(daemon: &Daemon) -> u64 {
    let rollup = fs::read_to_string(daemon.proc("smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn what_ten_thousand_keys_took_goes_back_with_them() {
    if !is_root() {
        return skip("only root sees how much memory a non-dumpable process has");
    }
    let rig = Rig::new();
    let daemon = rig.start();
    rig.grant(&[("o.all.FIRST", b"apple")], HOUR);
    let before = own_memory(&daemon);
    let names: Vec<String> = (0..10_000).map(|n| format!("org.all.KEY_{n}")).collect();
    // In parts, for each has to be answered in time.
    for some in names.chunks(1_000) {
        let grants = some.iter().map(|name| grant(name, &[7; 64], HOUR)).collect();
        let known = names.iter().map(|name| name.parse().unwrap()).collect();
        let push = Push { grants, known: Some(known), ..Push::default() };
        rig.session().call(&Request::Push(push)).unwrap();
    }
    let held = own_memory(&daemon);
    assert!(held > before + 2_048, "{before} to {held} KiB: the measure sees nothing");
    for some in names.chunks(2_000) {
        let slugs = some.iter().map(|name| name.parse().unwrap()).collect();
        let forget = Forget { slugs, ..Forget::default() };
        rig.session().call(&Request::Forget(forget)).unwrap();
    }
    // Names stay known, and are not many bytes. The log's thread may yet be writing.
    let end = Instant::now() + Duration::from_secs(10);
    while own_memory(&daemon) > before + 640 {
        let now = own_memory(&daemon);
        assert!(Instant::now() < end, "{before} KiB before, {held} with them, {now} after");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(rig.value("o.all.FIRST"), b"apple");
}
