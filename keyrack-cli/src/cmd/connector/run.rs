//! `keyrack connector run`: runs a connector with exactly what it was granted, in an
//! environment that is built and not inherited. A session that is missing is made first, by
//! the helper that the declaration names; one that the connector changed is kept.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use keyrack_manifest::{Class, Digest, Grant, atomic};
use keyrack_names::{Ask, KeyName, Secret, Slug};
use zeroize::Zeroizing;

use crate::args::ConnectorRun;
use crate::connector::declaration::{Credential, Form};
use crate::connector::environment::built;
use crate::connector::found::{self, Found};
use crate::connector::granted;
use crate::connector::keeper::{Keeper, Left};
use crate::connector::renewal::Renewal;
use crate::error::{Code, ExitStatus, Failure, Outcome};
use crate::exec::declared::Declared;
use crate::exec::launch::{self, Delivery, InFile, Launch, Place};
use crate::owner::{opened, values};
use crate::person::ui::Ui;
use crate::policy::Policy;
use crate::rack::{access, answer};
use crate::settings::{self, Settings};
use crate::system::sys;

/// Runs `keyrack connector run`.
pub fn run(args: &ConnectorRun, settings: &Settings, ui: &Ui) -> Outcome<ExitStatus> {
    let owner = settings.owner()?;
    args.interaction_fd.iter().for_each(|fd| sys::keep_from_programs(*fd));
    let grant = granted::current(owner, &args.which.id, &args.which.name(), settings)?;
    let found = found::granted(&grant, settings)?;
    let renewal = Renewal { owner, found: &found, grant: &grant, interaction: args.interaction_fd };
    let given = given(&found, &grant)?;
    let items = given.keys().map(|name| renewal.item(name)).collect::<Outcome<Vec<_>>>()?;
    let declared = Declared::Named(items);
    let program = args.command.first().map(|program| launch::name(program)).unwrap_or_default();
    if settings.dry_run {
        let words =
            format!("{owner}: {program} would be run as {} with {declared}", grant.connector);
        let object =
            serde_json::json!({ "owner": owner, "program": program, "with": declared.to_string() });
        return ui.would(words, object).map(|()| ExitStatus::SUCCESS);
    }
    let policy = Policy::read(settings)?;
    given.values().try_for_each(|one| policy.provides(one.credential.class))?;
    make_missing(&renewal, &given, settings, ui)?;
    let keeps = given.values().any(|one| keeps(one.credential));
    let launch = Launch {
        command: &args.command,
        declared,
        delivery: Delivery {
            named: given.values().map(|one| (one.slug.clone(), one.place.clone())).collect(),
            ask: args.broker,
            ..Delivery::default()
        },
        environment: built(settings::inherited(), &args.pass),
        isolation: &args.isolation,
        lasting: &args.lasting,
        redact: args.redact,
        format: None,
        as_files: format!("declare it with {{ as: file }} in {}", found.path.display()),
    };
    let stays = keeps && !args.broker;
    let keeper = stays.then(|| Keeper::begin(&renewal, settings, ui)).transpose()?;
    let ended = launch.run(owner, stays, settings, ui)?;
    if let Some(keeper) = keeper {
        let left = ended.given.iter().filter_map(|file| left(file, &given, ui));
        keeper.keep(&left.collect::<Vec<_>>());
    }
    Ok(ended.status)
}

/// What the connector is given under one name.
struct Given<'a> {
    slug: Slug,
    credential: &'a Credential,
    place: Place,
}

/// What the connector itself is given.
fn given<'a>(found: &'a Found, grant: &Grant) -> Outcome<BTreeMap<KeyName, Given<'a>>> {
    let mut given = BTreeMap::new();
    for (name, credential) in found.declaration.read_by(None) {
        let place =
            Place { name: credential.variable(name).clone(), file: credential.form == Form::File };
        if let Some(slug) = grant.credentials.get(name) {
            given.insert(name.clone(), Given { slug: slug.clone(), credential, place });
        }
    }
    if given.is_empty() {
        let message = format!("{} was granted nothing that is for itself", grant.connector);
        return Err(Failure::new(Code::Denied, message).hint(format!(
            "keyrack connector disclose {} --for {}",
            grant.connector, grant.owner
        )));
    }
    Ok(given)
}

/// Has made first what is not there, or has run out. What is optional is done without.
fn make_missing(
    renewal: &Renewal<'_>,
    given: &BTreeMap<KeyName, Given<'_>>,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let owner = renewal.owner;
    let is_held = |one: &Given<'_>| {
        let ask = Ask::exactly(one.slug.clone());
        let held = access::get(settings, owner, std::slice::from_ref(&ask));
        let held = held.ok().and_then(|mut all| all.pop());
        held.is_some_and(|held| answer::granted(owner, &ask, held).is_ok())
    };
    let renewed = given.values().filter(|one| one.credential.refresh.is_some() && !is_held(one));
    let renewed: Vec<&Given<'_>> = renewed.collect();
    if renewed.is_empty() {
        return Ok(());
    }
    // What is only locked is there: the manifest says so.
    let mut opened = opened::open(settings, ui, owner)?;
    let mut done = BTreeSet::new();
    for Given { slug, credential, .. } in renewed {
        let Some(helper) = &credential.refresh else { continue };
        let entry = opened.manifest.keys.get(slug);
        let lasts = entry.is_some_and(|e| e.expires_at.is_none_or(|end| end > Timestamp::now()));
        if lasts || !done.insert(helper) {
            continue;
        }
        match renewal.by(helper.as_str(), &mut opened, settings, ui) {
            Ok(new) => new.slugs.iter().for_each(|slug| ui.say(format!("{owner}: {slug} is new"))),
            Err(failure) if credential.optional => ui.warn(failure.message),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Whether what the connector leaves in its file is its next session.
fn keeps(credential: &Credential) -> bool {
    credential.class == Class::Session && credential.form == Form::File
}

/// What the connector left in the file of a session, where it changed it.
fn left(file: &InFile, given: &BTreeMap<KeyName, Given<'_>>, ui: &Ui) -> Option<Left> {
    let (name, _) = given.iter().find(|(_, one)| one.slug == file.slug && keeps(one.credential))?;
    let mut bytes = match atomic::read_shared(&file.path, values::LONGEST as u64) {
        Ok(bytes) => Zeroizing::new(bytes?),
        Err(error) => {
            ui.warn(format!("{name} is not kept as the connector left it: {}", error.source));
            return None;
        }
    };
    let is_new = !bytes.is_empty() && Digest::of(&bytes) != file.was;
    let value = Secret::new(std::mem::take(&mut *bytes));
    is_new.then(|| Left { name: name.clone(), was: file.was, value })
}
