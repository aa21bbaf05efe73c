//! `keyrack vault log`: what the chain and the audit logs say was done, and whether the logs
//! still are what was written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;

use jiff::Timestamp;
use keyrack_manifest::signed::Signed;
use keyrack_manifest::{DeviceId, MemberId, PublicKey};
use keyrack_vault::audit::{self, Line, Log};
use keyrack_vault::git::Repository;
use keyrack_vault::{AuditHead, CHECKPOINT_EVERY, Link, Vault, VaultStore, history, names};

use crate::args::{LogAct, VaultLog};
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::{Look, change, done, look};
use crate::team::{Place, Shelf, acts, words};

/// Largest link, in bytes.
const LARGEST_LINK: u64 = 1 << 20;

/// Runs `keyrack vault log`.
pub fn run(args: &VaultLog, settings: &Settings, ui: &Ui) -> Outcome {
    let which = args.which.vault.as_deref();
    match (args.act, args.witness) {
        (LogAct::Show, false) => look(which, settings, ui, |looking| show(looking, ui)),
        (LogAct::Verify, false) => look(which, settings, ui, |looking| {
            let found = verify(looking.vault, looking.shelf, settings, ui)?;
            ui.done(found.words(looking.place), found.object(looking.place))
        }),
        (LogAct::Verify, true) => witness(which, settings, ui),
        (LogAct::Show, true) => Err(Failure::new(Code::Usage, "--witness goes with verify")
            .hint("keyrack vault log verify --witness")),
    }
}

/// The logs that lie in the vault's directory: whose, and of which device.
fn logs(shelf: &Shelf) -> Outcome<Vec<Log>> {
    let (store, place) = (&shelf.store, &shelf.place);
    let doing = || place.dir.join("audit").display().to_string();
    let mut logs = Vec::new();
    for folder in store.list("audit").context(doing)? {
        let Some(member) = folder.strip_suffix('/').and_then(|id| id.parse::<MemberId>().ok())
        else {
            continue;
        };
        for file in store.list(&format!("audit/{member}")).context(doing)? {
            let device = file.strip_suffix(".log").and_then(|id| id.parse::<DeviceId>().ok());
            logs.extend(device.map(|device| Log {
                dir: place.dir.clone(),
                vault: place.id,
                member,
                device,
            }));
        }
    }
    logs.sort_by_key(|log| (log.member, log.device));
    Ok(logs)
}

/// Everything in the order of its time, as its writers' clocks say it.
fn show(looking: &Look<'_, '_>, ui: &Ui) -> Outcome {
    let state = looking.vault.state();
    let mut rows = Vec::new();
    for link in looking.fail(history(&looking.shelf.store, looking.vault.chain()))? {
        let about = link.member.map_or(String::new(), |member| words::handle(state, &member));
        let by = words::handle(state, &link.author);
        rows.push((link.ts, [format!("{:.0}", link.ts), link.kind.to_string(), by, about]));
    }
    for log in logs(looking.shelf)? {
        let (path, file) = open(&log)?;
        for text in file.lines() {
            let text = text.context(|| path.display().to_string())?;
            // What is no act on a credential stands in the chain as well.
            let line = audit::read(&text).filter(|line| line.act.name.is_some());
            let Some(Line { ts, act, .. }) = line else { continue };
            let whose = act.of.filter(|of| *of != log.member);
            let whose = whose.map(|of| words::handle(state, &of));
            let name = act.name.map(|name| name.to_string());
            let what = [name, whose].into_iter().flatten().collect::<Vec<_>>().join(" of ");
            let by = words::handle(state, &log.member);
            rows.push((ts, [format!("{ts:.0}"), act.action, by, what]));
        }
    }
    rows.sort_by_key(|row| row.0);
    let rows: Vec<[String; 4]> = rows.into_iter().map(|(_, cells)| cells).collect();
    if ui.json {
        let acts: Vec<_> = rows
            .iter()
            .map(|[ts, action, by, what]| {
                serde_json::json!({ "ts": ts, "action": action, "by": by, "what": what })
            })
            .collect();
        return ui.object(&serde_json::json!({ "vault": looking.place.name, "acts": acts }));
    }
    ui.table(["TIME", "ACT", "BY", "WHAT"], &rows)
}

/// Logs that hold.
struct Found {
    logs: usize,
    lines: usize,
    /// Where they end that go further than the vault says.
    heads: BTreeMap<MemberId, BTreeMap<DeviceId, AuditHead>>,
}

impl Found {
    fn words(&self, place: &Place) -> String {
        let (lines, logs) = (counted(self.lines, "line"), counted(self.logs, "log"));
        format!("{}: {lines} in {logs}, each signed and following", place.name)
    }

    fn object(&self, place: &Place) -> serde_json::Value {
        serde_json::json!({
            "vault": place.name, "logs": self.logs, "lines": self.lines, "verified": true,
        })
    }
}

fn verify(vault: &Vault<'_>, shelf: &Shelf, settings: &Settings, ui: &Ui) -> Outcome<Found> {
    let state = vault.state();
    let keys = keys(vault, shelf)?;
    let (own, left) = acts::own(&shelf.place, *vault.me(), settings)?;
    let mut logs = logs(shelf)?;
    // One that is gone as a whole is missed as well: this device's, or one that was witnessed.
    // Through git come the notes, and no logs of others.
    let is_clone = Repository::of(&shelf.place.dir, false).ok().flatten().is_some();
    let witnessed = state.audit_heads.iter().filter(|_| !is_clone).flat_map(|(member, heads)| {
        heads.keys().map(|device| Log { member: *member, device: *device, ..own.clone() })
    });
    for log in left.is_some().then(|| own.clone()).into_iter().chain(witnessed) {
        if !logs.iter().any(|known| known.path() == log.path()) {
            logs.push(log);
        }
    }
    let mut found = Found { logs: logs.len(), lines: 0, heads: BTreeMap::new() };
    let mut broken = Vec::new();
    for log in &logs {
        let noted =
            state.audit_heads.get(&log.member).and_then(|heads| heads.get(&log.device)).cloned();
        let is_own = log.path() == own.path() && audit::lines(&left) > audit::lines(&noted);
        let seen = if is_own { &left } else { &noted };
        let none = Vec::new();
        let (path, file) = open(log)?;
        let keys = keys.get(&log.member).unwrap_or(&none);
        match audit::verify(log, file, keys, seen, |_| found.lines += 1) {
            Ok(Some(head)) if noted.is_none_or(|noted| noted.seq < head.seq) => {
                found.heads.entry(log.member).or_default().insert(log.device, head);
            }
            Ok(_) => {}
            Err(error) => {
                let whose = words::handle(state, &log.member);
                broken.push(format!("{whose}'s log {}: {error}", path.display()));
            }
        }
    }
    match &broken[..] {
        [] => Ok(found),
        [first, others @ ..] => {
            others.iter().for_each(|what| ui.warn(what));
            Err(Failure::new(Code::Tampered, first.clone()))
        }
    }
}

/// Verifies, and notes in the vault's chain where the logs end.
fn witness(which: Option<&str>, settings: &Settings, ui: &Ui) -> Outcome {
    let (found, noted, place) = change(which, settings, ui, |making| {
        let found = verify(making.vault, making.shelf, settings, ui)?;
        let last = making.vault.state().checkpoints.get(making.vault.me());
        // Whoever noted them lately waits: a chain is not to be filled with notes.
        let is_due =
            last.is_none_or(|last| making.vault.chain().seq() + 1 >= last + CHECKPOINT_EVERY);
        let noted = if is_due { found.heads.values().map(BTreeMap::len).sum() } else { 0 };
        if noted > 0 && !settings.dry_run {
            let done = making.vault.checkpoint(&found.heads, Timestamp::now());
            making.fail(done)?;
            making.note(acts::act("checkpoint"));
        }
        Ok((found, noted, making.place.clone()))
    })?;
    let mut object = found.object(&place);
    object["witnessed"] = noted.into();
    let words = match noted {
        0 => format!("{}; that was noted lately", found.words(&place)),
        _ => format!("{}; noted in the vault", found.words(&place)),
    };
    done(words, object, &place, settings, ui)
}

/// A log that is not there has no lines.
fn open(log: &Log) -> Outcome<(PathBuf, Box<dyn io::BufRead>)> {
    let path = log.path();
    match File::open(&path) {
        Ok(file) => Ok((path, Box::new(BufReader::new(file)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((path, Box::new(io::empty()))),
        Err(error) => Err(error).context(|| path.display().to_string()),
    }
}

/// Every key that a member ever signed with, by the chain.
fn keys(vault: &Vault<'_>, shelf: &Shelf) -> Outcome<BTreeMap<MemberId, Vec<PublicKey>>> {
    let mut keys: BTreeMap<MemberId, Vec<PublicKey>> = BTreeMap::new();
    for seq in 0..=vault.chain().seq() {
        let read = shelf.store.get(&names::link(seq), LARGEST_LINK);
        let bytes = read.context(|| shelf.place.dir.display().to_string())?.unwrap_or_default();
        // Verified when the vault was opened; what was put in its place since is no key.
        let expected = vault.chain().digests().get(seq as usize);
        let link = Signed::split(&bytes).ok().filter(|link| Some(&link.digest()) == expected);
        let Some(link) = link.and_then(|link| link.read::<Link>().ok()) else { continue };
        for member in link.state.members {
            let known = keys.entry(member.member_id).or_default();
            if !known.contains(&member.sig_key) {
                known.push(member.sig_key);
            }
        }
    }
    Ok(keys)
}
