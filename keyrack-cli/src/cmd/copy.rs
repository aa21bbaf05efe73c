//! `keyrack copy`: gives a credential of one owner to another, by a drop that says where
//! it came from.

use jiff::Timestamp;
use keyrack_manifest::{Entry, VaultName};
use keyrack_names::Secret;

use crate::args::Copy;
use crate::error::{Code, Failure, Outcome};
use crate::owner::{opened, values};
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
    let (value, class) = read(args, &slug, settings, ui)?;
    let mut entry = Entry::new(slug, VaultName::personal(), Timestamp::now());
    entry.class = class;
    let payload = super::set::payload(&args.to, entry, &value, Some(args.from.clone()), settings)?;
    super::set::leave(&payload, &recipients, settings, ui)
}

/// The value and its class, from the giver's daemon where it is unlocked, else from its
/// vault.
fn read(
    args: &Copy,
    slug: &keyrack_names::Slug,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<(Secret, keyrack_manifest::Class)> {
    let ask = keyrack_names::Ask::exactly(slug.clone());
    let held = access::get(settings, &args.from, std::slice::from_ref(&ask))
        .ok()
        .and_then(|mut all| all.pop());
    if let Some(granted) = held.and_then(|held| answer::granted(&args.from, &ask, held).ok()) {
        return Ok((granted.value, held_class(settings, args, slug)));
    }
    let mut from = opened::open(settings, ui, &args.from)?;
    let value = values::personal(&mut from, settings, slug)?;
    let class = from.manifest.keys.get(slug).map(|entry| entry.class).unwrap_or_default();
    Ok((value, class))
}

/// The class that the giver's daemon holds the value under.
fn held_class(
    settings: &Settings,
    args: &Copy,
    slug: &keyrack_names::Slug,
) -> keyrack_manifest::Class {
    let status = access::status(settings, &args.from).ok();
    let held =
        status.and_then(|status| status.grants.into_iter().find(|grant| grant.slug == *slug));
    held.and_then(|grant| grant.class.parse().ok()).unwrap_or_default()
}
