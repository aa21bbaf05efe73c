//! Drops: values left for an owner whose manifest cannot be opened now, and their merging
//! when it is.

use jiff::Timestamp;
use keyrack_manifest::{
    Auth, DropId, DropPayload, Entry, Identity, Manifest, Merged, OpenedDrop, Recipient, VaultName,
    Word, drop,
};
use keyrack_names::{Ask, Owner};
use keyrack_protocol::keys::drop_mac;
use keyrack_protocol::message::{Reply, Request};

use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::owner::provisioner;
use crate::owner::values::{self, NewValue};
use crate::person::ui::Ui;
use crate::rack::access;
use crate::settings::Settings;

/// Leaves a drop for `payload`'s owner, vouched for by the owner's daemon where this tree
/// may ask it, else by this host's provisioner key where there is one.
///
/// # Errors
/// When it cannot be sealed or written.
pub fn leave(
    payload: &DropPayload,
    recipients: &[Recipient],
    settings: &Settings,
) -> Outcome<bool> {
    let failed = |e: drop::DropError| Failure::new(Code::Unexpected, e.to_string());
    let unsealed = payload.fix().map_err(failed)?;
    let auth = match daemon_mac(settings, &payload.owner, &unsealed.digest().to_string()) {
        Some(mac) => Auth::Mac(mac),
        None => match provisioner::key(settings)? {
            Some(key) => unsealed.sign(&key),
            None => Auth::None,
        },
    };
    unsealed.leave(&settings.places, recipients, &auth).map_err(failed)?;
    Ok(auth != Auth::None)
}

fn daemon_mac(settings: &Settings, owner: &Owner, digest: &str) -> Option<String> {
    let mut session = access::by_own_capability(settings, owner)?;
    match session.call(&Request::SealDrop { digest: digest.to_owned() }).ok()? {
        Reply::Sealed { mac } => Some(mac),
        _ => None,
    }
}

/// The drops that wait for `owner` and open with `identity`, oldest first. What cannot be
/// read is named and left where it is.
pub fn waiting(
    settings: &Settings,
    owner: &Owner,
    identity: &Identity,
    ui: &Ui,
) -> Outcome<Vec<OpenedDrop>> {
    let ids = drop::pending(&settings.places, owner).context(|| format!("{owner}'s drops"))?;
    let mut drops = Vec::new();
    for id in ids {
        match OpenedDrop::read(&settings.places, owner, &id, identity) {
            Ok(Some(drop)) => drops.push(drop),
            Ok(None) => {}
            Err(error) => ui.warn(format!("{owner}: {error}; it is left where it is")),
        }
    }
    drops.sort_by_key(|drop| drop.payload.created);
    Ok(drops)
}

/// Merges what waits for the owner, as far as it may be believed or a person agrees.
///
/// # Errors
/// When the manifest cannot be written.
pub fn merge(opened: &mut Opened, settings: &Settings, ui: &Ui, accept: bool) -> Outcome {
    let owner = opened.owner.clone();
    let drops = waiting(settings, &owner, &opened.identity, ui)?;
    let mut believed = Vec::new();
    let mut doubted = 0;
    for drop in drops {
        match judge(&drop, &opened.manifest) {
            Verdict::Replayed => {
                let _ = drop::consume(&settings.places, &owner, &drop.payload.id);
            }
            Verdict::Believe => believed.push(drop),
            Verdict::Ask(_) if accept => believed.push(drop),
            Verdict::Ask(why) => match asked(&drop, why, ui) {
                Some(true) => believed.push(drop),
                Some(false) => {
                    let _ = drop::consume(&settings.places, &owner, &drop.payload.id);
                    ui.say(format!("{owner}: the drop for {} was thrown away", drop.payload.slug));
                }
                None => {
                    doubted += 1;
                    ui.warn(format!("{owner}: a drop for {} waits: {why}", drop.payload.slug));
                }
            },
        }
    }
    if doubted > 0 {
        ui.hint(format!("keyrack unlock --for {owner} --accept-drops"));
    }
    if believed.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now();
    opened.update(settings, |manifest| {
        manifest.forget_drops(now);
        believed.iter().try_for_each(|drop| take(drop, manifest, settings, now))
    })?;
    for drop in &believed {
        ui.say(format!("{owner}: {} merged from a drop", drop.payload.slug));
    }
    consume(&opened.manifest, settings);
    Ok(())
}

/// Merges everything that waits into a manifest whose maker is believed this once, after
/// `found` made the vault to put it in.
///
/// # Errors
/// When a value cannot be written.
pub fn merge_provisional(
    manifest: &mut Manifest,
    settings: &Settings,
    identity: &Identity,
    ui: &Ui,
    now: Timestamp,
    found: impl FnOnce(&mut Manifest) -> Outcome,
) -> Outcome {
    found(manifest)?;
    for drop in waiting(settings, &manifest.owner.name.clone(), identity, ui)? {
        take(&drop, manifest, settings, now)?;
        ui.say(format!("{}: {} merged from a drop", manifest.owner.name, drop.payload.slug));
    }
    Ok(())
}

/// Removes the files of drops that `manifest` remembers as merged.
pub fn consume(manifest: &Manifest, settings: &Settings) {
    let owner = &manifest.owner.name;
    let ids: Vec<DropId> = drop::pending(&settings.places, owner).unwrap_or_default();
    for id in ids.iter().filter(|id| manifest.dropped.contains(id)) {
        let _ = drop::consume(&settings.places, owner, id);
    }
}

/// Whether a drop may be merged without asking.
enum Verdict {
    Believe,
    Replayed,
    Ask(&'static str),
}

fn judge(dropped: &OpenedDrop, manifest: &Manifest) -> Verdict {
    match manifest.has_merged(&dropped.payload.id, dropped.payload.created) {
        Merged::Yes => return Verdict::Replayed,
        Merged::Perhaps => {
            return Verdict::Ask(
                "it may have been merged before: it is as old as drops that are forgotten",
            );
        }
        Merged::No => {}
    }
    if let Auth::Mac(mac) = &dropped.auth {
        let rack = opened::rack(&manifest.owner.name, manifest);
        let expected = drop_mac(&rack.secret.drop_key(), dropped.digest.as_bytes());
        if *mac == hex::lower::encode_string(&expected) {
            return Verdict::Believe;
        }
        return Verdict::Ask("it was vouched for by another session's daemon");
    }
    let slug = &dropped.payload.slug;
    match &manifest.provisioner {
        Some(pinned) if dropped.signed_by(&pinned.sig_key) => {
            if pinned.slugs.contains(slug) || !changes_a_lookup(dropped, manifest) {
                Verdict::Believe
            } else {
                Verdict::Ask("it would replace what somebody else set")
            }
        }
        _ => Verdict::Ask("nobody this manifest knows vouches for it"),
    }
}

/// Whether an ask that is answered now would be answered otherwise after the merge.
fn changes_a_lookup(dropped: &OpenedDrop, manifest: &Manifest) -> bool {
    let slug = &dropped.payload.slug;
    let ask = Ask {
        org: slug.org.clone(),
        env: Some(slug.env.clone()),
        key: slug.key.clone(),
        exact: false,
    };
    ask.find(|s| manifest.keys.contains_key(s), manifest.keys.keys()).is_ok()
}

fn asked(dropped: &OpenedDrop, why: &str, ui: &Ui) -> Option<bool> {
    let slug = &dropped.payload.slug;
    let from = dropped
        .payload
        .copied_from
        .as_ref()
        .map(|o| format!(", copied from {o}"))
        .unwrap_or_default();
    ui.asker.has_person().then(|| {
        ui.asker.agrees(&format!("merge the drop for {slug}{from}? {why}.")).unwrap_or(false)
    })
}

fn take(
    dropped: &OpenedDrop,
    manifest: &mut Manifest,
    settings: &Settings,
    now: Timestamp,
) -> Outcome {
    let payload = &dropped.payload;
    // Merged by somebody else since it was judged.
    if manifest.dropped.contains(&payload.id) {
        return Ok(());
    }
    let old = manifest.keys.get(&payload.slug);
    let mut entry = Entry::new(payload.slug.clone(), VaultName::personal(), now);
    entry.class = payload.class;
    entry.expires_at = payload.expires_at;
    entry.max_duration = payload.max_duration;
    entry.obtained_via = origin(payload);
    if let Some(old) = old {
        entry.created_at = old.created_at;
        entry.max_duration = payload.max_duration.or(old.max_duration);
    }
    values::put(
        manifest,
        settings,
        NewValue { slug: &payload.slug, value: &payload.value, entry },
        now,
    )?;
    manifest.remember_drop(payload.id, payload.created);
    if let Some(pinned) = &mut manifest.provisioner
        && dropped.signed_by(&pinned.sig_key)
    {
        pinned.slugs.insert(payload.slug.clone());
    }
    Ok(())
}

/// `drop`, or `copy.<owner>` where it was copied.
fn origin(payload: &DropPayload) -> Word {
    let text = match &payload.copied_from {
        Some(owner) => format!("copy.{owner}"),
        None => "drop".to_owned(),
    };
    text.parse().unwrap_or_else(|_| Word::user())
}
