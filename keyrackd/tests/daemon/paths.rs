//! Where a daemon listens, and what is in its way.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use keyrack_protocol::client;
use keyrack_protocol::message::{Request, Started};
use nix::sys::stat::Mode;

use crate::rig::{HOUR, Rig, get, is_root, skip};

/// A rig with a directory that others may be in, and one of its own behind it.
fn two_dirs() -> (Rig, PathBuf) {
    let mut rig = Rig::new();
    let shared = rig.dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    let own = rig.dir.path().join("own");
    rig.dirs = vec![shared, own.clone()];
    (rig, own)
}

#[test]
fn both_paths_serve_and_only_their_user_may_connect() {
    let (rig, own) = two_dirs();
    let daemon = rig.start();
    assert_eq!(daemon.sockets.len(), 2);
    assert!(daemon.notes.is_empty(), "{:?}", daemon.notes);
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    for socket in &daemon.sockets {
        let found = fs::symlink_metadata(socket).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.mode() & 0o777, 0o600);
        get(socket, &rig.attach(), "o.all.A").unwrap();
    }
    assert_eq!(fs::symlink_metadata(own).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_path_that_vanishes_leaves_the_other() {
    let (rig, own) = two_dirs();
    let daemon = rig.start();
    fs::remove_file(&daemon.sockets[0]).unwrap();
    // A starter finds the one that lives, though the first path is free.
    let (mut child, started) = rig.try_start();
    child.wait().unwrap();
    let Started::AlreadyRunning { socket } = started else { panic!("{started:?}") };
    assert!(socket.starts_with(own));
}

#[test]
fn a_dead_socket_is_taken_over() {
    let rig = Rig::new();
    drop(UnixListener::bind(rig.socket()).unwrap());
    assert!(rig.socket().exists());
    let daemon = rig.start();
    assert_eq!(daemon.sockets, [rig.socket()]);
}

#[test]
fn what_is_not_ours_is_left_alone_and_named() {
    type Plant = fn(&Path);
    let plants: [(&str, Plant); 5] = [
        ("is not a socket", |path| fs::write(path, "mine").unwrap()),
        ("is not a socket", |path| fs::create_dir(path).unwrap()),
        ("is not a socket", |path| nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap()),
        ("is not a socket", |path| symlink("/nonexistent", path).unwrap()),
        ("is held by another process of yours", |path| {
            // Alive, and answers nothing.
            let listener = UnixListener::bind(path).unwrap();
            std::thread::spawn(move || listener.accept().map(drop));
        }),
    ];
    for (why, plant) in plants {
        let (rig, own) = two_dirs();
        plant(&rig.socket());
        let before = fs::symlink_metadata(rig.socket()).unwrap().ino();
        let daemon = rig.start();
        assert!(daemon.sockets.len() == 1 && daemon.sockets[0].starts_with(own));
        assert!(daemon.notes.len() == 1 && daemon.notes[0].contains(why), "{:?}", daemon.notes);
        assert_eq!(fs::symlink_metadata(rig.socket()).unwrap().ino(), before);
    }
}

#[test]
fn a_socket_of_another_uid_is_left_alone_and_named() {
    if !is_root() {
        return skip("only root can leave another user's socket");
    }
    let (rig, own) = two_dirs();
    let listener = UnixListener::bind(rig.socket()).unwrap();
    std::os::unix::fs::lchown(rig.socket(), Some(65_534), Some(65_534)).unwrap();
    let daemon = rig.start();
    assert!(daemon.sockets[0].starts_with(own));
    assert!(daemon.notes[0].ends_with("is held by uid 65534"), "{:?}", daemon.notes);
    drop(listener);
}

#[test]
fn with_every_path_taken_it_says_by_whom() {
    let rig = Rig::new();
    fs::write(rig.socket(), "mine").unwrap();
    let (mut child, started) = rig.try_start();
    assert!(!child.wait().unwrap().success());
    let Started::Failed { message } = started else { panic!("{started:?}") };
    assert_eq!(
        message,
        format!("there is nowhere to listen: {} is not a socket", rig.socket().display())
    );
}

#[test]
fn directories_that_others_could_play_in_are_refused() {
    for (mode, why) in [(0o777, "others may write into"), (0o770, "others may write into")] {
        let mut rig = Rig::new();
        let dir = rig.dir.path().join("open");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
        rig.dirs = vec![dir];
        let (_, started) = rig.try_start();
        assert!(
            matches!(&started, Started::Failed { message } if message.contains(why)),
            "{started:?}"
        );
    }
    // As a fallback a directory must be ours alone; a link to one that is does not count.
    for lead in ["open", "link"] {
        let (mut rig, own) = two_dirs();
        fs::create_dir(&own).unwrap();
        fs::set_permissions(&own, Permissions::from_mode(0o755)).unwrap();
        symlink(rig.dir.path(), rig.dir.path().join("link")).unwrap();
        if lead == "link" {
            rig.dirs[1] = rig.dir.path().join("link");
        }
        let daemon = rig.start();
        assert_eq!((daemon.sockets.len(), daemon.notes.len()), (1, 1), "{:?}", daemon.notes);
    }
}

#[test]
fn two_racks_of_one_owner_live_side_by_side() {
    let rig = Rig::new();
    let other = Rig::beside(&rig);
    let _first = rig.start();
    let second = other.start();
    let name = format!("keyrack-daemon.seaturtle@{}.sock", other.rack.short());
    assert_eq!(second.sockets, [rig.dir.path().join(name)]);
    // And each is found again.
    for rig in [&rig, &other] {
        let (mut child, started) = rig.try_start();
        child.wait().unwrap();
        assert!(matches!(started, Started::AlreadyRunning { .. }), "{started:?}");
    }
    let reply = client::ask(&second.sockets[0], &other.attach(), &Request::Status);
    assert!(reply.is_ok(), "{reply:?}");
}

#[test]
fn a_clean_end_leaves_nothing_or_a_dead_socket_that_counts_as_nothing() {
    let rig = Rig::new();
    let mut daemon = rig.start();
    rig.lock().unwrap();
    assert!(daemon.ended());
    let again = rig.start();
    assert_eq!(again.sockets, [rig.socket()]);
}
