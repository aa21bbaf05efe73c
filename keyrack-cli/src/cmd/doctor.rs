//! `keyrack doctor`: what protects this owner on this machine, what does not, and what
//! can be mended.

use std::path::PathBuf;

use keyrack_manifest::{IdentityFile, Manifest, Restored, StoreError, Tampered, Via};
use keyrack_names::Owner;
use keyrack_protocol::client::ClientError;
use keyrack_protocol::message::Protection;
use serde::Serialize;

use crate::args::Doctor;
use crate::error::{Code, Failure, Outcome};
use crate::owner::{level, opened, upkeep};
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::rack::sockets::{self, Holder};
use crate::rack::{access, installed, skew};
use crate::settings::Settings;
use crate::system::programs;
use crate::team::change::done;
use crate::team::restored;
use crate::{sandbox, tree, words};

/// What no level protects from. `docs/THREATS.md` says why, and which test shows it.
const NEVER: &[&str] = &[
    "root, and the kernel itself",
    "a process of this user that may ptrace a program holding a value, or types into its terminal",
    "a process of this user that puts another program in the place of keyrack",
    "a value after it was handed out: whoever got it can keep it",
    "a process of this user that stops daemons or fills /tmp",
];

/// Runs `keyrack doctor`.
pub fn run(args: &Doctor, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let fixes = args.fix && !settings.dry_run;
    if args.accept_restored {
        return accept_restored(owner, settings, ui);
    }
    let mut checks = vec![
        Check::of("keyrackd", installed::look(fixes)),
        key_rings(),
        sandbox_check(),
        home(settings),
    ];
    let pin = opened::pin(settings, owner).ok().flatten();
    if pin.is_some_and(|pin| pin.via == Via::Yubikey) {
        let helper = programs::find("keyrack-yubikey").map(|path| path.display().to_string());
        checks.push(Check::of("keyrack-yubikey", helper));
    }
    let manifest = manifest(owner, settings, ui);
    if let Err(failure) = &manifest
        && fixes
        && failure.hints.iter().any(|hint| hint.ends_with("--fix"))
    {
        fix(owner, &failure.message, settings, ui)?;
        checks.push(Check::of("manifest", Ok("restored from its backup".to_owned())));
    } else {
        let vault = manifest.as_ref().ok().map(|manifest| vault(manifest, fixes, settings));
        checks.push(Check::of(
            "manifest",
            manifest.map(|_| "opens, and is what was last written".to_owned()),
        ));
        checks.extend(vault.flatten());
    }
    checks.push(key(owner, settings));
    checks.extend(strangers(owner, settings));
    checks.extend(daemon(owner, settings));
    report(owner, &checks, settings, ui)
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    ok: bool,
    #[serde(rename = "state")]
    words: String,
    #[serde(skip)]
    code: Code,
    #[serde(skip)]
    hints: Vec<String>,
}

impl Check {
    fn of(name: &str, result: Outcome<String>) -> Self {
        let name = name.to_owned();
        match result {
            Ok(words) => Self { name, ok: true, words, code: Code::Ok, hints: Vec::new() },
            // Not looked at is not "not well".
            Err(failure) if failure.code == Code::NeedsPerson => Self {
                name,
                ok: true,
                words: format!("not looked at: {}", failure.message),
                code: Code::Ok,
                hints: Vec::new(),
            },
            Err(failure) => Self {
                name,
                ok: false,
                words: failure.message,
                code: failure.code,
                hints: failure.hints,
            },
        }
    }
}

/// Whether the manifest opens, as far as that can be told without a person.
fn manifest(owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome<Manifest> {
    let identity = match opened::silent_identity(settings, ui, owner) {
        Ok(identity) => identity,
        Err(opened::Silent::NeedsPerson(_)) if ui.asker.has_person() => {
            opened::identity(settings, ui, owner)?
        }
        Err(
            opened::Silent::NeedsPerson(failure)
            | opened::Silent::NoKey(failure)
            | opened::Silent::Failed(failure),
        ) => {
            return Err(failure);
        }
    };
    match opened::store(settings).open(owner, &identity) {
        Ok(opened) => Ok(opened.manifest),
        Err(error) => Err(words::store(error, owner)),
    }
}

/// Whether every value is there. A provisional manifest has no vault yet.
fn vault(manifest: &Manifest, fixes: bool, settings: &Settings) -> Option<Check> {
    manifest.personal_vault()?;
    let words = upkeep::check(manifest, settings).and_then(|records| {
        let whole = format!("whole: {}", counted(records, "record"));
        Ok(match if fixes { upkeep::sweep(manifest, settings)? } else { 0 } {
            0 => whole,
            swept => format!("{whole}; removed {swept} that killed writers left"),
        })
    });
    // What another command replaced while it was looked at is not damage.
    let pin = opened::pin(settings, &manifest.owner.name).ok().flatten();
    let is_current = pin.is_none_or(|pin| pin.counter == manifest.counter);
    (is_current || words.is_ok()).then(|| Check::of("vault", words))
}

/// Puts the backup in the place of a manifest that cannot be read, after the person
/// agreed. What was there is kept.
fn fix(owner: &Owner, why: &str, settings: &Settings, ui: &Ui) -> Outcome {
    let backup = settings.places.backup(owner);
    if !backup.exists() {
        let message = format!("{why}; there is no backup at {}", backup.display());
        return Err(Failure::new(Code::Tampered, message)
            .hint("put back a copy of your own; or, to begin anew:")
            .hint(format!("keyrack destroy --for {owner}")));
    }
    if !ui.asker.agrees(&format!("{why}. Put {} in its place?", backup.display()))? {
        return Err(Failure::new(Code::NeedsPerson, "nothing was changed"));
    }
    let identity = opened::backup_key(settings, ui, owner)?;
    let Restored { aside, lost } = opened::store(settings)
        .restore_backup(owner, &identity)
        .map_err(|e| words::store(e, owner))?;
    match lost {
        0 | 1 => ui.say(format!("{owner}: the manifest before the last write is back")),
        lost => ui.warn(format!("{owner}: the backup is back, and lacks the last {lost} writes")),
    }
    if let Some(aside) = aside {
        ui.say(format!("{owner}: what was there is kept as {}", aside.display()));
    }
    Ok(())
}

/// Believes a manifest, or vaults, that are older than what this device saw, after the person
/// agreed.
fn accept_restored(owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome {
    let identity = opened::identity(settings, ui, owner)?;
    let why = match opened::store(settings).open(owner, &identity) {
        Ok(_) => {
            let vaults = restored::accept(&mut opened::open(settings, ui, owner)?, settings, ui)?;
            if !vaults.is_empty() {
                let names: Vec<String> = vaults.iter().map(|at| at.name.to_string()).collect();
                let words = format!("{owner}: accepted as it is: {}", names.join(", "));
                return done(words, accepted(owner, true), &vaults[0], settings, ui);
            }
            let words =
                format!("{owner}: all is as this device knows it; there is nothing to accept");
            return ui.done(words, accepted(owner, false));
        }
        Err(StoreError::Tampered {
            kind:
                kind @ (Tampered::Rollback { .. }
                | Tampered::OtherSigner { .. }
                | Tampered::OtherRack
                | Tampered::RecipientsChanged { .. }
                | Tampered::DamagedPin),
            ..
        }) => kind,
        Err(error) => return Err(words::store(error, owner)),
    };
    if settings.dry_run {
        return ui.would(format!("{owner}: {why}; it would be believed"), accepted(owner, true));
    }
    if !ui.asker.agrees(&format!("{owner}: {why}. Believe it all the same?"))? {
        return Err(Failure::new(Code::NeedsPerson, "nothing was changed"));
    }
    opened::store(settings)
        .accept_restored(owner, &identity, jiff::Timestamp::now())
        .map_err(|e| words::store(e, owner))?;
    ui.done(format!("{owner}: the manifest is accepted as it is"), accepted(owner, true))
}

fn accepted(owner: &Owner, accepted: bool) -> serde_json::Value {
    serde_json::json!({ "owner": owner, "accepted": accepted })
}

fn key_rings() -> Check {
    let minted = tree::Minted::for_tree();
    let words = minted.map(|_| "the kernel keeps capabilities for a process tree".to_owned());
    Check::of("key rings", words.map_err(|e| Failure::new(Code::Blocked, e.to_string())))
}

/// What cannot be had is no fault of this rack.
fn sandbox_check() -> Check {
    let words = sandbox::try_out().map(|()| "exec --isolate can be had here".to_owned());
    Check { code: Code::Ok, ..Check::of("sandbox", words) }
}

fn home(settings: &Settings) -> Check {
    use std::os::unix::fs::MetadataExt;
    let home = &settings.places.home;
    let checked = match home.metadata() {
        Err(error) => Err(Failure::new(Code::Absent, format!("{}: {error}", home.display()))),
        Ok(found) if found.mode() & 0o077 != 0 => {
            Err(Failure::new(Code::Denied, format!("{} is open to others", home.display()))
                .hint(format!("chmod 700 {}", home.display())))
        }
        Ok(_) => Ok(format!("{} is private", home.display())),
    };
    Check::of("home", checked)
}

/// Who else sits where the owner's daemon is looked for.
fn strangers(owner: &Owner, settings: &Settings) -> Vec<Check> {
    let stranger = |path: PathBuf| {
        let Holder { who, is_daemon } = sockets::holder(&path)?;
        let held = format!("{} is held by {who}", path.display());
        let mut failure = Failure::new(Code::Unreachable, held);
        if is_daemon {
            failure = failure.hint(format!("keyrack relock --for {owner}"));
        }
        Some(Check::of("socket", Err(failure)))
    };
    access::bare_sockets(settings, owner).into_iter().filter_map(stranger).collect()
}

/// What protects the daemon that runs, each ingredient with its state.
fn daemon(owner: &Owner, settings: &Settings) -> Vec<Check> {
    let status = match access::bare_status(settings, owner) {
        Ok(status) => status,
        Err(ClientError::NotRunning | ClientError::Foreign { .. }) => {
            let words = "none runs; what protects one is told while it does";
            return vec![Check::of("daemon", Ok(words.to_owned()))];
        }
        // Whoever holds the socket is told of with it.
        Err(_) => return Vec::new(),
    };
    let skew = skew::of(&status).map(|skew| {
        let hint = format!("keyrack daemon restart --for {owner}");
        Check::of("daemon", Err(Failure::new(Code::Ok, skew).hint(hint)))
    });
    let check = |p: Protection| Check {
        name: p.name,
        ok: p.on,
        words: p.state,
        code: Code::Ok,
        hints: Vec::new(),
    };
    skew.into_iter().chain(status.protections.into_iter().map(check)).collect()
}

fn key(owner: &Owner, settings: &Settings) -> Check {
    let files = opened::key_files(settings, owner);
    let plain: Vec<&IdentityFile> = files.iter().filter(|file| !file.needs_person()).collect();
    let Some(first) = plain.first() else {
        let words = "no key at hand opens the manifest without a person";
        return Check::of("key", Ok(words.to_owned()));
    };
    let paths: Vec<String> = plain.iter().map(|file| file.path().display().to_string()).collect();
    let message = format!("readable without a passphrase: {}", paths.join(", "));
    let is_ssh = first.public().is_some_and(|public| public.via() == Via::Ssh);
    let hint = match is_ssh {
        true => format!("ssh-keygen -p -f {}", first.path().display()),
        false => format!(
            "keyrack init --for {owner} --kept-by KEEPER keeps a new owner's identity in a vault"
        ),
    };
    let failure = Failure::new(Code::Ok, message).hint(hint);
    Check::of("key", Err(failure))
}

fn report(owner: &Owner, checks: &[Check], settings: &Settings, ui: &Ui) -> Outcome {
    let level = level::of(settings, owner);
    if ui.json {
        let object = serde_json::json!({ "owner": owner, "level": level, "checks": checks, "notProtected": NEVER });
        ui.object(&object)?;
    } else {
        let row = |mark: &str, name: &str, words: &str| [mark.into(), name.into(), words.into()];
        let mut rows: Vec<[String; 3]> = vec![row("--", "level", &level.to_string())];
        rows[0][0] = if level.because.is_none() { "ok".into() } else { "--".into() };
        rows.extend(
            checks
                .iter()
                .map(|check| row(if check.ok { "ok" } else { "--" }, &check.name, &check.words)),
        );
        rows.extend(NEVER.iter().map(|what| row("--", "not protected from", what)));
        ui.table(["", "CHECK", "STATE"], &rows)?;
        let hints = checks.iter().filter(|check| !check.ok).flat_map(|check| check.hints.iter());
        hints.for_each(|hint| ui.hint(hint));
    }
    let worst = checks.iter().map(|check| check.code).filter(|code| *code != Code::Ok).max();
    match worst {
        None => Ok(()),
        Some(code) => Err(Failure::new(code, format!("{owner}: not all is well"))),
    }
}
