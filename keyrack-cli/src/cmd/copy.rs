//! `keyrack copy`: gives a credential of one owner to another, by a drop that says where
//! it came from.

use std::time::Duration;

use jiff::Timestamp;
use keyrack_manifest::{Entry, VaultName};
use keyrack_names::{Ask, Secret, Slug};

use crate::args::{Copy, when};
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::owner::values;
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::rack::{access, answer};
use crate::settings::Settings;
use crate::words;

/// Runs `keyrack copy`.
pub fn run(args: &Copy, settings: &Settings, ui: &Ui) -> Outcome {
    if args.from == args.to {
        return Err(Failure::new(Code::Usage, "--from and --to are the same owner"));
    }
    let recipients = opened::pinned_recipients(settings, &args.to);
    if recipients.is_empty() {
        return Err(words::absent(&args.to, &settings.places.manifest(&args.to)));
    }
    let slug = wanted::slug(&args.at)?;
    if settings.dry_run {
        let object = serde_json::json!({ "owner": args.to, "slug": slug, "pending": true });
        let words = format!("{slug} would be copied from {} to {}", args.from, args.to);
        return ui.would(words, object);
    }
    let (value, entry) = read(args, &slug, settings, ui)?;
    let payload = super::set::payload(&args.to, entry, &value, Some(args.from.clone()), settings)?;
    super::set::leave(&payload, &recipients, settings, ui)
}

/// The value and what is to be said of it: from the giver's manifest where that opens without
/// a person, from its daemon where it is unlocked, else with a person.
fn read(args: &Copy, slug: &Slug, settings: &Settings, ui: &Ui) -> Outcome<(Secret, Entry)> {
    let silently = opened::opened_without_person(settings, &args.from);
    if let Some(from) = silently.filter(|from| from.manifest.keys.contains_key(slug)) {
        return of_manifest(from, slug, settings);
    }
    match of_daemon(args, slug, settings, ui) {
        Some(held) => Ok(held),
        None => of_manifest(opened::open(settings, ui, &args.from)?, slug, settings),
    }
}

fn of_manifest(mut from: Opened, slug: &Slug, settings: &Settings) -> Outcome<(Secret, Entry)> {
    let value = values::personal(&mut from, settings, slug)?;
    let mut entry = Entry::new(slug.clone(), VaultName::personal(), Timestamp::now());
    if let Some(given) = from.manifest.keys.get(slug) {
        entry.class = given.class;
        entry.expires_at = given.expires_at;
        entry.max_duration = given.max_duration;
    }
    Ok((value, entry))
}

/// What is unlocked is for as long as it is unlocked: when the credential itself ends, the
/// daemon cannot say.
fn of_daemon(args: &Copy, slug: &Slug, settings: &Settings, ui: &Ui) -> Option<(Secret, Entry)> {
    let (owner, ask) = (&args.from, Ask::exactly(slug.clone()));
    let held = access::get(settings, owner, std::slice::from_ref(&ask)).ok()?.pop()?;
    let granted = answer::granted(owner, &ask, held).ok()?;
    let status = access::status(settings, owner).ok()?;
    let seen = status.grants.into_iter().find(|grant| grant.slug == *slug)?;
    let (now, rest) = (Timestamp::now(), Duration::from_millis(granted.expires_in_ms));
    let mut entry = Entry::new(slug.clone(), VaultName::personal(), now);
    entry.class = seen.class.parse().ok()?;
    entry.expires_at = Some(now.checked_add(rest).ok()?);
    ui.say(format!(
        "{}: {slug} ends in {}, with what is unlocked for {owner}",
        args.to,
        when::short(rest)
    ));
    Some((granted.value, entry))
}
