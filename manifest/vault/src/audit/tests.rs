//! A log that is whole, and every way to break one.

use std::path::Path;

use super::*;

fn log(dir: &Path) -> (Log, SigningKey) {
    let log = Log {
        dir: dir.to_owned(),
        vault: VaultId::from_bytes([1; 32]),
        member: MemberId::from_bytes([2; 16]),
        device: DeviceId::from_bytes([3; 16]),
    };
    (log, SigningKey::generate().unwrap())
}

fn act(action: &str) -> Act {
    Act {
        action: action.to_owned(),
        outcome: "ok".to_owned(),
        cred: None,
        name: Some("@all.all.TOKEN".parse().unwrap()),
        of: None,
        cross: true,
        reason: "a \"quoted\" ,\"sig\":\" reason".to_owned(),
    }
}

fn five() -> (tempfile::TempDir, Log, SigningKey, Option<AuditHead>) {
    let dir = tempfile::tempdir().unwrap();
    let (log, key) = log(dir.path());
    let mut head = None;
    for _ in 0..5 {
        head = log.append(&key, head, &[act("read")], Timestamp::UNIX_EPOCH).unwrap();
    }
    (dir, log, key, head)
}

fn check(
    log: &Log,
    key: &SigningKey,
    seen: &Option<AuditHead>,
) -> Result<Option<AuditHead>, Broken> {
    let text = std::fs::read(log.path()).unwrap();
    verify(log, &text[..], &[key.public()], seen, |_| {})
}

#[test]
fn lines_follow_from_each_other() {
    let (_dir, log, key, head) = five();
    assert_eq!(lines(&head), 5);
    assert_eq!(check(&log, &key, &head).unwrap(), head);
    let (_, other) = self::log(&log.dir);
    assert!(matches!(check(&log, &other, &head), Err(Broken::Edited { line: 1, .. })));
}

#[test]
fn half_a_line_of_a_killed_writer_is_taken_off() {
    let (_dir, log, key, head) = five();
    let mut text = std::fs::read(log.path()).unwrap();
    text.extend_from_slice(b"{\"v\":1,\"half");
    std::fs::write(log.path(), &text).unwrap();
    let head = log.append(&key, head, &[act("set")], Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(check(&log, &key, &head).map(|head| lines(&head)).unwrap(), 6);
}

#[test]
fn every_break_is_named() {
    let (_dir, log, key, head) = five();
    let whole = std::fs::read_to_string(log.path()).unwrap();
    let all: Vec<String> = whole.lines().map(str::to_owned).collect();
    let broken = |lines: Vec<String>| {
        std::fs::write(log.path(), lines.join("\n") + "\n").unwrap();
        check(&log, &key, &head).unwrap_err().to_string()
    };
    let mut edited = all.clone();
    edited[2] = edited[2].replace("\"read\"", "\"list\"");
    assert_eq!(broken(edited), "line 3 was edited: its signature does not hold");

    let mut cut = all.clone();
    cut.remove(1);
    let said = broken(cut);
    assert!(said.starts_with("line 2 is number 2, where number 1 was to follow"), "{said}");

    let mut swapped = all.clone();
    swapped.swap(1, 2);
    assert!(broken(swapped).contains("lines are cut out"));

    let short = all[..3].to_vec();
    assert_eq!(broken(short), "it ends after 3 lines, and had 5: its end is cut off");
}

#[test]
fn a_log_that_was_cut_goes_on_with_a_gap() {
    let (_dir, log, key, head) = five();
    std::fs::remove_file(log.path()).unwrap();
    let head = log.append(&key, head, &[act("read")], Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(lines(&head), 6);
    assert!(matches!(
        check(&log, &key, &head),
        Err(Broken::Cut { line: 1, found: 5, expected: 0 })
    ));
}

#[test]
fn another_log_with_as_many_lines_is_told() {
    let (_dir, log, key, head) = five();
    std::fs::remove_file(log.path()).unwrap();
    let mut other = None;
    for _ in 0..6 {
        other = log.append(&key, other, &[act("list")], Timestamp::UNIX_EPOCH).unwrap();
    }
    assert!(matches!(check(&log, &key, &head), Err(Broken::Replaced { line: 5 })));
}
