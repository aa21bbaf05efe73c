//! `keyrack vault policy`: the rules that every member's command keeps to.

use jiff::Timestamp;
use keyrack_vault::{Policy, Role};

use crate::args::VaultPolicy;
use crate::error::Outcome;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::{change, look};
use crate::team::{acts, rights};

/// Runs `keyrack vault policy`.
pub fn run(args: &VaultPolicy, settings: &Settings, ui: &Ui) -> Outcome {
    let which = args.which.vault.as_deref();
    if args.max_ttl.is_none() && args.forbid.is_empty() && args.allow.is_empty() {
        return look(which, settings, ui, |looking| {
            show(&looking.vault.state().policy, settings, ui)
        });
    }
    let policy = change(which, settings, ui, |making| {
        rights::need(Role::Owner, "change its rules", making.vault, making.place)?;
        let mut policy = making.vault.state().policy.clone();
        policy.max_ttl = args.max_ttl.or(policy.max_ttl);
        policy.forbid.extend(args.forbid.iter().copied());
        policy.forbid.retain(|class| !args.allow.contains(class));
        if !settings.dry_run {
            let set = making.vault.set_policy(&policy, Timestamp::now());
            making.fail(set)?;
            making.note(acts::act("policy"));
        }
        Ok(policy)
    })?;
    show(&policy, settings, ui)
}

fn show(policy: &Policy, settings: &Settings, ui: &Ui) -> Outcome {
    let max_ttl = policy.max_ttl.map(|span| span.to_string());
    let forbid: Vec<&str> = policy.forbid.iter().map(|class| class.as_str()).collect();
    let object = serde_json::json!({
        "maxTtl": max_ttl, "forbid": forbid, "privateByDefault": policy.private_by_default,
    });
    if settings.dry_run {
        ui.would("nothing was done", object)?;
    } else if ui.json {
        ui.object(&object)?;
    }
    if ui.json {
        return Ok(());
    }
    let row = |name: &str, value: String| [name.to_owned(), value];
    ui.table(
        ["RULE", "IS"],
        &[
            row("longest unlock", max_ttl.unwrap_or_else(|| "-".to_owned())),
            row(
                "forbidden classes",
                if forbid.is_empty() { "-".to_owned() } else { forbid.join(" ") },
            ),
            row(
                "new credentials",
                if policy.private_by_default { "private" } else { "shared" }.to_owned(),
            ),
        ],
    )
}
