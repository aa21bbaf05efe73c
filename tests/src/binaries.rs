//! Where the binaries under test are: the release build, because that is what users run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory that holds `keyrack` and its helpers: `$KEYRACK_TEST_BIN`, else the
/// workspace's release directory, brought up to date first.
pub fn dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| match std::env::var_os("KEYRACK_TEST_BIN") {
        Some(dir) => PathBuf::from(dir),
        None => build(),
    })
}

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// The target directory this test runs from.
pub fn target() -> PathBuf {
    // <target>/<profile>/deps/<test>
    let own = std::env::current_exe().expect("a running test has a path");
    own.ancestors().nth(3).expect("tests run from a target directory").to_owned()
}

fn build() -> PathBuf {
    let target = target();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet"])
        .args(["-p", "keyrack-cli", "-p", "keyrackd", "-p", "keyrack-yubikey"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(repository())
        .status();
    assert!(built.is_ok_and(|s| s.success()), "cargo build --release, of what users run");
    target.join("release")
}
