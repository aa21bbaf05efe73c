//! `keyrack unlock`: decrypts in the foreground, hands the values to the owner's daemon,
//! and lets the calling process tree read them. One bad entry never hides the others.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use keyrack_manifest::Entry;
use keyrack_names::{Owner, Slug};
use keyrack_protocol::message::{Grant, Process};

use crate::args::Unlock;
use crate::args::when;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::owner::{drops, values};
use crate::person::pending::{self, Waiting};
use crate::person::ui::Ui;
use crate::project::wanted::Selection;
use crate::rack::anchor::Anchor;
use crate::rack::grant::Capability;
use crate::rack::notify::Manager;
use crate::rack::push::{self, Unlocked};
use crate::rack::{access, sleeping};
use crate::settings::Settings;
use crate::team::Shelf;
use crate::team::offered::{Offer, Offered};
use crate::tree;

mod report;
mod shared;

use report::{ended, object, report};

const DEFAULT: Duration = Duration::from_secs(9 * 3600);
const SUDO: Duration = Duration::from_secs(30 * 60);

/// Runs `keyrack unlock`.
pub fn run(args: &Unlock, settings: &Settings, ui: &Ui) -> Outcome {
    let owners = match settings.owners() {
        [owner] => return one(owner, args, settings, ui),
        owners => owners,
    };
    if ui.json || args.reach.tree.is_some() {
        return Err(Failure::new(Code::Usage, "--json and --tree are for one --for"));
    }
    let mut failures = Vec::new();
    for (at, owner) in owners.iter().enumerate() {
        ui.progress(at, owners.len());
        failures.extend(one(owner, args, settings, ui).err());
    }
    Failure::of_batch(failures, owners.len(), ui)
}

fn one(owner: &Owner, args: &Unlock, settings: &Settings, ui: &Ui) -> Outcome {
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
    let shelves = Shelf::all(&opened.manifest, settings);
    let offered = Offered::open(&shelves, opened, settings);
    let mut lines = decide(begun, opened, &offered, &selection, args, settings);
    // What another writer replaced while it was read is not tampering.
    if lines.iter().any(|line| line.code() == Code::Tampered) && opened.refresh(settings)? {
        lines = decide(begun, opened, &offered, &selection, args, settings);
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
    shared::log(&mut lines, &offered, opened, settings, ui);
    let known = shared::known(opened, &offered);
    let (lines, given) = hand_over(opened, lines, known, begun, args, settings, ui)?;
    shared::forget_lost(&offered, settings);
    shared::forget_gone(&offered, opened, settings);
    // Called off between the look and the push: locking wins.
    if begun.waiting.was_called_off() {
        super::relock::in_silence(owner, settings)?;
        return Err(push::relocked(owner));
    }
    catch_up(opened, settings, ui)?;
    shared::catch_up(&lines, &offered, opened, settings, ui);
    report(opened, &selection, &lines, begun.end(), ui)?;
    ended(opened, &lines, given || args.reach.no_keyring, settings)
}

/// A `set` or `del` between the look and the push found nothing in the daemon to replace or to
/// forget: what it did is done there now. One that comes later finds it.
fn catch_up(opened: &mut Opened, settings: &Settings, ui: &Ui) -> Outcome {
    loop {
        let before = opened.manifest.keys.clone();
        if !opened.refresh(settings)? {
            return Ok(());
        }
        for (slug, entry) in before.iter().filter(|(_, entry)| entry.vault.is_personal()) {
            match opened.manifest.keys.get(slug).cloned() {
                Some(now) if now == *entry => {}
                Some(now) if now.vault.is_personal() => {
                    let value = values::personal(opened, settings, slug)?;
                    push::replace(opened, &now, &value, settings, ui);
                }
                _ => push::forget(opened, slug, settings),
            }
        }
        push::known(opened, settings);
    }
}

/// What became of one credential.
struct Line<'v> {
    /// The slug, or what was asked for where there is none.
    name: String,
    result: Outcome<Granted>,
    /// Where it comes from, if that is a vault that others are members of.
    offer: Option<Offer<'v>>,
}

struct Granted {
    /// Taken out when it is handed to the daemon.
    grant: Option<Grant>,
    span: Duration,
}

impl Line<'_> {
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
fn decide<'v>(
    begun: &Begun,
    opened: &Opened,
    offered: &'v Offered<'_>,
    selection: &Selection<'_>,
    args: &Unlock,
    settings: &Settings,
) -> Vec<Line<'v>> {
    let now = Timestamp::now();
    let asked = args.duration.or(settings.duration).map(|lifetime| lifetime.duration());
    let asked = |slug: &Slug| begun.left.get(slug).copied().or(asked);
    let mut vault = None;
    let mut lines: Vec<Line<'v>> = Vec::new();
    let meant =
        |entry: &&Entry| selection.takes(&entry.slug) && !offered.is_ours(entry, &opened.manifest);
    for entry in opened.manifest.keys.values().filter(meant) {
        let result = span(entry, asked(&entry.slug), now).and_then(|span| {
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
        lines.push(Line { name: entry.slug.to_string(), result, offer: None });
    }
    lines.extend(shared::decide(opened, offered, selection, asked, now));
    lines.extend(missing(opened, offered, selection));
    lines
}

/// A line for each thing that was asked for by name and is not there.
fn missing<'v>(opened: &Opened, offered: &Offered<'_>, selection: &Selection<'_>) -> Vec<Line<'v>> {
    let owner = &opened.owner;
    let line = |name, failure| Line { name, result: Err(failure), offer: None };
    let absent = |name: String, hint: String| {
        let failure = Failure::new(Code::Absent, format!("{owner} has no {name}")).hint(hint);
        line(name, failure)
    };
    let known = shared::known(opened, offered);
    let slugs = || known.iter();
    let env = selection.env.map(|env| format!(" --env {env}")).unwrap_or_default();
    if selection.keys.is_empty()
        && !selection.is_everything()
        && !slugs().any(|slug| selection.takes(slug))
    {
        let env = selection.env.map_or("any env".to_owned(), |env| format!("env {env}"));
        return vec![absent(format!("credential in {env}"), format!("keyrack list --for {owner}"))];
    }
    if let Some(closed) = shared::closed(offered, selection, &known) {
        return closed;
    }
    let unanswered =
        selection.keys.iter().filter(|key| !slugs().any(|slug| selection.key_takes(key, slug)));
    let answered = unanswered.map(|key| match slugs().find(|slug| key.names(slug)) {
        Some(slug) => {
            let failure = Failure::new(Code::Absent, format!("{owner} has {key} only as {slug}"))
                .hint(format!("keyrack unlock --for {owner} --key {slug}"));
            line(key.to_string(), failure)
        }
        None => absent(key.to_string(), format!("keyrack set --for {owner} --key {key}{env}")),
    });
    answered.collect()
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
fn hand_over<'v>(
    opened: &Opened,
    mut lines: Vec<Line<'v>>,
    known: Vec<Slug>,
    begun: &Begun,
    args: &Unlock,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<(Vec<Line<'v>>, bool)> {
    let grants: Vec<Grant> =
        lines.iter_mut().filter_map(|line| line.result.as_mut().ok()?.grant.take()).collect();
    if grants.is_empty() {
        return Ok((lines, true));
    }
    let rack = opened.rack();
    let mut session = rack.attach_or_start(begun.anchor.as_ref(), settings, ui)?;
    let capability = Capability::new(&args.reach, &mut session, &rack, settings)?;
    let registration = capability.registration(&opened.owner, rack.id);
    let unlocked = Unlocked {
        generation: begun.generation,
        grants,
        known,
        capability: registration.clone(),
        ends_with: begun.anchor.as_ref().map(|anchor| anchor.process.clone()),
    };
    push::unlocked(&mut session, &opened.owner, unlocked)?;
    let entry = tree::Entry {
        owner: opened.owner.clone(),
        rack: rack.id,
        home: settings.home_tag(),
        socket: session.path().to_owned(),
    };
    let given = capability.hand_over(
        entry,
        &mut session,
        || report::serves_itself(opened, settings),
        ui,
    )?;
    if let Some(registration) = registration.filter(|_| given) {
        sleeping::remember(settings, &rack, &registration);
    }
    Ok((lines, given))
}
