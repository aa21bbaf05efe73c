//! Tests with a virtual YubiKey run again inside namespaces of their own, one each: their
//! pcscd meets neither the machine's nor another test's, and ends with them.

use std::process::Stdio;

use keyrack_virtual_yubikey::namespace::{self, Missing};

use crate::skip;

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
    let mut command = namespace::command(own);
    command.args(["--exact", test, "--nocapture"]).stdin(Stdio::null());
    let done = command.output().expect("unshare starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&done.stdout), text(&done.stderr));
    // A name that fits no test would pass, too.
    let passed = done.status.success() && stdout.contains("1 passed");
    assert!(passed, "inside, {test}: {}\n{stdout}\n{stderr}", done.status);
}
