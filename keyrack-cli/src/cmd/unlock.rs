//! `keyrack unlock`: decrypts in the foreground, hands the values to the owner's daemon,
//! and lets the calling process tree read them. One bad entry never hides the others.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use keyrack_manifest::Entry;
use keyrack_names::{Owner, Slug};
use keyrack_protocol::message::{Grant, Process};
use serde::Serialize;

use crate::anchor::Anchor;
use crate::args::Unlock;
use crate::error::{Code, Failure, Outcome};
use crate::grant::Capability;
use crate::notify::Manager;
use crate::opened::{self, Opened};
use crate::pending::{self, Waiting};
use crate::push::{self, Unlocked};
use crate::settings::Settings;
use crate::ui::Ui;
use crate::wanted::Selection;
use crate::{access, drops, level, tree, values, when};

const DEFAULT: Duration = Duration::from_secs(9 * 3600);
const SUDO: Duration = Duration::from_secs(30 * 60);

/// Runs `keyrack unlock`.
pub fn run(args: &Unlock, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    if args.key.is_empty() && args.env.as_ref().is_some_and(|env| env.is_sudo()) {
        return Err(Failure::new(Code::Usage, "sudo is only ever unlocked key by key")
            .hint(format!("keyrack unlock --for {owner} --env sudo --key KEY")));
    }
    let anchor = Anchor::of_unlock(&args.lasting, settings)?;
    let manager = args.notify.then(|| Manager::find(settings)).transpose()?;
    let begun = Begun::new(settings, owner).ending_with(anchor);
    let mut opened = opened::open(settings, ui, owner)?;
    drops::merge(&mut opened, settings, ui, args.accept_drops)?;
    let granted = grant(&begun, &mut opened, args, settings, ui);
    match manager {
        Some(manager) if holds_something(&granted) => manager.hand_over(settings, owner)?,
        _ => {}
    }
    granted
}

fn holds_something(granted: &Outcome) -> bool {
    granted.as_ref().map_or_else(|failure| failure.code == Code::Partly, |()| true)
}

/// An unlock that has begun: what is noted before a person is asked anything, so that a
/// relock in between is not undone.
#[derive(Debug)]
pub struct Begun {
    waiting: Waiting,
    generation: Option<u64>,
    /// The process that the daemon ends with which was there.
    ends_with: Option<Process>,
    /// The process that all of it is to end with.
    anchor: Option<Anchor>,
    /// How long each may be granted at most.
    left: BTreeMap<Slug, Duration>,
}

impl Begun {
    /// Notes it.
    pub fn new(settings: &Settings, owner: &Owner) -> Self {
        let waiting = Waiting::begin(settings, owner, pending::TICKET);
        let status = access::bare_status(settings, owner).ok();
        let generation = status.as_ref().map(|status| status.generation);
        let ends_with = status.and_then(|status| status.ends_with);
        Self { waiting, generation, ends_with, anchor: None, left: BTreeMap::new() }
    }

    /// The same, for a daemon that ends with `anchor`.
    pub fn ending_with(self, anchor: Option<Anchor>) -> Self {
        Self { anchor, ..self }
    }

    /// The same, where these are granted no longer than they had left.
    pub fn no_longer_than(self, left: BTreeMap<Slug, Duration>) -> Self {
        Self { left, ..self }
    }

    /// The process that what is granted will end with.
    fn end(&self) -> Option<&Process> {
        self.anchor.as_ref().map(|anchor| &anchor.process).or(self.ends_with.as_ref())
    }
}

/// Grants from a manifest that is open, and reports.
///
/// # Errors
/// By what every credential that was asked for became.
pub fn grant(
    begun: &Begun,
    opened: &mut Opened,
    args: &Unlock,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let selection = Selection { keys: &args.key, env: args.env.as_ref(), org: args.org.as_ref() };
    let mut lines = decide(begun, opened, &selection, args, settings);
    // What another writer replaced while it was read is not tampering.
    if lines.iter().any(|line| line.code() == Code::Tampered) && opened.refresh(settings)? {
        lines = decide(begun, opened, &selection, args, settings);
    }
    let owner = &opened.owner;
    if settings.dry_run {
        let words: Vec<String> = lines
            .iter()
            .map(|line| format!("{owner}: {} (nothing was done)", line.words()))
            .collect();
        ui.would(words.join("\n"), object(owner, &lines, None))?;
        return ended(opened, &lines, true, settings);
    }
    if begun.waiting.was_called_off() {
        return Err(push::relocked(owner));
    }
    let (lines, given) = hand_over(opened, lines, begun, args, settings, ui)?;
    // Called off between the look and the push: locking wins.
    if begun.waiting.was_called_off() {
        super::relock::in_silence(owner, settings)?;
        return Err(push::relocked(owner));
    }
    report(opened, &selection, &lines, begun.end(), ui)?;
    ended(opened, &lines, given || args.reach.no_keyring, settings)
}

/// What became of one credential.
struct Line {
    /// The slug, or what was asked for where there is none.
    name: String,
    result: Outcome<Granted>,
}

struct Granted {
    /// Taken out when it is handed to the daemon.
    grant: Option<Grant>,
    span: Duration,
}

impl Line {
    fn code(&self) -> Code {
        self.result.as_ref().map_or_else(|failure| failure.code, |_| Code::Ok)
    }

    fn words(&self) -> String {
        match &self.result {
            Ok(granted) => format!("{} granted for {}", self.name, when::short(granted.span)),
            Err(failure) => failure.message.clone(),
        }
    }
}

/// Every credential that is meant, with its value or why there is none.
fn decide(
    begun: &Begun,
    opened: &Opened,
    selection: &Selection<'_>,
    args: &Unlock,
    settings: &Settings,
) -> Vec<Line> {
    let now = Timestamp::now();
    let asked = args.duration.or(settings.duration).map(|lifetime| lifetime.duration());
    let mut vault = None;
    let mut lines: Vec<Line> = Vec::new();
    for entry in opened.manifest.keys.values().filter(|entry| selection.takes(&entry.slug)) {
        let asked = begun.left.get(&entry.slug).copied().or(asked);
        let result = span(entry, asked, now).and_then(|span| {
            let vault = match &vault {
                Some(vault) => vault,
                None => vault.insert(values::open_personal(&opened.manifest, settings)?),
            };
            let value = values::value(entry, vault, &opened.manifest)?;
            let grant = Grant {
                slug: entry.slug.clone(),
                value,
                ttl_ms: push::millis(span),
                self_proof: entry.vault.is_personal(),
                vault: entry.vault.to_string(),
                class: entry.class.to_string(),
            };
            Ok(Granted { grant: Some(grant), span })
        });
        lines.push(Line { name: entry.slug.to_string(), result });
    }
    lines.extend(missing(opened, selection));
    lines
}

/// A line for each thing that was asked for by name and is not there.
fn missing(opened: &Opened, selection: &Selection<'_>) -> Vec<Line> {
    let owner = &opened.owner;
    let absent = |name: String, hint: String| {
        let failure = Failure::new(Code::Absent, format!("{owner} has no {name}")).hint(hint);
        Line { name, result: Err(failure) }
    };
    let slugs = || opened.manifest.keys.keys();
    let env = selection.env.map(|env| format!(" --env {env}")).unwrap_or_default();
    if selection.keys.is_empty()
        && !selection.is_everything()
        && !slugs().any(|slug| selection.takes(slug))
    {
        let env = selection.env.map_or("any env".to_owned(), |env| format!("env {env}"));
        return vec![absent(format!("credential in {env}"), format!("keyrack list --for {owner}"))];
    }
    let unanswered =
        selection.keys.iter().filter(|key| !slugs().any(|slug| selection.key_takes(key, slug)));
    unanswered
        .map(|key| absent(key.to_string(), format!("keyrack set --for {owner} --key {key}{env}")))
        .collect()
}

/// How long to grant an entry: as asked, and never past what it allows itself.
fn span(entry: &Entry, asked: Option<Duration>, now: Timestamp) -> Outcome<Duration> {
    let limit = if entry.slug.env.is_sudo() { SUDO } else { DEFAULT };
    let mut span = asked.unwrap_or(limit).min(limit);
    if let Some(longest) = entry.max_duration {
        span = span.min(longest.duration());
    }
    if let Some(end) = entry.expires_at {
        let left = Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO);
        if left.is_zero() {
            return Err(Failure::new(
                Code::Locked,
                format!("{} itself expired at {end:.0}", entry.slug),
            ));
        }
        span = span.min(left);
    }
    Ok(span)
}

/// Starts the daemon where none lives, pushes, and lets the caller read. Returns whether
/// anybody was given a capability.
fn hand_over(
    opened: &Opened,
    mut lines: Vec<Line>,
    begun: &Begun,
    args: &Unlock,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<(Vec<Line>, bool)> {
    let grants: Vec<Grant> =
        lines.iter_mut().filter_map(|line| line.result.as_mut().ok()?.grant.take()).collect();
    if grants.is_empty() {
        return Ok((lines, true));
    }
    let rack = opened.rack();
    let mut session = rack.attach_or_start(begun.anchor.as_ref(), settings, ui)?;
    let capability = Capability::new(&args.reach, &mut session, settings)?;
    let unlocked = Unlocked {
        generation: begun.generation,
        grants,
        known: opened.manifest.keys.keys().cloned().collect(),
        capability: capability.registration(&opened.owner, rack.id),
        ends_with: begun.anchor.as_ref().map(|anchor| anchor.process.clone()),
    };
    push::unlocked(&mut session, &opened.owner, unlocked)?;
    let entry = tree::Entry {
        owner: opened.owner.clone(),
        rack: rack.id,
        home: settings.home_tag(),
        socket: session.path().to_owned(),
    };
    let given = capability.hand_over(entry, ui)?;
    Ok((lines, given))
}

/// One line a credential, asked for or found.
fn report(
    opened: &Opened,
    selection: &Selection<'_>,
    lines: &[Line],
    end: Option<&Process>,
    ui: &Ui,
) -> Outcome {
    let owner = &opened.owner;
    if ui.json {
        return ui.object(&object(owner, lines, end));
    }
    // One that failed alone is what the command ends with.
    let several = lines.iter().filter(|line| line.result.is_err()).count() > 1;
    for line in lines {
        match line.result {
            Ok(_) => ui.say(format!("{owner}: {}", line.words())),
            Err(_) if several => ui.warn(format!("{owner}: {}", line.words())),
            Err(_) => {}
        }
    }
    if let Some(end) = end.filter(|_| lines.iter().any(|line| line.result.is_ok())) {
        ui.say(format!("{owner}: all of it ends with {end}"));
    }
    if lines.is_empty() && selection.is_everything() {
        ui.say(format!("{owner}: there is nothing to unlock"));
        ui.hint(format!("keyrack set --for {owner} --key KEY"));
    }
    Ok(())
}

/// The report for a program.
fn object(owner: &Owner, lines: &[Line], end: Option<&Process>) -> serde_json::Value {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        slug: &'a str,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
    }
    let row = |line: &'_ Line| match &line.result {
        Ok(granted) => serde_json::json!(Row {
            slug: &line.name,
            status: "granted",
            expires_in_ms: Some(push::millis(granted.span)),
            why: None,
        }),
        Err(failure) => serde_json::json!(Row {
            slug: &line.name,
            status: "failed",
            expires_in_ms: None,
            why: Some(&failure.message),
        }),
    };
    let rows: Vec<serde_json::Value> = lines.iter().map(row).collect();
    let mut object = serde_json::json!({ "owner": owner, "keys": rows });
    if let Some(end) = end {
        object["endsWith"] = serde_json::json!(end);
    }
    object
}

/// How the command ends: by what every credential that was asked for became.
fn ended(opened: &Opened, lines: &[Line], given: bool, settings: &Settings) -> Outcome {
    let owner = &opened.owner;
    match Code::of_batch(lines.iter().map(Line::code)) {
        Code::Ok => {}
        code => {
            let bad: Vec<&Line> = lines.iter().filter(|line| line.result.is_err()).collect();
            let first = bad.iter().find_map(|line| line.result.as_ref().err());
            let hints = first.map(|failure| failure.hints.clone()).unwrap_or_default();
            let message = match (bad.as_slice(), first) {
                ([_], Some(failure)) => failure.message.clone(),
                _ => format!("{owner}: {} of {} could not be granted", bad.len(), lines.len()),
            };
            return Err(Failure { code, message, hints });
        }
    }
    let served = given
        || (opened.manifest.self_proof == keyrack_manifest::OnOff::On
            && level::key_needs_no_person(settings, owner));
    if served {
        return Ok(());
    }
    Err(Failure::new(
        Code::Partly,
        format!("{owner} is unlocked, but the calling program has no capability to read"),
    )
    .hint(format!("keyrack unlock --for {owner}, run plainly in the shell that is to read"))
    .hint(format!("keyrack exec --for {owner} -- PROGRAM")))
}
