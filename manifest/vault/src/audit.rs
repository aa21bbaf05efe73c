//! Who did what with a vault: a log for each member and device, one line of JSON an act,
//! each line signed by the member and holding the hash of the line before. What is written
//! here is on disk before a credential of somebody else is released.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use jiff::Timestamp;
use keyrack_manifest::{
    CredId, DeviceId, Digest, FileError, MemberId, Namespace, PublicKey, SigningKey, VaultId,
    atomic,
};
use keyrack_names::Slug;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::chain::AuditHead;
use crate::modes::Modes;
use crate::names;

/// Largest line, in bytes.
const LONGEST: usize = 16 << 10;
/// What stands between a line's payload and its signature.
const SIGNED: &str = ",\"sig\":\"";

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// What was done: `read`, `set`, `invite`, …
    pub action: String,
    /// What became of it: `ok`, or why not.
    pub outcome: String,
    /// The credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cred: Option<CredId>,
    /// The credential's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Slug>,
    /// Whose credential, or which member it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<MemberId>,
    /// Whether it is a credential of somebody else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cross: bool,
    /// What the caller gave as the reason. Proof of nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A line, without its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The version of this format: 1.
    pub v: u32,
    /// In which vault.
    pub vault_id: VaultId,
    /// Who.
    pub member: MemberId,
    /// On which device.
    pub device: DeviceId,
    /// Its number; the first is 0.
    pub seq: u64,
    /// SHA-256 of the line before.
    pub prev: Digest,
    /// When, as that device's clock says.
    pub ts: Timestamp,
    /// The Unix user.
    pub uid: u32,
    /// The process.
    pub pid: u32,
    /// What was done.
    pub act: Act,
}

/// One member's log of one device.
#[derive(Debug, Clone)]
pub struct Log {
    /// The vault's directory.
    pub dir: PathBuf,
    /// Which vault.
    pub vault: VaultId,
    /// Whose.
    pub member: MemberId,
    /// Of which device.
    pub device: DeviceId,
}

impl Log {
    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.dir.join(names::audit(&self.member, &self.device))
    }

    /// Appends acts. They are on disk when this returns: nothing that they tell of is to
    /// happen before. `seen` is where this device left the log; returns where it ends now.
    ///
    /// # Errors
    /// The log cannot be opened, written or synced; then some lines may be there.
    pub fn append(
        &self,
        key: &SigningKey,
        seen: Option<AuditHead>,
        acts: &[Act],
        now: Timestamp,
    ) -> Result<Option<AuditHead>, FileError> {
        let path = self.path();
        let failed = |error| FileError::new("write", &path, error);
        let modes = Modes::of(&self.dir);
        modes.make_dirs(&self.dir, path.parent().unwrap_or(&self.dir))?;
        let is_new = path.symlink_metadata().is_err();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(&path)
            .map_err(failed)?;
        let mut file =
            Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, e)| failed(e.into()))?;
        modes.file(&file).map_err(failed)?;
        let (found, whole) = tail(&file).map_err(failed)?;
        // A writer that was killed may have left half a line.
        file.set_len(whole).map_err(failed)?;
        // A log that was cut goes on from where this device left it: the gap tells.
        let mut head = if lines(&found) < lines(&seen) { seen } else { found };
        let mut text = String::new();
        for act in acts {
            let line = self.line(act.clone(), &head, now, key);
            head = Some(AuditHead { seq: lines(&head), hash: Digest::of(line.as_bytes()) });
            text.push_str(&line);
            text.push('\n');
        }
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)?;
        if is_new {
            path.parent().map_or(Ok(()), atomic::sync_dir)?;
        }
        Ok(head)
    }

    fn line(&self, act: Act, head: &Option<AuditHead>, now: Timestamp, key: &SigningKey) -> String {
        let line = Line {
            v: 1,
            vault_id: self.vault,
            member: self.member,
            device: self.device,
            seq: lines(head),
            prev: hash(head),
            ts: now,
            uid: nix::unistd::getuid().as_raw(),
            pid: std::process::id(),
            act,
        };
        let payload = serde_json::to_string(&line)
            .unwrap_or_else(|e| unreachable!("a line of the log is always JSON: {e}"));
        let signature = key.sign(Namespace::Audit, payload.as_bytes());
        let open = payload.strip_suffix('}').unwrap_or(&payload);
        format!("{open}{SIGNED}{signature}\"}}")
    }
}

/// How many lines a log has that ends so.
pub fn lines(head: &Option<AuditHead>) -> u64 {
    head.as_ref().map_or(0, |head| head.seq.saturating_add(1))
}

/// What the next line is to follow from.
fn hash(head: &Option<AuditHead>) -> Digest {
    head.as_ref().map_or(Digest::from_bytes([0; 32]), |head| head.hash)
}

/// Why a log is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line was altered.
    #[error("line {line} was edited: {why}")]
    Edited {
        /// Which, the first is 1.
        line: u64,
        /// In which way.
        why: &'static str,
    },
    /// Lines are missing.
    #[error(
        "line {line} is number {found}, where number {expected} was to follow: lines are cut out"
    )]
    Cut {
        /// Which, the first is 1.
        line: u64,
        /// The number it bears.
        found: u64,
        /// The number that was to follow.
        expected: u64,
    },
    /// Lines are missing at the end.
    #[error("it ends after {found} lines, and had {had}: its end is cut off")]
    Truncated {
        /// How many there are.
        found: u64,
        /// How many there were.
        had: u64,
    },
    /// It has lines enough, and is another log.
    #[error("line {line} is another than was written before")]
    Replaced {
        /// Which, the first is 1.
        line: u64,
    },
}

/// Checks a log from its first line: each signed by one of `keys`, each following from the
/// one before, and none gone of those that stood there when `seen` was noted.
///
/// # Errors
/// The first break.
pub fn verify(
    log: &Log,
    from: impl BufRead,
    keys: &[PublicKey],
    seen: &Option<AuditHead>,
    mut each: impl FnMut(&Line),
) -> Result<Option<AuditHead>, Broken> {
    let mut head = None;
    for text in from.split(b'\n') {
        let text = text?;
        let expected = lines(&head);
        let number = expected + 1;
        let edited = |why| Broken::Edited { line: number, why };
        let text = std::str::from_utf8(&text).map_err(|_| edited("it is no text"))?;
        let (payload, signature) = take_apart(text).ok_or_else(|| edited("it does not read"))?;
        let line: Line = serde_json::from_str(&payload).map_err(|_| edited("it does not read"))?;
        let signed =
            |key: &PublicKey| key.verify(Namespace::Audit, payload.as_bytes(), signature).is_ok();
        if !keys.iter().any(signed) {
            return Err(edited("its signature does not hold"));
        }
        if (line.vault_id, line.member, line.device) != (log.vault, log.member, log.device) {
            return Err(edited("it is of another log"));
        }
        if line.seq != expected {
            return Err(Broken::Cut { line: number, found: line.seq, expected });
        }
        if line.prev != hash(&head) {
            return Err(edited("it does not follow from the line before"));
        }
        let here = AuditHead { seq: expected, hash: Digest::of(text.as_bytes()) };
        if seen.as_ref().is_some_and(|seen| seen.seq == here.seq && seen.hash != here.hash) {
            return Err(Broken::Replaced { line: number });
        }
        head = Some(here);
        each(&line);
    }
    if lines(&head) < lines(seen) {
        return Err(Broken::Truncated { found: lines(&head), had: lines(seen) });
    }
    Ok(head)
}

/// Reads a line without believing it.
pub fn read(text: &str) -> Option<Line> {
    serde_json::from_str(&take_apart(text)?.0).ok()
}

/// A line's payload and its signature.
fn take_apart(text: &str) -> Option<(String, &str)> {
    if text.len() > LONGEST {
        return None;
    }
    let (open, rest) = text.rsplit_once(SIGNED)?;
    Some((format!("{open}}}"), rest.strip_suffix("\"}")?))
}

/// Where a log ends, by its last whole line, and how many bytes its whole lines have.
fn tail(file: &File) -> io::Result<(Option<AuditHead>, u64)> {
    let mut file = file;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(4 * LONGEST as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(4 * LONGEST as u64).read_to_end(&mut end)?;
    let Some(last) = end.iter().rposition(|c| *c == b'\n') else { return Ok((None, 0)) };
    let begin = end[..last].iter().rposition(|c| *c == b'\n').map_or(0, |at| at + 1);
    let line = &end[begin..last];
    let seq = std::str::from_utf8(line).ok().and_then(read).map(|line| line.seq);
    let head = seq.map(|seq| AuditHead { seq, hash: Digest::of(line) });
    Ok((head, from + last as u64 + 1))
}

#[cfg(test)]
mod tests;
