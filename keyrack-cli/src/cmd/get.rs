//! `keyrack get`: one exchange with the owner's daemon. Never prompts, never opens a
//! vault; `--unlock` does both first.

use std::path::Path;

use keyrack_names::{Ask, KeyName, Owner};
use keyrack_protocol::message::Answer;
use serde::Serialize;

use crate::args::{Ephemeral, Format, Get, Reach, Unlock};
use crate::deliver;
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::rack::answer::{self, Granted};
use crate::rack::{access, elsewhere};
use crate::settings::Settings;

/// Runs `keyrack get`.
pub fn run(args: &Get, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let several = args.key.len() > 1;
    if several && args.format.is_none() && !ui.json {
        return Err(Failure::new(
            Code::Usage,
            "several --key need --json or --format: stdout holds one value",
        )
        .hint(format!("keyrack get --for {owner} --key A --key B --json")));
    }
    if args.format.is_some() && ui.json {
        return Err(Failure::new(Code::Usage, "--json and --format exclude one another"));
    }
    let asks = args
        .key
        .iter()
        .map(|key| wanted::ask(key, args.within.env.as_ref(), args.within.org.as_ref()))
        .collect::<Outcome<Vec<Ask>>>()?;
    if args.unlock {
        let quiet = Ui { json: false, quiet: true, ..ui.clone() };
        super::unlock::run(&unlock_first(args), settings, &quiet)?;
    }
    let answers = access::get(settings, owner, &asks)?;
    if ui.json {
        return json(owner, &asks, answers, settings, ui);
    }
    let granted = granted(owner, &asks, answers, settings)?;
    match (args.format, granted.as_slice()) {
        (Some(format), several) => print(format, several, settings, ui),
        (None, [one]) => ui.payload(one.value.expose()),
        (None, _) => unreachable!("several values were refused above"),
    }
}

/// All the values, or the first reason why one is missing.
fn granted(
    owner: &Owner,
    asks: &[Ask],
    answers: Vec<Answer>,
    settings: &Settings,
) -> Outcome<Vec<Granted>> {
    asks.iter()
        .zip(answers)
        .map(|(ask, answer)| {
            answer::granted(owner, ask, answer)
                .map_err(|failure| elsewhere::explain(failure, settings, owner, ask))
        })
        .collect()
}

/// Writes values in a text format, all or none.
///
/// # Errors
/// [`Code::Denied`] for a name that is never delivered, [`Code::Usage`] for a value that
/// the format cannot hold.
pub fn print(format: Format, values: &[Granted], settings: &Settings, ui: &Ui) -> Outcome {
    let mut text = zeroize::Zeroizing::new(Vec::new());
    for one in values {
        let block = deliver::write(format, &one.slug.key, one.value.expose(), &delimiter()?)
            .map_err(|error| refused(&error, one, settings))?;
        text.extend_from_slice(&block);
    }
    match format {
        Format::Gha => for_github(values, settings.github_env.as_deref(), &text, ui),
        _ => ui.payload(&text),
    }
}

/// Masks first, so that nothing is in a log before the runner knows to hide it.
fn for_github(values: &[Granted], path: Option<&Path>, text: &[u8], ui: &Ui) -> Outcome {
    use std::io::Write;
    let path = path.ok_or_else(|| {
        Failure::new(
            Code::Usage,
            "--format gha writes to the file named by GITHUB_ENV, which is not set",
        )
    })?;
    let doing = || "GITHUB_ENV".to_owned();
    let mut file =
        std::fs::OpenOptions::new().append(true).create(true).open(path).context(doing)?;
    ui.payload(&deliver::masks(values.iter().map(|one| &one.value)))?;
    file.write_all(text).context(doing)
}

/// A line that no value can guess.
fn delimiter() -> Outcome<String> {
    let mut bytes = [0; 16];
    keyrack_protocol::random::fill(&mut bytes).context(|| "random numbers".to_owned())?;
    Ok(format!("KEYRACK_{}", hex::lower::encode_string(&bytes)))
}

fn refused(error: &deliver::DeliverError, one: &Granted, settings: &Settings) -> Failure {
    if let deliver::DeliverError::Dangerous(_) = error {
        return Failure::new(Code::Denied, error.to_string());
    }
    let failure = Failure::new(Code::Usage, error.to_string());
    match settings.owner() {
        Ok(owner) => failure.hint(format!("keyrack get --for {owner} --key {} --json", one.slug)),
        Err(_) => failure,
    }
}

/// One object for all that was asked; the exit code says what is missing.
fn json(
    owner: &Owner,
    asks: &[Ask],
    answers: Vec<Answer>,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let mut rows = Vec::with_capacity(asks.len());
    let mut failures = Vec::new();
    for (ask, answer) in asks.iter().zip(answers) {
        let status = status(&answer);
        match answer::granted(owner, ask, answer) {
            Ok(granted) => rows.push(Row::granted(&granted)),
            Err(failure) => {
                failures.push((ask, failure));
                rows.push(Row::missing(&ask.key, status));
            }
        }
    }
    ui.object(&serde_json::json!({ "owner": owner, "values": rows }))?;
    let codes = std::iter::repeat_n(Code::Ok, rows.len() - failures.len())
        .chain(failures.iter().map(|(_, failure)| failure.code));
    match (Code::of_batch(codes), failures.into_iter().next()) {
        (Code::Ok, _) | (_, None) => Ok(()),
        (code, Some((ask, first))) => {
            Err(Failure { code, ..elsewhere::explain(first, settings, owner, ask) })
        }
    }
}

/// One value in JSON, or why there is none.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    key: KeyName,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slug: Option<String>,
    #[serde(flatten)]
    value: Option<JsonValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_ms: Option<u64>,
}

impl Row {
    /// For a value that there is.
    pub fn granted(granted: &Granted) -> Self {
        Self {
            key: granted.slug.key.clone(),
            status: "granted",
            slug: Some(granted.slug.to_string()),
            value: Some(JsonValue::new(granted.value.expose())),
            expires_in_ms: Some(granted.expires_in_ms),
        }
    }

    fn missing(key: &KeyName, status: &'static str) -> Self {
        Self { key: key.clone(), status, slug: None, value: None, expires_in_ms: None }
    }
}

/// A value in JSON: as text, or in base64 where it is not UTF-8.
#[derive(Serialize)]
struct JsonValue {
    value: zeroize::Zeroizing<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

impl JsonValue {
    fn new(bytes: &[u8]) -> Self {
        use base64::Engine as _;
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { value: text.to_owned().into(), encoding: None },
            Err(_) => {
                let value = base64::engine::general_purpose::STANDARD.encode(bytes).into();
                Self { value, encoding: Some("base64") }
            }
        }
    }
}

fn status(answer: &Answer) -> &'static str {
    match answer {
        Answer::Granted { .. } => "granted",
        Answer::Locked { .. } => "locked",
        Answer::Expired { .. } => "expired",
        Answer::Absent => "absent",
        Answer::Denied { .. } => "denied",
        Answer::Ambiguous { .. } => "ambiguous",
    }
}

fn unlock_first(args: &Get) -> Unlock {
    Unlock {
        env: args.within.env.clone(),
        org: args.within.org.clone(),
        key: args.key.clone(),
        duration: None,
        reach: Reach { scope: None, no_keyring: false, tree: None },
        accept_drops: false,
        lasting: Ephemeral::default(),
        notify: false,
    }
}
