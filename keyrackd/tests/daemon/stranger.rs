//! A client in another language, written from `docs/PROTOCOL.md` alone.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::rig::{HOUR, Rig, skip};

#[test]
fn a_client_in_another_language_gets_its_value() {
    let rig = Rig::new();
    let _daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple")], HOUR);
    let key = rig.secret.attach_key().expose().map(|byte| format!("{byte:02x}")).concat();
    let started = Command::new("python3")
        .arg("-")
        .arg(rig.socket())
        .args([rig.owner.as_str(), &rig.rack.to_string(), &key, "o.all.A"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut python) = started else { return skip("there is no python3") };
    // Over standard input: an ordinary user may not be able to read the source tree.
    python.stdin.take().unwrap().write_all(include_bytes!("stranger.py")).unwrap();
    let output = python.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "apple\napple\n", "{error}");
}
