//! `keyrack recipient`: who besides the owner can open a manifest. The manifest and every
//! wrap are sealed anew; a key that is removed is treated as compromised.

use jiff::Timestamp;
use keyrack_manifest::{BackupError, Manifest, Recipient, Word};
use keyrack_names::Owner;
use serde::Serialize;

use crate::args::{RecipientAct, RecipientAdd};
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::owner::{keysource, renew, values};
use crate::person::ui::Ui;
use crate::rack::audit_log;
use crate::settings::Settings;
use crate::team::rekey;

/// Runs `keyrack recipient`.
pub fn run(act: &RecipientAct, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let opened = opened::open(settings, ui, owner)?;
    match act {
        RecipientAct::List(_) => list(&opened, ui),
        RecipientAct::Add(with) => add(&with.own, opened, settings, ui),
        RecipientAct::Remove(with) => remove(&with.own.recipient, opened, settings, ui),
    }
}

fn list(opened: &Opened, ui: &Ui) -> Outcome {
    #[derive(Serialize)]
    struct Row<'a> {
        label: &'a str,
        via: String,
        recipient: &'a str,
        fingerprint: String,
    }
    let backups =
        opened.manifest.recipients.iter().map(|backup| (backup.label.as_str(), &backup.recipient));
    let rows: Vec<Row> = std::iter::once(("owner", &opened.manifest.owner.pubkey))
        .chain(backups)
        .map(|(label, recipient)| Row {
            label,
            via: recipient.via().to_string(),
            recipient: recipient.as_str(),
            fingerprint: recipient.fingerprint(),
        })
        .collect();
    if ui.json {
        return ui.object(&serde_json::json!({ "owner": opened.owner, "recipients": rows }));
    }
    let cells: Vec<[String; 4]> = rows
        .into_iter()
        .map(|row| [row.label.to_owned(), row.via, row.fingerprint, row.recipient.to_owned()])
        .collect();
    ui.table(["LABEL", "VIA", "FINGERPRINT", "RECIPIENT"], &cells)
}

fn add(args: &RecipientAdd, mut opened: Opened, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = opened.owner.clone();
    let recipient = keysource::read(&args.recipient)?.recipient;
    let fingerprint = recipient.fingerprint();
    let object = |added: bool, label: Option<&Word>| {
        let label = label.map(Word::as_str);
        serde_json::json!({ "owner": owner, "added": added, "label": label, "fingerprint": fingerprint })
    };
    if opened.manifest.all_recipients().iter().any(|have| have.same_key(&recipient)) {
        let words = format!("{owner}: {fingerprint} can open the manifest already");
        return ui.done(words, object(false, None));
    }
    let label = label(args.label.as_deref(), &opened.manifest)?;
    if settings.dry_run {
        let words = format!("{owner}: {fingerprint} would be added as {label}");
        return ui.would(words, object(true, Some(&label)));
    }
    let now = Timestamp::now();
    opened.update(settings, |manifest| {
        manifest
            .add_backup(label.clone(), recipient.clone(), now)
            .map_err(|e| refused(e, &owner))?;
        renew::rewrap(manifest, settings, now)
    })?;
    rekey::reseal(&mut opened, settings, ui);
    let words = format!("{owner}: {fingerprint} can open the manifest now, as {label}");
    ui.done(words, object(true, Some(&label)))
}

fn remove(which: &str, mut opened: Opened, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = opened.owner.clone();
    let wanted = Recipient::parse(which).ok();
    let is_meant = |label: &str, recipient: &Recipient| {
        label == which
            || recipient.fingerprint() == which
            || wanted.as_ref().is_some_and(|wanted| wanted.same_key(recipient))
    };
    let found =
        opened.manifest.recipients.iter().find(|b| is_meant(b.label.as_str(), &b.recipient));
    let who = match found {
        Some(backup) => Who::Backup(backup.label.clone()),
        None if is_meant("owner", &opened.manifest.owner.pubkey) => Who::Owner,
        None => {
            let message = format!("{owner}'s manifest has no such recipient");
            return Err(Failure::new(Code::Absent, message)
                .hint(format!("keyrack recipient list --for {owner}")));
        }
    };
    if matches!(who, Who::Owner) && opened.manifest.recipients.is_empty() {
        return Err(refused(BackupError::Last, &owner)
            .hint(format!("keyrack recipient add --for {owner} RECIPIENT")));
    }
    let label = who.label();
    let object = |exposed: &[String]| serde_json::json!({ "owner": owner, "removed": label, "exposed": exposed });
    if settings.dry_run {
        return ui.would(format!("{owner}: {label} would be removed"), object(&exposed(&opened)));
    }
    let stay: Vec<Recipient> = opened
        .manifest
        .all_recipients()
        .into_iter()
        .filter(|recipient| !who.is(recipient, &opened.manifest))
        .collect();
    rekey::begin(&opened, &stay, settings)?;
    // What runs now answers to the old rack secret, which the removed key knew.
    ui.say(super::relock::in_silence(&owner, settings)?.words(&owner));
    audit_log::close(settings, &owner, ui)?;
    let now = Timestamp::now();
    opened.update(settings, |manifest| {
        // Opened while the manifest still names the key that signed its records.
        let vault = values::open_personal(manifest, settings)?;
        match &who {
            Who::Backup(label) => manifest.remove_backup(label).map(drop),
            Who::Owner => manifest.promote_backup().map(drop),
        }
        .map_err(|e| refused(e, &owner))?;
        renew::replace(manifest, &vault, now)
    })?;
    rekey::finish(&mut opened, settings, Some(ui))?;
    // Who opened the manifest before it was replaced may have started a daemon since.
    super::relock::in_silence(&owner, settings)?;
    let exposed = exposed(&opened);
    ui.done(
        format!("{owner}: {label} is removed; the keys it knew are replaced"),
        object(&exposed),
    )?;
    if !exposed.is_empty() {
        ui.warn(format!(
            "{owner}: it could read these, so each needs a new value: {}",
            exposed.join(", ")
        ));
    }
    Ok(())
}

/// The slugs of all the values that a recipient could read.
fn exposed(opened: &Opened) -> Vec<String> {
    opened.manifest.keys.keys().map(ToString::to_string).collect()
}

/// Whose key is removed.
enum Who {
    /// The owner's own, lost or stolen: the first backup takes its place.
    Owner,
    /// A backup's.
    Backup(Word),
}

impl Who {
    /// Whether it is this recipient's.
    fn is(&self, recipient: &Recipient, manifest: &Manifest) -> bool {
        match self {
            Self::Owner => *recipient == manifest.owner.pubkey,
            Self::Backup(label) => {
                manifest.recipients.iter().any(|b| b.label == *label && b.recipient == *recipient)
            }
        }
    }

    fn label(&self) -> &str {
        match self {
            Self::Owner => "the owner's own key",
            Self::Backup(label) => label.as_str(),
        }
    }
}

/// The label asked for, or the next `backup-N`.
fn label(flag: Option<&str>, manifest: &Manifest) -> Outcome<Word> {
    let bad = |e: keyrack_manifest::WordError| Failure::new(Code::Usage, format!("--label: {e}"));
    if let Some(text) = flag {
        return match text {
            "owner" => Err(Failure::new(
                Code::Usage,
                "--label: owner is what the owner's own key is called",
            )),
            text => text.parse().map_err(bad),
        };
    }
    let taken = |label: &Word| manifest.recipients.iter().any(|backup| backup.label == *label);
    let mut numbered = (1..).map(|n| format!("backup-{n}").parse::<Word>());
    numbered
        .find(|label| label.as_ref().is_ok_and(|label| !taken(label)))
        .unwrap_or_else(|| "backup".parse())
        .map_err(bad)
}

fn refused(error: BackupError, owner: &Owner) -> Failure {
    let code = match error {
        BackupError::Known | BackupError::LabelTaken { .. } | BackupError::Last => Code::Conflict,
        BackupError::Unknown { .. } => Code::Absent,
        BackupError::Random(_) => Code::Unexpected,
    };
    Failure::new(code, format!("{owner}: {error}"))
}
