//! What an unlock says of every credential that was asked for, and how it ends.

use keyrack_names::Owner;
use keyrack_protocol::message::Process;
use serde::Serialize;

use super::Line;
use crate::error::{Code, Failure, Outcome};
use crate::owner::level;
use crate::owner::opened::Opened;
use crate::person::ui::Ui;
use crate::project::wanted::Selection;
use crate::rack::push;
use crate::settings::Settings;

/// One line a credential, asked for or found.
pub(super) fn report(
    opened: &Opened,
    selection: &Selection<'_>,
    lines: &[Line<'_>],
    end: Option<&Process>,
    ui: &Ui,
) -> Outcome {
    let owner = &opened.owner;
    if ui.json {
        return ui.object(&object(owner, lines, end));
    }
    // One that failed alone is what the command ends with.
    let several = lines.iter().filter(|line| line.result.is_err()).count() > 1;
    for line in lines {
        match line.result {
            Ok(_) => ui.say(format!("{owner}: {}", line.words())),
            Err(_) if several => ui.warn(format!("{owner}: {}", line.words())),
            Err(_) => {}
        }
    }
    if let Some(end) = end.filter(|_| lines.iter().any(|line| line.result.is_ok())) {
        ui.say(format!("{owner}: all of it ends with {end}"));
    }
    if lines.is_empty() && selection.is_everything() {
        ui.say(format!("{owner}: there is nothing to unlock"));
        ui.hint(format!("keyrack set --for {owner} --key KEY"));
    }
    Ok(())
}

/// The report for a program.
pub(super) fn object(
    owner: &Owner,
    lines: &[Line<'_>],
    end: Option<&Process>,
) -> serde_json::Value {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Row<'a> {
        slug: &'a str,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
    }
    let row = |line: &Line<'_>| match &line.result {
        Ok(granted) => serde_json::json!(Row {
            slug: &line.name,
            status: "granted",
            expires_in_ms: Some(push::millis(granted.span)),
            why: None,
        }),
        Err(failure) => serde_json::json!(Row {
            slug: &line.name,
            status: "failed",
            expires_in_ms: None,
            why: Some(&failure.message),
        }),
    };
    let rows: Vec<serde_json::Value> = lines.iter().map(row).collect();
    let mut object = serde_json::json!({ "owner": owner, "keys": rows });
    if let Some(end) = end {
        object["endsWith"] = serde_json::json!(end);
    }
    object
}

/// How the command ends: by what every credential that was asked for became.
pub(super) fn ended(
    opened: &Opened,
    lines: &[Line<'_>],
    given: bool,
    settings: &Settings,
) -> Outcome {
    let owner = &opened.owner;
    match Code::of_batch(lines.iter().map(Line::code)) {
        Code::Ok => {}
        code => {
            let bad: Vec<&Line<'_>> = lines.iter().filter(|line| line.result.is_err()).collect();
            let first = bad.iter().find_map(|line| line.result.as_ref().err());
            let hints = first.map(|failure| failure.hints.clone()).unwrap_or_default();
            let message = match (bad.as_slice(), first) {
                ([_], Some(failure)) => failure.message.clone(),
                _ => format!("{owner}: {} of {} could not be granted", bad.len(), lines.len()),
            };
            return Err(Failure { code, message, hints });
        }
    }
    if given || serves_itself(opened, settings) {
        return Ok(());
    }
    Err(Failure::new(
        Code::Partly,
        format!("{owner} is unlocked, but the calling program has no capability to read"),
    )
    .hint(format!("keyrack unlock --for {owner}, run plainly in the shell that is to read"))
    .hint(format!("keyrack exec --for {owner} -- PROGRAM")))
}

/// Whether the owner's user may read without a capability: its key is at hand, and using it
/// is enough.
pub(super) fn serves_itself(opened: &Opened, settings: &Settings) -> bool {
    opened.manifest.self_proof == keyrack_manifest::OnOff::On
        && level::key_needs_no_person(settings, &opened.owner)
}
