//! The daemon's audit log: one JSON line per act, each chained to the line before by
//! HMAC-SHA256. Writing and verifying, without a file: both sides use this.
//!
//! ```text
//! body(n)  the line's JSON object without "mac"
//! mac(n)   HMAC-SHA256(audit key, mac(n-1) ‖ body(n)); mac(-1) is empty
//! line(n)  body(n) with its last "}" replaced by ,"mac":"<64 hex digits>"} and a newline
//! ```
//!
//! The chain shows an edited, removed, inserted or reordered line. A log cut at its end
//! is shown by whoever remembers the [`AuditHead`].

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use hmac::{Hmac, Mac as _};
use keyrack_names::Slug;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::keys::Key;
use crate::message::AuditHead;
use crate::peer::{Life, Peer, Seen};

/// What a line may hold at most: every slug of a rack of 10,000.
pub const MAX_LINE: usize = 4 * 1024 * 1024;

const MAC_HEX: usize = 64;
const BEFORE_MAC: &str = ",\"mac\":\"";
const AFTER_MAC: &str = "\"}";

/// One act of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Version of this format: 1.
    pub v: u8,
    /// Which line this is, from 0. Set when the line is chained.
    pub seq: u64,
    /// Milliseconds since boot, suspension included.
    pub boot_ms: u64,
    /// Milliseconds since 1970 by the wall clock: information only.
    pub ts_ms: u64,
    /// What was asked: `start`, `get`, `push`, `lock`, `connect`, …
    pub action: String,
    /// Which credentials it was about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slugs: Vec<Slug>,
    /// What came of it: `ok`, or the code of a refusal, or a count of each answer.
    pub outcome: String,
    /// The uid of the process that connected, as the kernel says.
    pub uid: u32,
    /// Its pid, as the kernel says.
    pub pid: i32,
    /// Its session, where the kernel said that it lived when the line was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<i32>,
    /// Whether the kernel said that it had ended when the line was made. With neither
    /// this nor a session, the kernel did not say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exited: bool,
    /// What the caller says it is: proof of nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caller: String,
    /// How it proved itself: `attach`, `self-proof`, `capability <id>`, `clear`.
    pub channel: String,
    /// How many lines before this one could not be written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

impl Line {
    /// The process that connected, as it was when the line was made.
    pub fn seen(&self) -> Seen {
        let life = match self.session {
            _ if self.exited => Life::Exited,
            Some(session) => Life::Session(session),
            None => Life::Unknown,
        };
        Seen { peer: Peer { uid: self.uid, pid: self.pid }, life }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Where a log stops being the one that was written. Lines are counted from 1.
#[derive(Debug, thiserror::Error)]
pub enum Break {
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A line is not one that a daemon writes.
    #[error("line {line} is not an audit line")]
    Malformed {
        /// Which line; 0 is the last, where lines were not counted.
        line: u64,
    },
    /// Lines are missing, were put in or changed places.
    #[error("line {line} is number {found} of the chain; number {expected} belongs there")]
    OutOfOrder {
        /// Which line.
        line: u64,
        /// The number that belongs there.
        expected: u64,
        /// The number that stands there.
        found: u64,
    },
    /// A line, or the one before it, was changed.
    #[error("line {line} does not follow from the line before: one of the two was changed")]
    Altered {
        /// Which line.
        line: u64,
    },
    /// The last line has no end: its writer was killed, or the log was cut.
    #[error("line {line}, the last, is cut off")]
    Torn {
        /// Which line.
        line: u64,
    },
}

/// Chains `line` behind `head` and moves `head` on. Returns the text to append, newline
/// included.
pub fn chain(key: &Key, head: &mut AuditHead, mut line: Line) -> Vec<u8> {
    line.seq = head.seq;
    let mut text = crate::message::encode(&line).to_vec();
    let mac = mac(key, &head.mac, &text);
    text.pop();
    text.extend_from_slice(BEFORE_MAC.as_bytes());
    text.extend_from_slice(mac.as_bytes());
    text.extend_from_slice(AFTER_MAC.as_bytes());
    text.push(b'\n');
    *head = AuditHead { seq: head.seq + 1, mac };
    text
}

/// Follows the chain from `head` to the log's end and returns the head there. `each` sees
/// every line that holds.
///
/// # Errors
/// The first place where the chain breaks.
pub fn verify(
    key: &Key,
    mut log: impl BufRead,
    mut head: AuditHead,
    mut each: impl FnMut(&Line),
) -> Result<AuditHead, Break> {
    for number in 1.. {
        let Some(text) = next(&mut log, number)? else { break };
        let (body, mac_there, line) = split(&text).ok_or(Break::Malformed { line: number })?;
        if line.seq != head.seq {
            return Err(Break::OutOfOrder { line: number, expected: head.seq, found: line.seq });
        }
        if mac(key, &head.mac, &body) != mac_there {
            return Err(Break::Altered { line: number });
        }
        head = AuditHead { seq: head.seq + 1, mac: mac_there.to_owned() };
        each(&line);
    }
    Ok(head)
}

/// The head to hand to the next daemon, read from the log's end without its key, and how
/// many bytes of whole lines there are: what lies behind them is torn and may be cut off.
///
/// # Errors
/// When the log cannot be read, or its last whole line is not one that a daemon writes.
pub fn tail(mut log: impl Read + Seek) -> Result<(AuditHead, u64), Break> {
    let length = log.seek(SeekFrom::End(0))?;
    let mut window = 4096;
    loop {
        let start = length.saturating_sub(window);
        log.seek(SeekFrom::Start(start))?;
        let mut end = Vec::new();
        log.by_ref().take(window).read_to_end(&mut end)?;
        let Some(last) = end.iter().rposition(|&c| c == b'\n') else {
            if start == 0 {
                return Ok((AuditHead::default(), 0));
            }
            window = widened(window)?;
            continue;
        };
        let first = end[..last].iter().rposition(|&c| c == b'\n').map(|at| at + 1);
        let Some(first) = first.or((start == 0).then_some(0)) else {
            window = widened(window)?;
            continue;
        };
        let (_, mac, line) = split(&end[first..last]).ok_or(Break::Malformed { line: 0 })?;
        let head = AuditHead { seq: line.seq + 1, mac: mac.to_owned() };
        return Ok((head, start + last as u64 + 1));
    }
}

/// A window twice as wide, while it may still hold one line and a torn one.
fn widened(window: u64) -> Result<u64, Break> {
    let wider = window * 2;
    if wider > 4 * MAX_LINE as u64 { Err(Break::Malformed { line: 0 }) } else { Ok(wider) }
}

/// The next line without its newline.
fn next(log: &mut impl BufRead, line: u64) -> Result<Option<Vec<u8>>, Break> {
    let mut text = Vec::new();
    log.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut text)?;
    match text.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(text)),
        Some(_) if text.len() >= MAX_LINE => Err(Break::Malformed { line }),
        Some(_) => Err(Break::Torn { line }),
    }
}

/// A line as its body, its MAC in hex, and what it says.
fn split(text: &[u8]) -> Option<(Vec<u8>, &str, Line)> {
    let text = std::str::from_utf8(text).ok()?;
    let rest = text.strip_suffix(AFTER_MAC)?;
    let (rest, mac) = rest.split_at_checked(rest.len().checked_sub(MAC_HEX)?)?;
    let mut body = rest.strip_suffix(BEFORE_MAC)?.as_bytes().to_vec();
    body.push(b'}');
    let line: Line = serde_json::from_slice(&body).ok()?;
    mac.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')).then_some(())?;
    (line.v == 1).then_some((body, mac, line))
}

fn mac(key: &Key, before: &str, body: &[u8]) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key.expose())
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of every length"));
    hmac.update(&hex::lower::decode_vec(before).unwrap_or_default());
    hmac.update(body);
    hex::lower::encode_string(&hmac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn key() -> Key {
        Key::new([4; 32])
    }

    fn line(action: &str) -> Line {
        Line {
            v: 1,
            seq: 0,
            boot_ms: 5,
            ts_ms: 1_700_000_000_000,
            action: action.to_owned(),
            slugs: vec!["org.all.K".parse().unwrap()],
            outcome: "ok".to_owned(),
            uid: 1000,
            pid: 42,
            session: None,
            exited: false,
            caller: "a \"robot\"}".to_owned(),
            channel: "attach".to_owned(),
            lost: 0,
        }
    }

    fn log(actions: &[&str]) -> (Vec<u8>, AuditHead) {
        let mut head = AuditHead::default();
        let text = actions.iter().flat_map(|a| chain(&key(), &mut head, line(a))).collect();
        (text, head)
    }

    fn check(text: &[u8]) -> Result<AuditHead, Break> {
        verify(&key(), text, AuditHead::default(), |_| ())
    }

    #[test]
    fn what_was_written_holds_and_is_shown_in_order() {
        let (text, head) = log(&["start", "get", "lock"]);
        let mut seen = Vec::new();
        let end = verify(&key(), &text[..], AuditHead::default(), |l| seen.push(l.action.clone()));
        assert_eq!(end.unwrap(), head);
        assert_eq!(seen, ["start", "get", "lock"]);
        assert_eq!(tail(Cursor::new(&text)).unwrap(), (head, text.len() as u64));
    }

    #[test]
    fn a_chain_goes_on_in_another_file() {
        let (_, mut head) = log(&["start"]);
        let before = head.clone();
        let second = chain(&key(), &mut head, line("get"));
        assert_eq!(verify(&key(), &second[..], before, |_| ()).unwrap(), head);
        assert!(matches!(
            check(&second),
            Err(Break::OutOfOrder { line: 1, expected: 0, found: 1 })
        ));
    }

    #[test]
    fn every_changed_byte_is_found() {
        let (text, head) = log(&["start", "get"]);
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert!(check(&changed).is_err(), "byte {at}");
        }
        assert_eq!(check(&text).unwrap(), head);
        assert!(matches!(
            verify(&Key::new([5; 32]), &text[..], AuditHead::default(), |_| ()),
            Err(Break::Altered { line: 1 })
        ));
    }

    #[test]
    fn removed_swapped_and_doubled_lines_are_found() {
        let (text, _) = log(&["start", "get", "lock"]);
        let lines: Vec<&[u8]> = text.split_inclusive(|&c| c == b'\n').collect();
        for order in [&[0, 2][..], &[1, 2], &[0, 2, 1], &[0, 0, 1, 2]] {
            let changed: Vec<u8> = order.iter().flat_map(|&i| lines[i].to_vec()).collect();
            assert!(matches!(check(&changed), Err(Break::OutOfOrder { .. })), "{order:?}");
        }
    }

    #[test]
    fn a_torn_end_is_told_apart_and_can_be_cut() {
        let (text, _) = log(&["start", "get"]);
        let first = text.iter().position(|&c| c == b'\n').unwrap() + 1;
        for end in first + 1..text.len() {
            assert!(matches!(check(&text[..end]), Err(Break::Torn { line: 2 })), "cut at {end}");
            let (head, whole) = tail(Cursor::new(&text[..end])).unwrap();
            assert_eq!((head.seq, whole), (1, first as u64));
        }
    }

    #[test]
    fn the_tail_is_found_behind_lines_of_any_length() {
        let mut head = AuditHead::default();
        let mut text = Vec::new();
        for slugs in [0, 1, 90, 2000, 3] {
            let mut long = line("get-all");
            long.slugs = vec!["org.all.KEY".parse().unwrap(); slugs];
            text.extend_from_slice(&chain(&key(), &mut head, long));
            assert_eq!(tail(Cursor::new(&text)).unwrap(), (head.clone(), text.len() as u64));
        }
        assert_eq!(tail(Cursor::new(b"")).unwrap(), (AuditHead::default(), 0));
        assert_eq!(tail(Cursor::new(b"torn")).unwrap(), (AuditHead::default(), 0));
        assert!(tail(Cursor::new(b"garbage\n")).is_err());
    }

    #[test]
    fn an_endless_line_is_not_read_to_its_end() {
        assert!(matches!(check(&vec![b'x'; MAX_LINE + 9]), Err(Break::Malformed { line: 1 })));
    }

    /// Golden: a reader in another language must get the same bytes.
    #[test]
    fn lines_are_what_the_protocol_says() {
        let (mut text, mut head) = log(&["start", "get"]);
        let lives = Line { session: Some(40), ..line("get") };
        let exited = Line { exited: true, ..line("get") };
        for line in [&lives, &exited] {
            text.extend(chain(&key(), &mut head, line.clone()));
        }
        assert_eq!(String::from_utf8(text.clone()).unwrap(), include_str!("golden/audit.log"));
        let mut seen = Vec::new();
        let each = |line: &Line| seen.push(line.seen().life);
        verify(&key(), &text[..], AuditHead::default(), each).unwrap();
        assert_eq!(seen, [Life::Unknown, Life::Unknown, Life::Session(40), Life::Exited]);
    }
}
