//! `keyrack set`: a value from a hidden prompt, stdin or a file, never from the command
//! line. Into the manifest where it opens; else as a sealed drop.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use jiff::Timestamp;
use keyrack_manifest::{DropId, DropPayload, Entry, Exid, Recipient, VaultName};
use keyrack_names::{Owner, Secret, Slug};

use crate::args::Set;
use crate::bounded;
use crate::cmd::vault::create;
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened::{self, Opened, Silent};
use crate::owner::values::{self, NewValue};
use crate::owner::{drops, keysource};
use crate::person::ui::Ui;
use crate::policy::Policy;
use crate::project::wanted;
use crate::rack::{access, push};
use crate::settings::Settings;
use crate::system::streams::Stdin;
use crate::team::Place;

mod shared;

/// Runs `keyrack set`.
pub fn run(args: &Set, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    if !args.value.is_empty() || args.value_flag.is_some() {
        return Err(Failure::new(
            Code::Usage,
            "a value on the command line is seen by every process and kept in the shell's history",
        )
        .hint(format!("keyrack set --for {owner} --key {} < FILE", args.at.key))
        .hint("or leave it out, and type it at the prompt"));
    }
    let slug = wanted::slug(&args.at)?;
    let vault = values::vault_name(args.vault.as_deref())?;
    let entry = entry(args, &slug, vault)?;
    Policy::read(settings)?.allows(entry.class)?;
    let entry = crate::team::default_vault::instead(entry, args, owner, settings)?;
    if !entry.vault.is_personal() {
        let opened = opened::open(settings, ui, owner)?;
        return match Place::named(&entry.vault, &opened.manifest, settings) {
            Some(place) => shared::set(args, entry, place.shelf(), opened, settings, ui),
            None => refer(with_item(args, entry, owner)?, opened, settings, ui),
        };
    }
    let way = Way::find(args, owner, settings, ui)?;
    if settings.dry_run {
        let pending = matches!(way, Way::Drop(..));
        let object = serde_json::json!({ "owner": owner, "slug": slug, "pending": pending });
        return ui.would(format!("{owner}: {slug} would be {}", way.words()), object);
    }
    let value = value(args, &slug, owner, ui)?;
    way.write(entry, &value, settings, ui)
}

/// What the manifest is to say of it.
fn entry(args: &Set, slug: &Slug, vault: VaultName) -> Outcome<Entry> {
    let now = Timestamp::now();
    let mut entry = Entry::new(slug.clone(), vault, now);
    entry.class = args.class.unwrap_or_default();
    entry.max_duration = args.max_duration;
    entry.expires_at = args.expires.map(|when| when.at(now));
    if entry.expires_at.is_some_and(|end| end <= now) {
        return Err(Failure::new(Code::Usage, "--expires: that time is over already"));
    }
    if entry.vault.is_personal() {
        if args.exid.is_some() {
            return Err(Failure::new(
                Code::Usage,
                "--exid names an item in another vault: it needs --vault",
            ));
        }
        return Ok(entry);
    }
    if let Some(exid) = &args.exid {
        entry.exid = Some(item(exid)?);
    }
    Ok(entry)
}

/// The same with the item that a backend calls it by, where none was named.
fn with_item(args: &Set, mut entry: Entry, owner: &Owner) -> Outcome<Entry> {
    if args.private {
        return Err(Failure::new(Code::Usage, "--private is for a vault with several members"));
    }
    if entry.exid.is_none() {
        // A vault's name that is mistyped would record it elsewhere, without its value.
        if !create::BACKENDS.contains(&entry.vault.as_str()) {
            let message = format!("{owner} is in no vault called {}", entry.vault);
            return Err(Failure::new(Code::Absent, message)
                .hint(format!("keyrack vault list --for {owner}"))
                .hint("or say with --exid which item it is in a vault service"));
        }
        entry.exid = Some(item(&usual_item(owner, &entry.slug))?);
    }
    Ok(entry)
}

/// What a backend calls a credential, where nothing else was said.
pub fn usual_item(owner: &Owner, slug: &Slug) -> String {
    format!("keyrack/{owner}/{slug}")
}

/// An item's name in a backend.
///
/// # Errors
/// [`Code::Usage`] when it cannot be one.
pub fn item(text: &str) -> Outcome<Exid> {
    text.parse().map_err(|e| Failure::new(Code::Usage, format!("--exid: {e}")))
}

/// Records where a value lives that is not ours to hold. None is read or written.
pub fn refer(entry: Entry, mut opened: Opened, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = opened.owner.clone();
    let (slug, vault) = (entry.slug.clone(), entry.vault.clone());
    let object = serde_json::json!({ "owner": owner, "slug": slug, "vault": vault });
    if settings.dry_run {
        return ui.would(format!("{owner}: {slug} would be recorded as living in {vault}"), object);
    }
    opened.update(settings, |manifest| {
        let created = manifest.keys.get(&slug).map(|old| old.created_at);
        manifest.keys.insert(
            slug.clone(),
            Entry { created_at: created.unwrap_or(entry.created_at), ..entry },
        );
        Ok(())
    })?;
    ui.done(format!("{owner}: {slug} is recorded as living in {vault}"), object)
}

/// How the value gets to its owner.
pub enum Way {
    /// Into the manifest.
    Manifest(Box<Opened>),
    /// Beside it, sealed to these.
    Drop(Owner, Vec<Recipient>),
}

impl Way {
    /// The manifest, where it opens without a person; where it does not and nothing is
    /// unlocked, the person is asked; else a drop.
    fn find(args: &Set, owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome<Self> {
        if let Some(key) = &args.pubkey {
            return Ok(Self::Drop(owner.clone(), vec![keysource::read(key)?.recipient]));
        }
        Self::to(owner, settings, ui)
    }

    /// As for `set` without `--pubkey`.
    ///
    /// # Errors
    /// When there is neither a key nor a recipient, or the key was refused.
    pub fn to(owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome<Self> {
        let no_key = match opened::silent_identity(settings, ui, owner) {
            Ok(identity) => {
                let opened = opened::open_with(settings, ui, owner, identity)?;
                return Ok(Self::Manifest(Box::new(opened)));
            }
            Err(Silent::Failed(failure)) => return Err(failure),
            Err(Silent::NeedsPerson(failure)) => {
                let unlocked =
                    access::bare_status(settings, owner).is_ok_and(|status| !status.locked);
                if !unlocked && ui.asker.has_answer() {
                    return Ok(Self::Manifest(Box::new(opened::open(settings, ui, owner)?)));
                }
                // What an age plugin holds may need nobody: only the plugin knows.
                if !unlocked
                    && opened::is_by_plugin(settings, owner)
                    && let Ok(opened) = opened::open(settings, ui, owner)
                {
                    return Ok(Self::Manifest(Box::new(opened)));
                }
                failure
            }
            Err(Silent::NoKey(failure)) => failure,
        };
        match opened::pinned_recipients(settings, owner) {
            recipients if recipients.is_empty() => Err(no_key),
            recipients => Ok(Self::Drop(owner.clone(), recipients)),
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Manifest(_) => "set",
            Self::Drop(..) => "left as a drop, until the owner's next unlock",
        }
    }

    /// Writes the value there, and into the running daemon what it holds of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(self, entry: Entry, value: &Secret, settings: &Settings, ui: &Ui) -> Outcome {
        match self {
            Self::Manifest(opened) => into_manifest(*opened, entry, value, settings, ui),
            Self::Drop(owner, recipients) => {
                let payload = payload(&owner, entry, value, None, settings)?;
                leave(&payload, &recipients, settings, ui)
            }
        }
    }
}

fn into_manifest(
    mut opened: Opened,
    entry: Entry,
    value: &Secret,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let slug = entry.slug.clone();
    let now = entry.updated_at;
    opened.update(settings, |manifest| {
        let created_at = manifest.keys.get(&slug).map_or(now, |old| old.created_at);
        let entry = Entry { created_at, ..entry.clone() };
        values::put(manifest, settings, NewValue { slug: &slug, value, entry }, now)
    })?;
    push::replace(&mut opened, &entry, value, settings, ui);
    let object = serde_json::json!({ "owner": opened.owner, "slug": slug, "pending": false });
    ui.done(format!("{}: {slug} is set", opened.owner), object)
}

/// What a drop of `entry` and `value` says.
///
/// # Errors
/// When no random numbers can be had.
pub fn payload(
    owner: &Owner,
    entry: Entry,
    value: &Secret,
    copied_from: Option<Owner>,
    settings: &Settings,
) -> Outcome<DropPayload> {
    Ok(DropPayload {
        v: 1,
        id: DropId::random().context(|| "random numbers".to_owned())?,
        owner: owner.clone(),
        rack: opened::pin(settings, owner)?.map(|pin| pin.rack_id),
        slug: entry.slug,
        value: value.clone(),
        class: entry.class,
        expires_at: entry.expires_at,
        max_duration: entry.max_duration,
        copied_from,
        created: entry.updated_at,
    })
}

/// Leaves a drop, and tells the running daemon where this tree may.
///
/// # Errors
/// When it cannot be sealed or written.
pub fn leave(
    payload: &DropPayload,
    recipients: &[Recipient],
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let (owner, slug) = (&payload.owner, &payload.slug);
    if payload.value.len() > values::LONGEST {
        return Err(values::too_long(payload.value.len()));
    }
    let vouched = drops::leave(payload, recipients, settings)?;
    let pushed = push::replace_by_capability(settings, owner, slug, &payload.value);
    let now = if pushed { "; its daemon has it already" } else { "" };
    let object = serde_json::json!({ "owner": owner, "slug": slug, "pending": true });
    ui.done(
        format!("{owner}: {slug} is left as a drop, until {owner}'s next unlock{now}"),
        object,
    )?;
    // A provisional manifest takes what comes; any other asks its owner.
    if !vouched && !opened::is_provisional(settings, owner) {
        ui.hint(format!("nobody vouches for it, so the owner is asked: keyrack unlock --for {owner} --accept-drops"));
    }
    Ok(())
}

/// The value: a file, a prompt on a terminal, else stdin.
pub fn value(args: &Set, slug: &Slug, owner: &Owner, ui: &Ui) -> Outcome<Secret> {
    let value = match args.from_file.as_deref() {
        Some(path) if path != Path::new("-") => {
            let file = File::open(path).context(|| path.display().to_string())?;
            read(file, &path.display().to_string())?
        }
        None if io::stdin().is_terminal() => {
            let asked = ui.asker.secret(&format!("value of {slug} for {owner}"))?;
            return asked.ok_or_else(|| Failure::new(Code::NeedsPerson, "no value was given"));
        }
        _ => read(Stdin, "stdin")?,
    };
    if args.trim {
        return Ok(values::trimmed(&value));
    }
    if value.is_empty() {
        ui.warn("the value is empty");
    }
    if value.expose().ends_with(b"\n") {
        ui.warn("the value ends in a newline, which is kept; --trim takes it off");
    }
    Ok(value)
}

fn read(from: impl Read, name: &str) -> Outcome<Secret> {
    let mut value = bounded::bytes(from, values::LONGEST as u64, name)?;
    Ok(Secret::new(std::mem::take(&mut *value)))
}
