//! Owners, homes and Unix users do not meet.

use std::os::unix::fs::MetadataExt as _;

use keyrack_tests::{Rack, User, daemons, need};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn killing_one_owners_daemon_leaves_the_others_grants() {
    let rack = Rack::new();
    for owner in ["one", "two", "three"] {
        rack.key(owner);
        rack.sh(&format!("keyrack init --for {owner}; printf {owner} | keyrack set --for {owner} --key K; keyrack unlock --for {owner}")).ok();
    }
    let pids = rack.daemons();
    assert_eq!(pids.len(), 3, "one process per owner");
    let two = daemons::pid(&rack.socket("two")).expect("it lives");
    kill(Pid::from_raw(two), Signal::SIGKILL).expect("our daemon");
    daemons::until(|| rack.daemons().len() == 2);
    rack.sh("keyrack get --for one --key K").ok().bytes(b"one");
    rack.sh("keyrack get --for three --key K").ok().bytes(b"three");
    rack.sh("keyrack get --for two --key K").code(3).bytes(b"");
}

/// An owner name nobody else has: these tests use the real `/tmp`.
fn unique(name: &str) -> String {
    format!("t{}-{name}", std::process::id())
}

#[test]
fn two_homes_of_one_user_are_two_racks() {
    let owner = unique("home");
    let homes = [Rack::new().with_real_sockets(), Rack::new().with_real_sockets()];
    let own = |path: &std::path::Path| path.to_string_lossy().contains(&owner);
    for (n, home) in homes.iter().enumerate() {
        home.key(&owner);
        home.sh(&format!("keyrack init --for {owner}; printf {n} | keyrack set --for {owner} --key K; keyrack unlock --for {owner}")).ok();
    }
    for (n, home) in homes.iter().enumerate() {
        home.sh(&format!("keyrack get --for {owner} --key K")).ok().bytes(n.to_string().as_bytes());
    }
    homes[0].sh(&format!("keyrack relock --for {owner}")).ok();
    homes[0].sh(&format!("keyrack get --for {owner} --key K")).code(3).bytes(b"");
    homes[1].sh(&format!("keyrack get --for {owner} --key K")).ok().bytes(b"1");
    homes[1].sh(&format!("keyrack relock --for {owner}")).ok();
    daemons::until(|| daemons::sockets(own).is_empty());
    assert_eq!(daemons::kill(own), [] as [std::path::PathBuf; 0]);
    let left = std::fs::read_dir("/tmp").expect("/tmp").flatten();
    let left: Vec<_> = left.map(|f| f.path()).filter(|p| own(p)).collect();
    assert_eq!(left, [] as [std::path::PathBuf; 0], "relock leaves no socket");
}

#[test]
fn two_unix_users_with_an_owner_human_at_once() {
    need!(root);
    let users = [User::add("a"), User::add("b")];
    let racks = users.each_ref().map(|user| Rack::of_user(user.uid).with_real_sockets());
    for (user, rack) in users.iter().zip(&racks) {
        rack.key("human");
        let all =
            format!("keyrack init; printf {} | keyrack set --key K; keyrack unlock", user.name);
        rack.sh(&all).ok();
    }
    for (user, rack) in users.iter().zip(&racks) {
        rack.sh("keyrack get --key K").ok().bytes(user.name.as_bytes());
        rack.sh("keyrack daemon list --json").ok();
        let own = rack.sh("keyrack daemon list --json").json();
        assert_eq!(own["daemons"].as_array().map(Vec::len), Some(1), "{own}");
    }
    // Neither may end the other's.
    racks[0].sh("keyrack relock; keyrack daemon stop --all; keyrack daemon prune");
    racks[1].sh("keyrack get --key K").ok().bytes(users[1].name.as_bytes());
    for (user, rack) in users.iter().zip(&racks) {
        rack.sh("keyrack relock");
        if let Ok(found) = user.fallback().metadata() {
            assert_eq!((found.uid(), found.mode() & 0o777), (user.uid, 0o700));
        }
    }
}

#[test]
fn another_users_file_on_the_first_path_is_stepped_around() {
    need!(root);
    let owner = unique("squat");
    let first = std::path::PathBuf::from(format!("/tmp/keyrack-daemon.{owner}.sock"));
    let bind = format!(
        "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('{}'); s.listen(); time.sleep(99)",
        first.display()
    );
    let mut squatter = std::process::Command::new("setpriv")
        .args(["--reuid=12345", "--regid=12345", "--clear-groups", "/usr/bin/python3", "-c", &bind])
        .spawn()
        .expect("setpriv and python3 are there");
    daemons::until(|| first.exists());
    let rack = Rack::new().with_real_sockets();
    rack.key(&owner);
    rack.sh(&format!("keyrack init --for {owner}; printf v | keyrack set --for {owner} --key K"))
        .ok();
    let unlock = rack.sh(&format!("keyrack unlock --for {owner}"));
    assert!(unlock.ok().errors().contains("12345"), "who holds the path is said\n{unlock}");
    rack.sh(&format!("keyrack get --for {owner} --key K")).ok().bytes(b"v");
    rack.sh(&format!("keyrack relock --for {owner}")).ok();
    assert!(first.exists(), "it is not ours to remove");
    squatter.kill().expect("our child");
    squatter.wait().expect("our child");
    std::fs::remove_file(&first).expect("root may");
    let own = |path: &std::path::Path| path.to_string_lossy().contains(&owner);
    assert_eq!(daemons::kill(own), [] as [std::path::PathBuf; 0]);
}

#[test]
fn a_daemon_is_listed_by_the_path_that_everybody_expects() {
    let owner = unique("listed");
    let rack = Rack::new().with_real_sockets();
    rack.key(&owner);
    rack.sh(&format!(
        "keyrack init --for {owner}; printf v | keyrack set --for {owner} --key K
         keyrack unlock --for {owner}"
    ))
    .ok();
    let listed = rack.sh(&format!("keyrack daemon list | grep '^{owner}\t' | cut -f 4")).text();
    rack.sh(&format!("keyrack relock --for {owner}")).ok();
    assert_eq!(listed, format!("/tmp/keyrack-daemon.{owner}.sock"));
}

/// What sweeps `/tmp` takes a socket there for old. The other path is in nobody's way.
#[test]
fn a_socket_that_a_cleaner_took_is_not_missed() {
    let owner = unique("swept");
    let rack = Rack::new().with_real_sockets();
    rack.key(&owner);
    rack.sh(&format!(
        "keyrack init --for {owner}; printf v | keyrack set --for {owner} --key K
         keyrack unlock --for {owner}; rm /tmp/keyrack-daemon.{owner}.sock"
    ))
    .ok();
    rack.sh(&format!("keyrack get --for {owner} --key K")).ok().bytes(b"v");
    // Nor is a second daemon started beside the first.
    rack.sh(&format!("keyrack unlock --for {owner}; keyrack get --for {owner} --key K"))
        .ok()
        .bytes(b"v");
    rack.sh(&format!("keyrack relock --for {owner}")).ok();
    rack.sh(&format!("keyrack get --for {owner} --key K --identity nowhere")).code(3);
    let own = |path: &std::path::Path| path.to_string_lossy().contains(&owner);
    assert_eq!(daemons::kill(own), [] as [std::path::PathBuf; 0]);
}
