//! `keyrack attach`: a capability for this process tree, for what is unlocked.

use keyrack_protocol::client::ClientError;
use keyrack_protocol::message::{Reply, Request};

use crate::args::Attach;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened;
use crate::person::ui::Ui;
use crate::rack::grant::Capability;
use crate::rack::{access, daemon, sleeping};
use crate::settings::Settings;
use crate::tree;

/// Runs `keyrack attach`.
pub fn run(args: &Attach, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let opened = opened::open(settings, ui, owner)?;
    let rack = opened.rack();
    let mut session = rack.attach(settings).map_err(|error| match error {
        ClientError::NotRunning => access::locked(settings, owner),
        error => daemon::failure(&error, owner),
    })?;
    let object = serde_json::json!({ "owner": owner, "given": true });
    if settings.dry_run {
        return ui.would(format!("{owner}: a capability would be given"), object);
    }
    let capability = Capability::new(&args.reach, &mut session, &rack, settings)?;
    let registration = capability.registration(owner, rack.id);
    if let Some(capability) = registration.clone() {
        let request = Request::Mint { capability, slugs: None };
        match session.call(&request).map_err(|e| daemon::failure(&e, owner))? {
            Reply::Done { .. } => {}
            Reply::Refused { message, .. } => {
                return Err(Failure::new(Code::Denied, format!("{owner}: {message}")));
            }
            _ => {
                return Err(Failure::new(
                    Code::Unreachable,
                    format!("{owner}'s daemon answered something else"),
                ));
            }
        }
    }
    let entry = tree::Entry {
        owner: owner.clone(),
        rack: rack.id,
        home: settings.home_tag(),
        socket: session.path().to_owned(),
    };
    if capability.hand_over(entry, &mut session, || false, ui)? {
        registration.iter().for_each(|given| sleeping::remember(settings, &rack, given));
        return if ui.json { ui.object(&object) } else { Ok(()) };
    }
    Err(Failure::new(Code::Denied, format!("{owner}: the calling program was given no capability"))
        .hint(format!("eval \"$(keyrack attach --for {owner} --scope env)\"")))
}
