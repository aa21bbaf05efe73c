//! Tests with a virtual YubiKey run again inside namespaces of their own, one each: their
//! pcscd meets neither the machine's nor another test's, and ends with them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use keyrack_virtual_yubikey::namespace::{self, Missing};

use crate::rack::PROGRAMS;
use crate::{binaries, skip};

/// Goes on inside: the test as it was called runs itself there, alone, and ends as that
/// does. Skips with a reason where there can be no virtual reader.
#[macro_export]
macro_rules! need_virtual_reader {
    () => {{
        fn here() {}
        if !$crate::namespaced::is_inside(std::any::type_name_of_val(&here)) {
            return;
        }
    }};
}

/// Whether this is the inside. Outside, runs the test there, whose name is in front of
/// `::here` in `function`, and behind the name of the file.
#[track_caller]
pub fn is_inside(function: &str) -> bool {
    if namespace::is_inside() {
        return true;
    }
    let (_, test) = function.split_once("::").expect("tests are in a crate");
    let test = test.strip_suffix("::here").expect("the macro says so");
    match namespace::missing() {
        None => again(test),
        Some(Missing::Package(name)) => skip::skip(test, skip::Missing::Program(name)),
        Some(Missing::Namespaces) => {
            skip::skip(test, skip::Missing::Here("namespaces cannot be made here"));
        }
    }
    false
}

#[track_caller]
fn again(test: &str) {
    let own = std::env::current_exe().expect("a running test has a path");
    passes(test, namespace::command(own));
}

/// Runs another test of this file as an ordinary user, who reaches neither the build
/// directory nor anything else of root's.
#[track_caller]
pub fn as_ordinary_user(test: &str) {
    let dir = tempfile::Builder::new().prefix("kr-").tempdir().expect("a directory");
    let own = dir.path().join("test");
    let copy = |from: &Path, to: &Path| fs::copy(from, to).expect("a program");
    copy(&std::env::current_exe().expect("a running test has a path"), &own);
    for program in PROGRAMS {
        copy(&binaries::dir().join(program), &dir.path().join(program));
    }
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("our directory");
    let mut command = Command::new("setpriv");
    let uid = format!("{}", 300_000 + std::process::id() % 100_000);
    command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "--inh-caps=-all"]);
    command.arg(&own).env("KEYRACK_TEST_BIN", dir.path()).env_remove("KEYRACK_TEST_SKIPS");
    passes(test, command);
}

/// Runs `test` alone by a command that ends with the program of the tests.
#[track_caller]
fn passes(test: &str, mut command: Command) {
    command.args(["--exact", test, "--nocapture"]).stdin(Stdio::null());
    let done = command.output().expect("unshare and setpriv are installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&done.stdout), text(&done.stderr));
    // A name that fits no test would pass, too.
    let passed = done.status.success() && stdout.contains("1 passed");
    assert!(passed && !stderr.contains("skipped: "), "{test}: {}\n{stdout}\n{stderr}", done.status);
}
