//! The part of an unlock that comes from vaults with several members: what is offered there,
//! for how long their rules let it be held, and the line that is on disk before it is released.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use keyrack_manifest::CredId;
use keyrack_names::{Secret, Slug};
use keyrack_protocol::message::{Forget, Grant, Reply, Request};
use keyrack_vault::Seen;

use super::{Granted, Line, span};
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::Opened;
use crate::person::ui::Ui;
use crate::project::wanted::Selection;
use crate::rack::push;
use crate::settings::Settings;
use crate::team::offered::{Offer, Offered};
use crate::team::{Place, Shelf, daemons};

/// Every credential that is meant and offered; and every vault that does not open, where
/// nothing in particular was asked for.
pub fn decide<'v>(
    opened: &Opened,
    offered: &'v Offered<'_>,
    selection: &Selection<'_>,
    asked: impl Fn(&Slug) -> Option<Duration>,
    now: Timestamp,
) -> Vec<Line<'v>> {
    let all = offered.all(&opened.manifest).into_iter();
    let mut lines: Vec<Line<'v>> = all
        .filter(|(slug, _)| selection.takes(slug))
        .map(|(slug, offer)| {
            let granted =
                offer.clone().and_then(|offer| granted(offered, offer, asked(&slug), now));
            Line { name: slug.to_string(), result: granted, offer: offer.ok() }
        })
        .collect();
    if selection.keys.is_empty() {
        lines.extend(closed_lines(offered));
    }
    lines
}

fn granted(
    offered: &Offered<'_>,
    offer: Offer<'_>,
    asked: Option<Duration>,
    now: Timestamp,
) -> Outcome<Granted> {
    let entry = offered.entry(offer);
    let span = span(&entry, asked, now)?;
    let span = offered.longest(offer).map_or(span, |longest| span.min(longest));
    let grant = Grant {
        slug: entry.slug.clone(),
        value: offered.value(offer)?,
        ttl_ms: push::millis(span),
        // The manifest carries the vault's keys: who opens it opens this, and nothing else.
        self_proof: true,
        vault: entry.vault.to_string(),
        class: entry.class.to_string(),
    };
    Ok(Granted { grant: Some(grant), span })
}

/// Where a key is asked for that is nowhere: perhaps it is in a vault that does not open.
pub fn closed<'v>(
    offered: &Offered<'_>,
    selection: &Selection<'_>,
    known: &[Slug],
) -> Option<Vec<Line<'v>>> {
    let has = |key| known.iter().any(|slug| selection.key_takes(key, slug));
    let all_there = selection.keys.iter().all(has);
    (!all_there && !offered.closed.is_empty()).then(|| closed_lines(offered).collect())
}

fn closed_lines<'v>(offered: &Offered<'_>) -> impl Iterator<Item = Line<'v>> {
    offered.closed.iter().map(|(place, failure)| Line {
        name: place.name.to_string(),
        result: Err(failure.clone()),
        offer: None,
    })
}

/// Writes down what is about to be released. What is somebody else's, and has no line, is
/// not released.
pub fn log(
    lines: &mut [Line<'_>],
    offered: &Offered<'_>,
    opened: &Opened,
    settings: &Settings,
    ui: &Ui,
) {
    let at: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].result.is_ok() && lines[*at].offer.is_some())
        .collect();
    let offers: Vec<Offer<'_>> = at.iter().filter_map(|at| lines[*at].offer).collect();
    let mut told: Option<Failure> = None;
    for (at, logged) in at.into_iter().zip(offered.log(&offers, opened, settings)) {
        let Err(failure) = logged else { continue };
        if lines[at].offer.is_some_and(|offer| offered.is_cross(offer)) {
            lines[at].result = Err(failure);
        } else if told.as_ref() != Some(&failure) {
            ui.warn(&failure.message);
            told = Some(failure);
        }
    }
}

/// A credential of a vault as the daemon was given it.
struct Pushed {
    slug: Slug,
    place: Place,
    cred: CredId,
    version: u64,
}

impl Pushed {
    fn of(offered: &Offered<'_>, offer: Offer<'_>) -> Self {
        let record = offer.record;
        let place = offered.place(offer).clone();
        Self { slug: record.name.clone(), place, cred: record.cred_id, version: record.version }
    }

    /// Whether this device wrote a newer version since.
    fn is_old(&self, seen: Option<&Seen>) -> bool {
        let newest = seen.and_then(|seen| seen.records.get(&self.cred));
        newest.is_some_and(|newest| newest.version > self.version)
    }
}

/// Has the daemon hold what was set in a vault between the look and the push, and forget what
/// was deleted.
pub fn catch_up(
    lines: &[Line<'_>],
    offered: &Offered<'_>,
    opened: &mut Opened,
    settings: &Settings,
    ui: &Ui,
) {
    let granted = lines.iter().filter(|line| line.result.is_ok()).filter_map(|line| line.offer);
    let mut pushed: Vec<Pushed> = granted.map(|offer| Pushed::of(offered, offer)).collect();
    loop {
        let mut seen = BTreeMap::new();
        pushed.retain(|one| {
            let read = || one.place.seen(settings).ok().flatten();
            one.is_old(seen.entry(one.place.id).or_insert_with(read).as_ref())
        });
        if pushed.is_empty() {
            return;
        }
        let shelves = Shelf::all(&opened.manifest, settings);
        let now = Offered::open(&shelves, opened, settings);
        let all = now.all(&opened.manifest);
        pushed = pushed
            .into_iter()
            .filter_map(|old| {
                let offer = all.get(&old.slug).and_then(|offer| offer.clone().ok());
                let new =
                    offer.and_then(|offer| Some((offer, released(&now, offer, opened, settings)?)));
                let Some((offer, value)) = new else {
                    push::forget(opened, &old.slug, settings);
                    return None;
                };
                push::replace(opened, &now.entry(offer), &value, settings, ui);
                Some(Pushed::of(&now, offer))
            })
            .collect();
    }
}

/// A value with its line on disk.
fn released(
    offered: &Offered<'_>,
    offer: Offer<'_>,
    opened: &Opened,
    settings: &Settings,
) -> Option<Secret> {
    let logged = offered.log(&[offer], opened, settings).into_iter().all(|line| line.is_ok());
    (logged || !offered.is_cross(offer)).then(|| offered.value(offer).ok())?
}

/// Has the daemon forget what it holds of vaults that the owner was removed from.
pub fn forget_lost(offered: &Offered<'_>, settings: &Settings) {
    for (place, _) in offered.closed.iter().filter(|(_, why)| why.code == Code::Denied) {
        daemons::drop_vault(&place.owner, &place.id, settings);
    }
}

/// Has the daemon forget what it holds of a vault that has it no more for this owner: deleted,
/// or taken back. Best effort, as a daemon that does not answer holds it no longer than that.
pub fn forget_gone(offered: &Offered<'_>, opened: &Opened, settings: &Settings) {
    if offered.is_empty() {
        return;
    }
    let Ok(mut session) = opened.rack().attach(settings) else { return };
    let Ok(Reply::Status(status)) = session.call(&Request::Status) else { return };
    let held = status.grants.into_iter();
    let gone = held.filter(|held| offered.is_gone(&held.vault, &held.slug)).map(|held| held.slug);
    let slugs: Vec<Slug> = gone.collect();
    if !slugs.is_empty() {
        let _ = session.call(&Request::Forget(Forget { slugs, ..Forget::default() }));
    }
}

/// Every name that the owner has, in the manifest and in its vaults.
pub fn known(opened: &Opened, offered: &Offered<'_>) -> Vec<Slug> {
    let mut known: Vec<Slug> = offered.all(&opened.manifest).into_keys().collect();
    known.extend(opened.manifest.keys.keys().cloned());
    known.sort();
    known.dedup();
    known
}
