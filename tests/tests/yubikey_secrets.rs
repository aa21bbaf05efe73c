//! The PIN, and the secret that opens a file, are told to the card and to whoever asked,
//! and to nobody else: the `yubikey` crate traces both, and nothing may listen.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use keyrack_tests::desk::{Desk, PIN, SERIAL};
use keyrack_tests::{binaries, need, need_virtual_reader};
use keyrack_virtual_yubikey::Firmware;

/// A PIN that is nowhere by chance.
const CANARY: &str = "cXn4r~7q";

/// An owner whose YubiKey has the canary for a PIN.
fn desk() -> Desk {
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let mut terminal = desk.rack.terminal(&format!("keyrack yubikey pin --serial {SERIAL}"));
    terminal.expect("PIN of").type_hidden(PIN);
    terminal.expect("new PIN").type_hidden(CANARY);
    terminal.expect("again").type_hidden(CANARY);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains(CANARY));
    desk
}

/// Every way a program may have written `secret` down.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let list = secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    let spaced = secret.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    let mut all = vec![secret.to_vec(), base64(secret).into_bytes()];
    all.extend([list, hex.to_uppercase(), hex, spaced].map(String::into_bytes));
    all
}

#[track_caller]
fn assert_absent(what: &str, text: &[u8], secrets: &[Vec<u8>]) {
    for spelling in secrets.iter().flat_map(|secret| spellings(secret)) {
        let found = text.windows(spelling.len()).any(|window| window == spelling);
        assert!(!found, "{what} has {:?}", String::from_utf8_lossy(&spelling));
    }
}

#[test]
fn not_in_outputs_logs_or_files_at_any_level() {
    need_virtual_reader!();
    let desk = desk();
    let everything = "
        export KEYRACK_LOG=trace RUST_LOG=trace RUST_BACKTRACE=full PCSCLITE_DEBUG=1
        keyrack unlock --for mechanic && keyrack get --for mechanic --key TOKEN > got
        keyrack -v -v unlock --for mechanic; keyrack list --for mechanic
        keyrack yubikey list; keyrack doctor --for mechanic; keyrack log --for mechanic";
    let done = desk.with_pin(CANARY, everything);
    assert_eq!(desk.rack.sh("cat got").text(), "value", "{done}");
    let mut secrets = desk.key.card().agreed().to_vec();
    assert!(!secrets.is_empty());
    secrets.push(CANARY.into());
    assert_absent("stdout", &done.stdout, &secrets);
    assert_absent("stderr", &done.stderr, &secrets);
    let written = ["home", "run", "work"].map(|dir| files(&desk.rack.path(dir)));
    let files = written.concat();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        assert_absent(&file.display().to_string(), &fs::read(&file).unwrap_or_default(), &secrets);
    }
}

/// All that the helper writes, as the kernel sees it. The command refuses to be traced, and
/// starts what lies beside it.
#[test]
fn written_to_the_card_and_the_caller_only() {
    need!("strace");
    need_virtual_reader!();
    let desk = desk();
    let real = binaries::dir().display();
    let traced =
        "strace -f -y -xx -s 65536 -o ../trace -e trace=write,writev,pwrite64,sendto,sendmsg";
    let beside = format!(
        "mkdir ../traced && cp {real}/keyrack {real}/keyrackd ../traced/ &&
         printf '#!/bin/sh\\ncd {root}/work; RUST_LOG=trace exec {traced} {real}/keyrack-yubikey\\n' > ../traced/keyrack-yubikey &&
         chmod +x ../traced/keyrack-yubikey",
        root = desk.rack.root().display()
    );
    desk.rack.sh(&beside).ok();
    desk.with_pin(CANARY, "../traced/keyrack unlock --for mechanic").ok();
    let trace = desk.rack.sh("cat ../trace").ok().text();
    let mut secrets = desk.key.card().agreed().to_vec();
    secrets.push(CANARY.into());
    let mut kinds = BTreeSet::new();
    for spelling in secrets.iter().flat_map(|secret| spellings(secret)) {
        for line in trace.lines().filter(|line| line.contains(&escaped(&spelling))) {
            let to = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
            let to = to.map(|(to, _)| to).unwrap_or_default();
            let kind =
                ["pipe:", "socket:"].iter().find(|kind| to.starts_with(&escaped(kind.as_bytes())));
            kinds.insert(kind.unwrap_or_else(|| panic!("written to {line}")));
        }
    }
    // The secret goes to the caller, the PIN to the card.
    assert_eq!(kinds.len(), 2, "{kinds:?}");
}

/// As strace writes every text.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("\\x{b:02x}")).collect()
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let below = |path: std::path::PathBuf| match path.is_dir() && !path.is_symlink() {
        true => files(&path),
        false => vec![path],
    };
    entries.flat_map(|entry| below(entry.path())).filter(|path| path.is_file()).collect()
}

/// In base64, as far as whole groups go.
fn base64(bytes: &[u8]) -> String {
    const TABLE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = bytes.chunks_exact(3).flat_map(|group| {
        let n = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        [n >> 18, n >> 12, n >> 6, n].map(|d| char::from(TABLE[(d & 63) as usize]))
    });
    digits.collect()
}
