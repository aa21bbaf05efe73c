//! `keyrack identity`: who an owner is to its teams. The card holds no secret; whoever is
//! given it compares its fingerprint.

use keyrack_manifest::SignedCard;
use serde_json::json;

use crate::args::IdentityAct;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::words;

/// Runs `keyrack identity`.
pub fn run(act: &IdentityAct, settings: &Settings, ui: &Ui) -> Outcome {
    let signed = card(settings, ui)?;
    match act {
        IdentityAct::Show(_) => show(&signed, settings, ui),
        IdentityAct::Card(_) if ui.json => {
            let text = String::from_utf8_lossy(&signed.bytes).into_owned();
            ui.object(&json!({ "card": text, "fingerprint": signed.fingerprint() }))
        }
        IdentityAct::Card(_) => ui.payload(&signed.bytes),
        IdentityAct::Fingerprint(_) if ui.json => {
            ui.object(&json!({ "fingerprint": signed.fingerprint(), "spoken": signed.spoken() }))
        }
        IdentityAct::Fingerprint(_) => ui.lines([signed.fingerprint(), signed.spoken()]),
    }
}

/// The owner's card: the one that lies there, or one issued by opening the manifest. What a
/// provisioner made up is no identity.
fn card(settings: &Settings, ui: &Ui) -> Outcome<SignedCard> {
    let owner = settings.owner()?;
    let there = || opened::store(settings).card(owner).map_err(|error| words::store(error, owner));
    if let Some(card) = there()?
        && !opened::is_provisional(settings, owner)
    {
        return Ok(card);
    }
    let mut opened = opened::open(settings, ui, owner)?;
    if there()?.is_none() {
        opened.update(settings, |_| Ok(()))?;
    }
    there()?.ok_or_else(|| {
        let handle = &opened.manifest.owner.handle;
        let path = settings.places.card(handle);
        let message =
            format!("the handle {handle} is another's: {} is not {owner}'s", path.display());
        Failure::new(Code::Conflict, message)
    })
}

fn show(signed: &SignedCard, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let card = &signed.card;
    let member = opened::pin(settings, owner)?.map(|pin| pin.member.to_string());
    let member = member.unwrap_or_default();
    if ui.json {
        return ui.object(&json!({
            "owner": owner,
            "handle": card.handle,
            "member": member,
            "fingerprint": signed.fingerprint(),
            "sigKey": card.sig_key.to_string(),
            "recipients": card.recipients,
        }));
    }
    let row = |name: &str, value: String| [name.to_owned(), value];
    let mut rows = vec![
        row("handle", card.handle.to_string()),
        row("member", member),
        row("fingerprint", signed.fingerprint()),
        row("signs with", card.sig_key.to_string()),
    ];
    rows.extend(card.recipients.iter().map(|one| row("opens with", one.as_str().to_owned())));
    ui.table(["WHAT", "IS"], &rows)
}
