//! `keyrack trust`: remembers the nearest `keyrack.yml` by path and content. Only then
//! may it decide which credentials a program is given.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use keyrack_manifest::atomic;
use serde::Serialize;

use crate::args::Trust;
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::project;
use crate::settings::Settings;

/// What is trusted, in bytes at most: thousands of files.
const LONGEST: u64 = 4 << 20;

type Trusted = BTreeMap<PathBuf, String>;

/// Runs `keyrack trust`.
pub fn run(args: &Trust, settings: &Settings, ui: &Ui) -> Outcome {
    let store = store(settings);
    if args.list {
        return list(&load(&store)?, ui);
    }
    let here = std::env::current_dir().context(|| "the working directory".to_owned())?;
    let file = project::nearest(&here).ok_or_else(|| {
        Failure::new(
            Code::Absent,
            format!("there is no {} at or above {}", project::FILE, here.display()),
        )
    })?;
    let file = file.canonicalize().context(|| file.display().to_string())?;
    let _held = if settings.dry_run { None } else { Some(hold(&settings.places.state)?) };
    let mut trusted = load(&store)?;
    if args.revoke {
        if trusted.remove(&file).is_none() {
            return Err(Failure::new(Code::Absent, format!("{} was not trusted", file.display())));
        }
        if settings.dry_run {
            let words = format!("{} would be trusted no longer", file.display());
            return ui.would(words, object(&file, false));
        }
        save(&store, &trusted)?;
        return ui.done(format!("{} is trusted no longer", file.display()), object(&file, false));
    }
    // What does not parse cannot be judged, and so not trusted.
    let project = project::read(&file)?;
    let digest = project.digest();
    if trusted.get(&file) == Some(&digest) {
        return ui.done(format!("{} is trusted already", file.display()), object(&file, true));
    }
    let names = counted(project.env.values().flatten().count(), "credential");
    if settings.dry_run {
        let words = format!("{} would be trusted with {names}", file.display());
        return ui.would(words, object(&file, true));
    }
    trusted.insert(file.clone(), digest);
    save(&store, &trusted)?;
    let words = format!("{} is trusted as it is now: it asks for {names}", file.display());
    ui.done(words, object(&file, true))
}

fn object(file: &Path, trusted: bool) -> serde_json::Value {
    serde_json::json!({ "path": file, "trusted": trusted })
}

fn list(trusted: &Trusted, ui: &Ui) -> Outcome {
    #[derive(Serialize)]
    struct Row<'a> {
        path: &'a Path,
        sha256: &'a str,
        changed: bool,
    }
    let rows: Vec<Row> = trusted
        .iter()
        .map(|(path, sha256)| Row { path, sha256, changed: digest(path).as_ref() != Some(sha256) })
        .collect();
    if ui.json {
        return ui.object(&serde_json::json!({ "trusted": rows }));
    }
    ui.lines(rows.iter().map(|row| {
        let changed = if row.changed { "  (changed since: not trusted now)" } else { "" };
        format!("{}{changed}", row.path.display())
    }))
}

/// Whether a person trusted `project` as it is now, with all it extends.
///
/// # Errors
/// When what is trusted cannot be read.
pub fn is_trusted(project: &project::Project, settings: &Settings) -> Outcome<bool> {
    let file = project.path.canonicalize().context(|| project.path.display().to_string())?;
    Ok(load(&store(settings))?.get(&file) == Some(&project.digest()))
}

fn digest(file: &Path) -> Option<String> {
    Some(project::read(file).ok()?.digest())
}

fn store(settings: &Settings) -> PathBuf {
    settings.places.state.join("trusted.json")
}

/// Held from the look at what is trusted to its replacement: others trust and revoke, too.
fn hold(state: &Path) -> Outcome<File> {
    let doing = || state.display().to_string();
    atomic::make_dir(state).context(doing)?;
    let held = File::open(state).context(doing)?;
    held.lock().context(doing)?;
    Ok(held)
}

fn load(store: &Path) -> Outcome<Trusted> {
    match atomic::read_limited(store, LONGEST).context(|| store.display().to_string())? {
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|e| Failure::new(Code::Tampered, format!("{}: {e}", store.display()))),
        None => Ok(Trusted::new()),
    }
}

fn save(store: &Path, trusted: &Trusted) -> Outcome {
    let bytes = serde_json::to_vec_pretty(trusted).context(|| store.display().to_string())?;
    atomic::replace(store, &bytes).context(|| store.display().to_string())
}
