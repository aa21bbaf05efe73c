//! The process itself: what it shows, what it keeps, what it leaves.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyrack_protocol::message::{Forget, Request, Rights};

use crate::rig::{Daemon, HOUR, Rig, binary, is_root, skip};

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
fn another_process_of_its_user_cannot_look_inside() {
    if !is_root() {
        return skip("needs a second user to act as");
    }
    let mut rig = Rig::new();
    rig.uid = Some(65_534);
    std::os::unix::fs::chown(rig.dir.path(), Some(65_534), Some(65_534)).unwrap();
    let (child, started) = rig.try_start();
    let daemon = rig.expect_ready((child, started));
    for file in ["mem", "environ", "maps", "auxv", "stack"] {
        use std::os::unix::process::CommandExt;
        let run =
            Command::new("cat").arg(daemon.proc(file)).uid(65_534).gid(65_534).output().unwrap();
        assert!(!run.status.success() && run.stdout.is_empty(), "{file}");
    }
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
        // The last is where a static build has its random numbers from.
        let fine = ["/dev/null", "/dev/urandom", "socket:", "anon_inode:", "/memfd:"]
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
