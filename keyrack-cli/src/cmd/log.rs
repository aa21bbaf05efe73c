//! `keyrack log`: what the owner's daemon gave out, and whether the log still is what was
//! written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Seek};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keyrack_protocol::audit_chain::{self, Break, Line};
use keyrack_protocol::keys::Key;
use keyrack_protocol::message::AuditHead;

use crate::args::LogAct;
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened;
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::rack::{access, audit_log};
use crate::settings::Settings;

/// How long a line may take from its first byte on disk to its last.
const WRITING: Duration = Duration::from_secs(1);

/// Runs `keyrack log`.
pub fn run(act: LogAct, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let path = settings.places.audit(owner);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if !settings.places.manifest(owner).exists() {
                return Err(access::locked(settings, owner));
            }
            let object = match act {
                LogAct::Show => serde_json::json!({ "lines": [] }),
                LogAct::Verify => {
                    serde_json::json!({ "owner": owner, "lines": 0, "verified": true })
                }
            };
            return ui.done(format!("{owner}: nothing was given out yet"), object);
        }
        Err(error) => return Err(error).context(|| path.display().to_string()),
    };
    match act {
        LogAct::Show => show(BufReader::new(file), ui, &path),
        LogAct::Verify => verify(&file, &path, settings, ui),
    }
}

/// The lines as they are, JSON, one an act; for a person at a terminal in words.
fn show(log: impl BufRead, ui: &Ui, path: &Path) -> Outcome {
    let doing = || path.display().to_string();
    let lines = log.lines().collect::<io::Result<Vec<_>>>().context(doing)?;
    if ui.json {
        let lines: Vec<serde_json::Value> =
            lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        return ui.object(&serde_json::json!({ "lines": lines }));
    }
    if !io::stdout().is_terminal() {
        return ui.lines(lines);
    }
    let rows: Vec<[String; 5]> =
        lines.iter().filter_map(|line| Some(words(&serde_json::from_str(line).ok()?))).collect();
    ui.table(["TIME", "ACTION", "OUTCOME", "BY", "KEYS"], &rows)
}

fn words(line: &Line) -> [String; 5] {
    let time =
        Timestamp::from_millisecond(i64::try_from(line.ts_ms).unwrap_or(0)).unwrap_or_default();
    let by = match line.pid {
        0 => "-".to_owned(),
        _ => line.seen().and_says(&line.caller),
    };
    let keys: Vec<String> = line.slugs.iter().map(ToString::to_string).collect();
    [format!("{time:.0}"), line.action.clone(), line.outcome.clone(), by, keys.join(" ")]
}

fn verify(log: &File, path: &Path, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let rack = opened::open(settings, ui, owner)?.rack();
    // A log cut at its end still is a chain: the running daemon knows where it ended, and
    // this device where it was last seen to end. Both are asked before the log is read: it
    // goes on growing.
    let seen = audit_log::remembered(settings, owner);
    let written = access::status(settings, owner).map_or(0, |status| status.audit_head.seq);
    let head = follow(log, &rack.secret.audit_key())
        .map_err(|error| Failure::new(Code::Tampered, format!("{}: {error}", path.display())))?;
    let had = seen.seq.max(written);
    if head.seq < had {
        let message = format!("{}: it ends at line {}, and had {had}", path.display(), head.seq);
        return Err(Failure::new(Code::Tampered, message));
    }
    if head.seq == seen.seq && head.mac != seen.mac {
        return Err(Failure::new(
            Code::Tampered,
            format!("{}: it is another log than before", path.display()),
        ));
    }
    audit_log::remember(settings, owner);
    let lines = head.seq;
    if ui.json {
        return ui.object(&serde_json::json!({ "owner": owner, "lines": lines, "verified": true }));
    }
    let lines = counted(lines, "line");
    ui.say(format!("{owner}: {lines}, each following from the one before"));
    Ok(())
}

/// Follows the chain from its beginning. A last line without an end may be one that is being
/// written: it is given a moment.
fn follow(mut log: &File, key: &Key) -> Result<AuditHead, Break> {
    let limit = Instant::now() + WRITING;
    loop {
        log.rewind()?;
        match audit_chain::verify(key, BufReader::new(log), AuditHead::default(), |_| ()) {
            Err(Break::Torn { .. }) if Instant::now() < limit => {
                thread::sleep(Duration::from_millis(5));
            }
            checked => return checked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_asked_and_what_became_of_it() {
        let by = |more: &str| {
            let text = format!(
                r#"{{"v":1,"seq":0,"boot_ms":5,"ts_ms":0,"action":"get","outcome":"ok","uid":1000,"channel":"attach",{more}}}"#
            );
            let [time, action, outcome, by, keys] = words(&serde_json::from_str(&text).unwrap());
            assert_eq!(
                [&*time, &*action, &*outcome, &*keys],
                ["1970-01-01T00:00:00Z", "get", "ok", ""]
            );
            by
        };
        assert_eq!(by(r#""pid":4711"#), "pid 4711");
        assert_eq!(by(r#""pid":4711,"session":4700"#), "pid 4711, session 4700");
        assert_eq!(by(r#""pid":4711,"exited":true"#), "pid 4711 (exited)");
        assert_eq!(by(r#""pid":4711,"caller":"git""#), "pid 4711, who says: git");
        assert_eq!(by(r#""pid":0"#), "-");
    }
}
