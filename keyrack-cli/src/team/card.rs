//! The card that somebody is invited or let in by, once a person compared its fingerprint.

use std::path::Path;

use jiff::Timestamp;
use keyrack_manifest::{Card, SignedCard, atomic, card::LARGEST};
use keyrack_names::Owner;

use crate::bounded;
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::system::streams::Stdin;
use crate::words as store_words;

/// Reads the card of `handle`: from `file`, else the one that lies in this home.
///
/// # Errors
/// [`Code::Absent`] when there is none; [`Code::Tampered`] when it is none;
/// [`Code::Conflict`] when it is somebody else's.
pub fn read(handle: &Owner, file: Option<&Path>, settings: &Settings) -> Outcome<SignedCard> {
    let (bytes, name) = match file {
        Some(path) if path == Path::new("-") => {
            let bytes = bounded::bytes(Stdin, LARGEST, "stdin")?;
            (Some(bytes.to_vec()), "stdin".to_owned())
        }
        Some(path) => {
            let name = path.display().to_string();
            (atomic::read_limited(path, LARGEST).context(|| name.clone())?, name)
        }
        None => {
            let path = settings.places.card(handle);
            let name = path.display().to_string();
            (atomic::read_limited(&path, LARGEST).context(|| name.clone())?, name)
        }
    };
    let bytes = bytes.ok_or_else(|| {
        Failure::new(Code::Absent, format!("there is no card of {handle}: {name} does not exist"))
            .hint(format!("ask {handle} for what this prints: keyrack identity card"))
            .hint("or invite with --one-time-code")
    })?;
    let signed = Card::read(&bytes)
        .map_err(|error| Failure::new(Code::Tampered, format!("{name} is no card: {error}")))?;
    if signed.card.handle != *handle {
        let message = format!("{name} is the card of {}, not of {handle}", signed.card.handle);
        return Err(Failure::new(Code::Conflict, message));
    }
    Ok(signed)
}

/// The owner's own card, as its manifest is now: the one that lies there, else a new one.
///
/// # Errors
/// When it cannot be read.
pub fn own(opened: &Opened, settings: &Settings) -> Outcome<SignedCard> {
    let owner = &opened.owner;
    let there = opened::store(settings).card(owner).map_err(|e| store_words::store(e, owner))?;
    if let Some(card) = there {
        return Ok(card);
    }
    let manifest = &opened.manifest;
    let key = &manifest.signing.key;
    Card::issue(&manifest.owner.handle, key, &manifest.all_recipients(), Timestamp::now())
        .context(|| format!("{owner}'s card"))
}

/// Has a person compare the card's fingerprint with the one its owner reads aloud, or
/// compares it with the one that was given. Never trusted in silence.
///
/// # Errors
/// [`Code::NeedsPerson`] when nobody is there; [`Code::Tampered`] when it is another.
pub fn compare(signed: &SignedCard, given: Option<&str>, ui: &Ui) -> Outcome {
    let handle = &signed.card.handle;
    if let Some(given) = given {
        if is_same(signed, given) {
            return Ok(());
        }
        let message =
            format!("the card of {handle} is another: its fingerprint is {}", signed.fingerprint());
        return Err(Failure::new(Code::Tampered, message)
            .hint(format!("ask {handle} to read this to you: keyrack identity fingerprint"))
            .hint(
                "if it is another than the card's still, the card is not its: ask for a new one",
            ));
    }
    ui.warn(format!("{handle} shows {}", signed.fingerprint()));
    ui.warn(format!("in groups: {}", signed.spoken()));
    let question = format!("is this what {handle} read to you?");
    let agreed = ui.asker.agrees(&question).map_err(|failure| Failure {
        hints: vec!["add --fingerprint SHA256:… as its owner read it to you".to_owned()],
        ..failure
    })?;
    if agreed {
        return Ok(());
    }
    Err(Failure::new(Code::NeedsPerson, format!("{handle} was not let in")))
}

/// Whether a fingerprint, or the groups of it, is the card's.
fn is_same(signed: &SignedCard, given: &str) -> bool {
    let groups: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    given.trim() == signed.fingerprint()
        || groups.to_ascii_lowercase() == signed.spoken().replace(' ', "")
}

#[cfg(test)]
mod tests {
    use keyrack_manifest::SigningKey;

    use super::*;

    #[test]
    fn a_fingerprint_is_the_same_as_its_groups_and_nothing_less() {
        let key = SigningKey::generate().unwrap();
        let handle = "bob".parse().unwrap();
        let card = Card::issue(&handle, &key, &[], jiff::Timestamp::UNIX_EPOCH).unwrap();
        let (fingerprint, spoken) = (card.fingerprint(), card.spoken());
        for same in [fingerprint.clone(), spoken.clone(), spoken.replace(' ', "").to_uppercase()] {
            assert!(is_same(&card, &same), "{same}");
        }
        for other in ["", "SHA256:", &fingerprint[..20], &spoken[..9], &fingerprint.to_lowercase()]
        {
            assert!(!is_same(&card, other), "{other}");
        }
    }
}
