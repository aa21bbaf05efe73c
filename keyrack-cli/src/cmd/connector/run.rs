//! `keyrack connector run`: runs a connector with exactly what it was granted, in an
//! environment that is built and not inherited. A session that is missing is made first, by
//! the helper that the declaration names; one that the connector changed is kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyrack_manifest::{Class, Grant};
use keyrack_names::{Ask, KeyName, Slug};
use sha2::{Digest, Sha256};

use crate::args::ConnectorRun;
use crate::bounded;
use crate::connector::declaration::{Credential, Form};
use crate::connector::environment::built;
use crate::connector::found::{self, Found};
use crate::connector::granted;
use crate::connector::renewal::Renewal;
use crate::error::{Code, Context, ExitStatus, Failure, Outcome};
use crate::exec::declared::Declared;
use crate::exec::launch::{self, Delivery, InFile, Launch, Place};
use crate::owner::{opened, values};
use crate::person::ui::Ui;
use crate::policy::Policy;
use crate::rack::{access, answer};
use crate::settings::{self, Settings};

/// Runs `keyrack connector run`.
pub fn run(args: &ConnectorRun, settings: &Settings, ui: &Ui) -> Outcome<ExitStatus> {
    let owner = settings.owner()?;
    let grant = granted::current(owner, &args.which.id, &args.which.name()?, settings)?;
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
    if keeps && args.isolation.isolate.is_some() {
        ui.say("in a sandbox, what the connector changes in its session is not kept");
    }
    let stays = keeps && !args.broker && args.isolation.isolate.is_none();
    let ended = launch.run(owner, stays, settings, ui)?;
    if stays {
        for file in &ended.given {
            keep(file, &given, &renewal, settings, ui)?;
        }
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

/// Has made first what is not there.
fn make_missing(
    renewal: &Renewal<'_>,
    given: &BTreeMap<KeyName, Given<'_>>,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let helpers = missing(renewal, given, settings)?;
    if helpers.is_empty() {
        return Ok(());
    }
    let owner = renewal.owner;
    let mut opened = opened::open(settings, ui, owner)?;
    for helper in &helpers {
        let renewed = renewal.by(helper, &mut opened, settings, ui)?;
        renewed.iter().for_each(|slug| ui.say(format!("{owner}: {slug} is new")));
    }
    Ok(())
}

/// The helpers that have to make something first, because it is not there or has run out.
fn missing(
    renewal: &Renewal<'_>,
    given: &BTreeMap<KeyName, Given<'_>>,
    settings: &Settings,
) -> Outcome<Vec<String>> {
    let renewable = given.values().filter_map(|one| Some((one, one.credential.refresh.as_ref()?)));
    let mut helpers = Vec::new();
    for (one, helper) in renewable {
        let ask = Ask::exactly(one.slug.clone());
        let held = access::get(settings, renewal.owner, std::slice::from_ref(&ask));
        let held = held.ok().and_then(|mut all| all.pop());
        let is_held = held.is_some_and(|held| answer::granted(renewal.owner, &ask, held).is_ok());
        let is_there = || {
            let manifest = opened::manifest_without_person(settings, renewal.owner)?;
            let entry = manifest.keys.get(&one.slug)?;
            Some(entry.expires_at.is_none_or(|end| end > Timestamp::now()))
        };
        if !is_held && is_there() != Some(true) && !helpers.contains(&helper.to_string()) {
            helpers.push(helper.to_string());
        }
    }
    Ok(helpers)
}

/// Whether what the connector leaves in its file is its next session.
fn keeps(credential: &Credential) -> bool {
    credential.class == Class::Session && credential.form == Form::File
}

/// Keeps what the connector left in a file, where it changed it.
fn keep(
    file: &InFile,
    given: &BTreeMap<KeyName, Given<'_>>,
    renewal: &Renewal<'_>,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let Some((name, _)) =
        given.iter().find(|(_, one)| one.slug == file.slug && keeps(one.credential))
    else {
        return Ok(());
    };
    let doing = || format!("{name}, as the connector left it");
    let left = std::fs::File::open(&file.path).context(doing)?;
    let mut left = bounded::bytes(left, values::LONGEST as u64, &doing())?;
    let is_as_it_was = <[u8; 32]>::from(Sha256::digest(&*left)) == file.was;
    if is_as_it_was || left.is_empty() {
        return Ok(());
    }
    let value = keyrack_names::Secret::new(std::mem::take(&mut *left));
    renewal.keep(name, value, settings, ui)?;
    ui.say(format!("{}: {} is kept as the connector left it", renewal.owner, file.slug));
    Ok(())
}
