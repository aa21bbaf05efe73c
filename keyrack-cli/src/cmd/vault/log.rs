//! `keyrack vault log`: what the chain and the audit logs say was done, and whether the logs
//! still are what was written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;

use keyrack_manifest::signed::Signed;
use keyrack_manifest::{DeviceId, MemberId, PublicKey};
use keyrack_vault::audit::{self, Line, Log};
use keyrack_vault::{AuditHead, Link, VaultStore, history, names};

use crate::args::{LogAct, VaultLog};
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::{Look, look};
use crate::team::{acts, words};

/// Largest link, in bytes.
const LARGEST_LINK: u64 = 1 << 20;

/// Runs `keyrack vault log`.
pub fn run(args: &VaultLog, settings: &Settings, ui: &Ui) -> Outcome {
    look(args.which.vault.as_deref(), settings, ui, |looking| match args.act {
        LogAct::Show => show(looking, ui),
        LogAct::Verify => verify(looking, settings, ui),
    })
}

/// The logs that lie in the vault's directory: whose, and of which device.
fn logs(looking: &Look<'_, '_>) -> Outcome<Vec<Log>> {
    let store = &looking.shelf.store;
    let doing = || looking.place.dir.join("audit").display().to_string();
    let mut logs = Vec::new();
    for folder in store.list("audit").context(doing)? {
        let Some(member) = folder.strip_suffix('/').and_then(|id| id.parse::<MemberId>().ok())
        else {
            continue;
        };
        for file in store.list(&format!("audit/{member}")).context(doing)? {
            let device = file.strip_suffix(".log").and_then(|id| id.parse::<DeviceId>().ok());
            logs.extend(device.map(|device| Log {
                dir: looking.place.dir.clone(),
                vault: looking.place.id,
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
    for log in logs(looking)? {
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

fn verify(looking: &Look<'_, '_>, settings: &Settings, ui: &Ui) -> Outcome {
    let state = looking.vault.state();
    let keys = keys(looking)?;
    let (own, left) = acts::own(looking.place, *looking.vault.me(), settings)?;
    let mut logs = logs(looking)?;
    // One that is gone as a whole is missed as well.
    if left.is_some() && !logs.iter().any(|log| log.path() == own.path()) {
        logs.push(own.clone());
    }
    let mut lines = 0;
    let mut broken = Vec::new();
    for log in &logs {
        let mut seen: Option<AuditHead> =
            state.audit_heads.get(&log.member).and_then(|heads| heads.get(&log.device)).cloned();
        if log.path() == own.path() && audit::lines(&left) > audit::lines(&seen) {
            seen.clone_from(&left);
        }
        let none = Vec::new();
        let (path, file) = open(log)?;
        let checked =
            audit::verify(log, file, keys.get(&log.member).unwrap_or(&none), &seen, |_| lines += 1);
        if let Err(error) = checked {
            let whose = words::handle(state, &log.member);
            broken.push(format!("{whose}'s log {}: {error}", path.display()));
        }
    }
    let name = &looking.place.name;
    if let [first, others @ ..] = &broken[..] {
        others.iter().for_each(|what| ui.warn(what));
        return Err(Failure::new(Code::Tampered, first.clone()));
    }
    let object =
        serde_json::json!({ "vault": name, "logs": logs.len(), "lines": lines, "verified": true });
    ui.done(
        format!("{name}: {lines} lines in {} logs, each signed and following", logs.len()),
        object,
    )
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
fn keys(looking: &Look<'_, '_>) -> Outcome<BTreeMap<MemberId, Vec<PublicKey>>> {
    let mut keys: BTreeMap<MemberId, Vec<PublicKey>> = BTreeMap::new();
    for seq in 0..=looking.vault.chain().seq() {
        let read = looking.shelf.store.get(&names::link(seq), LARGEST_LINK);
        let bytes = read.context(|| looking.place.dir.display().to_string())?.unwrap_or_default();
        // Verified when the vault was opened; what was put in its place since is no key.
        let expected = looking.vault.chain().digests().get(seq as usize);
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
