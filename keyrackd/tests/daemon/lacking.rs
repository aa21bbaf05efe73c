//! Kernels and containers that lack a part of the hardening: the daemon serves, and says
//! what is missing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keyrack_protocol::message::Protection;
use nix::libc;

use crate::rig::{HOUR, Rig, binary, is_root, skip};

const PYTHON: &str = "/usr/bin/python3";

/// A daemon's protections where `before` runs it.
fn protections(before: &str) -> Vec<Protection> {
    let mut rig = Rig::new();
    let script = rig.dir.path().join("wrap");
    fs::write(rig.dir.path().join("lacking.py"), include_bytes!("lacking.py")).unwrap();
    let before = before.replace("DIR", &rig.dir.path().display().to_string());
    fs::write(&script, format!("#!/bin/sh\nexec {before} {}\n", binary().display())).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    rig.binary = script;
    let _daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    assert_eq!(rig.value("o.all.A"), b"apple", "it serves");
    rig.bare().unwrap().protections
}

#[test]
fn a_forbidden_system_call_is_named_and_the_daemon_goes_on() {
    if !Path::new(PYTHON).exists() {
        return skip("there is no /usr/bin/python3");
    }
    for (call, name, state) in [
        (libc::SYS_keyctl, "own keyring", "EPERM: Operation not permitted"),
        (libc::SYS_landlock_create_ruleset, "landlock", "this kernel offers none"),
        (libc::SYS_seccomp, "seccomp", "Operation not permitted"),
        (libc::SYS_memfd_create, "start window", "open: "),
    ] {
        let all = protections(&format!("{PYTHON} DIR/lacking.py {call}"));
        let found = all.iter().find(|protection| protection.name == name).unwrap();
        assert!(!found.on && found.state.contains(state), "{found:?}");
        let others = all.iter().filter(|p| p.name != name && !p.on);
        let expected = usize::from(is_root() && name != "start window");
        assert_eq!(others.count(), expected, "{all:?}");
    }
    // Two have a second best.
    for call in [libc::SYS_close_range, libc::SYS_memfd_secret] {
        let all = protections(&format!("{PYTHON} DIR/lacking.py {call}"));
        assert_eq!(all.iter().filter(|p| !p.on).count(), usize::from(is_root()), "{all:?}");
    }
}

#[test]
fn where_no_memory_may_be_locked_it_says_so() {
    if is_root() {
        return skip("root may lock memory without limit");
    }
    let all = protections("prlimit --memlock=0");
    let page = all.iter().find(|protection| protection.name == "locked page").unwrap();
    assert_eq!((page.on, &*page.state), (false, "ordinary memory: this machine locks none"));
}
