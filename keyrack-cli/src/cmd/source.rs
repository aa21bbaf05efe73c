//! `keyrack source`: unlocked credentials as shell exports. Strict: if something that was
//! asked for is missing, nothing is printed.

use keyrack_names::Owner;
use keyrack_protocol::message::Answer;

use crate::args::{KeyArg, Source};
use crate::cmd::get::Row;
use crate::error::{Code, Failure, Outcome};
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::rack::answer::{self, Granted};
use crate::rack::{access, elsewhere};
use crate::settings::Settings;
use crate::{deliver, project};

/// Runs `keyrack source`.
pub fn run(args: &Source, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let (required, optional) = keys(args)?;
    let mut values = if required.is_empty() && optional.is_empty() {
        all(args, settings, ui, owner)?
    } else {
        let mut values = named(args, &required, args.lenient, settings, ui, owner)?;
        values.extend(named(args, &optional, true, settings, ui, owner)?);
        values
    };
    if ui.json {
        let rows: Vec<Row> = values.iter().map(Row::granted).collect();
        return ui.object(&serde_json::json!({ "owner": owner, "values": rows }));
    }
    if args.lenient {
        values.retain(|one| {
            let written = deliver::write(args.format, &one.slug.key, one.value.expose(), "");
            written.map_err(|why| ui.warn(why.to_string())).is_ok()
        });
    }
    super::get::print(args.format, &values, settings, ui)
}

/// What is asked for, and what is welcome: the flags, else what `keyrack.yml` lists.
fn keys(args: &Source) -> Outcome<(Vec<KeyArg>, Vec<KeyArg>)> {
    if !args.key.is_empty() {
        return Ok((args.key.clone(), Vec::new()));
    }
    let Some(project) = project::find()? else { return Ok(Default::default()) };
    let envs = project.env.into_iter().filter(|(env, _)| match &args.within.env {
        Some(asked) => env == asked || (env.is_all() && !asked.is_sudo()),
        None => env.is_all(),
    });
    let (optional, required) =
        envs.flat_map(|(_, keys)| keys).partition::<Vec<_>, _>(|wanted| wanted.optional);
    let names =
        |list: Vec<project::Wanted>| list.into_iter().map(|w| KeyArg::Name(w.key)).collect();
    Ok((names(required), names(optional)))
}

fn named(
    args: &Source,
    keys: &[KeyArg],
    lenient: bool,
    settings: &Settings,
    ui: &Ui,
    owner: &Owner,
) -> Outcome<Vec<Granted>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let asks = keys
        .iter()
        .map(|key| wanted::ask(key, args.within.env.as_ref(), args.within.org.as_ref()))
        .collect::<Outcome<Vec<_>>>()?;
    let answers = access::get(settings, owner, &asks)?;
    let mut values = Vec::new();
    for (ask, answer) in asks.iter().zip(answers) {
        match answer::granted(owner, ask, answer) {
            Ok(granted) => values.push(granted),
            Err(failure) if lenient => ui.warn(&failure.message),
            Err(failure) => return Err(elsewhere::explain(failure, settings, owner, ask)),
        }
    }
    Ok(values)
}

/// Everything unlocked, one winner for each name. Names that no environment should hold
/// are passed over with a word: nobody asked for them.
fn all(args: &Source, settings: &Settings, ui: &Ui, owner: &Owner) -> Outcome<Vec<Granted>> {
    if args.within.env.as_ref().is_some_and(|env| env.is_sudo()) {
        return Err(Failure::new(
            Code::Usage,
            "sudo is only ever reached exactly: name each --key",
        ));
    }
    let org = wanted::org(args.within.org.as_ref())?;
    let answers = access::get_all(settings, owner, args.within.env.clone())?;
    let mut values: Vec<Granted> = Vec::new();
    for answer in answers {
        let Answer::Granted { slug, value, expires_in_ms } = answer else { continue };
        let elsewhere = slug.org != org && slug.org != keyrack_names::Org::all();
        if elsewhere || values.iter().any(|have| have.slug.key == slug.key && have.slug.org == org)
        {
            continue;
        }
        if deliver::is_dangerous(slug.key.as_str()) {
            ui.warn(format!("{slug} is never delivered into an environment"));
            continue;
        }
        values.retain(|have| have.slug.key != slug.key);
        values.push(Granted { slug, value, expires_in_ms });
    }
    Ok(values)
}
