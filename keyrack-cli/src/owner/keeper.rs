//! An owner whose identity is kept in another owner's vault: one passphrase opens the
//! robots, and no key lies about.

use jiff::Timestamp;
use keyrack_manifest::{Entry, Identity, VaultName, generate};
use keyrack_names::{Ask, Env, KeyName, Org, Owner, Secret, Slug};

use crate::error::{Code, Failure, Outcome};
use crate::owner::keysource::Key;
use crate::owner::opened;
use crate::owner::values::{self, NewValue};
use crate::person::ui::Ui;
use crate::rack::{access, answer};
use crate::settings::Settings;
use crate::words;

/// What the keeper calls the identity of `owner`: never delivered into an environment,
/// since no `KEYRACK_…` is.
///
/// # Errors
/// Never for a name that is an owner's; the signature says what the parser says.
pub fn slug(owner: &Owner) -> Outcome<Slug> {
    // Letters and digits stand for themselves, the rest as _ and two hex digits, so that no
    // two owners share a name.
    let escaped: String = owner
        .as_str()
        .bytes()
        .map(|c| {
            if c.is_ascii_alphanumeric() { char::from(c).to_string() } else { format!("_{c:02X}") }
        })
        .collect();
    let key: KeyName = format!("KEYRACK_IDENTITY_{escaped}")
        .parse()
        .map_err(|e: keyrack_names::NameError| Failure::new(Code::Unexpected, e.to_string()))?;
    Ok(Slug::new(Org::all(), Env::all(), key))
}

/// The key of an owner whose identity `keeper` keeps: made now, if there is none.
///
/// # Errors
/// As opening the keeper's manifest.
pub fn key(settings: &Settings, ui: &Ui, owner: &Owner, keeper: &Owner) -> Outcome<Key> {
    if owner == keeper {
        return Err(Failure::new(Code::Usage, format!("{owner} cannot keep its own identity")));
    }
    if let Some(pin) =
        opened::pin(settings, owner)?.filter(|pin| pin.kept_by.as_ref() == Some(keeper))
        && let Some(recipient) = pin.recipients.into_iter().next()
    {
        return Ok(Key::found(recipient, None));
    }
    let slug = slug(owner)?;
    let mut kept = opened::open(settings, ui, keeper)?;
    if kept.manifest.keys.contains_key(&slug) {
        let identity = Identity::from_text(&values::personal(&mut kept, settings, &slug)?);
        let public = identity.ok().and_then(|identity| identity.publics().first().cloned());
        let recipient = public.ok_or_else(|| damaged(keeper, owner))?;
        return Ok(Key::found(recipient, None));
    }
    let (text, recipient) = generate::age_text().map_err(|e| words::identity(e, owner))?;
    let now = Timestamp::now();
    kept.update(settings, |manifest| {
        let entry = Entry::new(slug.clone(), VaultName::personal(), now);
        values::put(manifest, settings, NewValue { slug: &slug, value: &text, entry }, now)
    })?;
    ui.say(format!("{owner}: its identity is kept in {keeper}'s vault, as {slug}"));
    Ok(Key::found(recipient, None))
}

/// The identity of `owner`, from `keeper`'s daemon where it is unlocked there, else from
/// its vault.
///
/// # Errors
/// As opening the keeper's manifest.
pub fn identity(settings: &Settings, ui: &Ui, owner: &Owner, keeper: &Owner) -> Outcome<Identity> {
    let slug = slug(owner)?;
    let value = match unlocked(settings, keeper, &slug) {
        Some(value) => value,
        None => {
            let mut kept = opened::open(settings, ui, keeper)?;
            values::personal(&mut kept, settings, &slug)?
        }
    };
    Identity::from_text(&value).map_err(|_| damaged(keeper, owner))
}

fn damaged(keeper: &Owner, owner: &Owner) -> Failure {
    Failure::new(Code::Tampered, format!("what {keeper} keeps as {owner}'s identity is not one"))
}

fn unlocked(settings: &Settings, keeper: &Owner, slug: &Slug) -> Option<Secret> {
    let ask = Ask::exactly(slug.clone());
    let answer = access::get(settings, keeper, std::slice::from_ref(&ask)).ok()?.pop()?;
    answer::granted(keeper, &ask, answer).ok().map(|granted| granted.value)
}
