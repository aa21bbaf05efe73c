//! A test that cannot run here says why. Under `CI=true` that is a failure wherever the
//! missing part could have been installed.

use std::io::Write as _;

/// Why a test does not run.
#[derive(Debug, Clone, Copy)]
pub enum Missing<'a> {
    /// A package that `tests/run` installs.
    Program(&'a str),
    /// Something this machine or this user does not have, such as a uid of root.
    Here(&'a str),
}

/// Records the reason, and fails where the part could have been installed.
pub fn skip(test: &str, missing: Missing<'_>) {
    let reason = match missing {
        Missing::Program(name) => {
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!ci, "{test}: {name} is missing; tests/run installs it");
            format!("{test}: {name} is missing; tests/run installs it")
        }
        Missing::Here(why) => format!("{test}: {why}"),
    };
    eprintln!("skipped: {reason}");
    if let Some(path) = std::env::var_os("KEYRACK_TEST_SKIPS") {
        let list = std::fs::OpenOptions::new().append(true).create(true).open(path);
        if let Ok(mut list) = list {
            let _ = writeln!(list, "{reason}");
        }
    }
}

/// Whether this test runs as root, as it does in CI.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether `name` is on the test's PATH.
pub fn has(name: &str) -> bool {
    crate::rack::path_dirs().iter().any(|dir| dir.join(name).is_file())
}

/// Ends the test early, saying why, unless `name` is installed.
#[macro_export]
macro_rules! need {
    (root) => {
        if !$crate::skip::is_root() {
            $crate::skip::skip(
                concat!(file!(), ":", line!()),
                $crate::skip::Missing::Here("needs root"),
            );
            return;
        }
    };
    ($name:literal) => {
        if !$crate::skip::has($name) {
            $crate::skip::skip(
                concat!(file!(), ":", line!()),
                $crate::skip::Missing::Program($name),
            );
            return;
        }
    };
}
