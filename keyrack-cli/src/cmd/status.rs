//! `keyrack status`: what is unlocked, for how long, and who reads it. Touches nothing:
//! what cannot be seen without a person is said to be so.

use std::time::Duration;

use keyrack_names::{Owner, Slug};
use keyrack_protocol::client::ClientError;
use keyrack_protocol::message::{
    BareStatus, CapabilityStatus, GrantStatus, Process, Protection, Rights, Scope,
};
use serde::Serialize;

use crate::args;
use crate::args::when;
use crate::error::{Context, Outcome};
use crate::owner::{level, opened};
use crate::person::counted::counted;
use crate::person::pending;
use crate::person::ui::Ui;
use crate::rack::{access, skew, sleeping};
use crate::settings::Settings;

/// Runs `keyrack status`.
pub fn run(args: &args::Status, settings: &Settings, ui: &Ui) -> Outcome {
    let owners = if args.all {
        settings.places.owners().context(|| settings.places.home.display().to_string())?
    } else {
        vec![settings.owner()?.clone()]
    };
    if !args.all && !settings.places.manifest(&owners[0]).exists() {
        return Err(access::locked(settings, &owners[0]));
    }
    let rows: Vec<Row> = owners.iter().map(|owner| Row::of(owner, settings, ui)).collect();
    if ui.json {
        return ui.object(&serde_json::json!({ "owners": rows }));
    }
    let cells: Vec<[String; 5]> = rows.iter().flat_map(Row::cells).collect();
    ui.table(["OWNER", "KEY", "EXPIRES", "LAST READER", "LEVEL"], &cells)?;
    ui.lines(rows.iter().flat_map(Row::remarks))
}

/// What can be said of one owner.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    owner: Owner,
    state: State,
    level: level::Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<Daemon>,
    /// `None` where this process tree may not see the names.
    grants: Option<Vec<Grant>>,
    trees: Vec<Tree>,
    waiting: Vec<String>,
    provisional: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Absent,
    Locked,
    Unlocked,
    Unreachable,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Daemon {
    pid: u32,
    version: String,
    protocol_versions: Vec<u16>,
    rack: String,
    next_expiry_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_with: Option<Process>,
    /// What is to be said where it is of another keyrack.
    #[serde(skip_serializing_if = "Option::is_none")]
    skew: Option<String>,
    protections: Vec<Protection>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Grant {
    slug: Slug,
    vault: String,
    class: String,
    expires_in_ms: u64,
    last_reader: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tree {
    id: String,
    label: String,
    scope: Scope,
    rights: Rights,
    awake: usize,
    slugs: usize,
}

impl From<BareStatus> for Daemon {
    fn from(bare: BareStatus) -> Self {
        Self {
            skew: skew::of(&bare),
            pid: bare.pid,
            version: bare.version,
            protocol_versions: bare.versions,
            rack: bare.rack.to_string(),
            next_expiry_ms: bare.next_expiry_ms,
            ends_with: bare.ends_with,
            protections: bare.protections,
        }
    }
}

impl From<GrantStatus> for Grant {
    fn from(grant: GrantStatus) -> Self {
        let GrantStatus { slug, vault, class, expires_in_ms, last_reader } = grant;
        Self { slug, vault, class, expires_in_ms, last_reader }
    }
}

impl From<CapabilityStatus> for Tree {
    fn from(tree: CapabilityStatus) -> Self {
        let CapabilityStatus { id, label, scope, rights, awake, slugs } = tree;
        Self { id: id.short(), label, scope, rights, awake, slugs }
    }
}

impl Row {
    fn of(owner: &Owner, settings: &Settings, ui: &Ui) -> Self {
        let mut row = Self {
            owner: owner.clone(),
            state: State::Locked,
            level: level::of(settings, owner),
            daemon: None,
            grants: None,
            trees: Vec::new(),
            waiting: pending::list(settings, owner),
            provisional: opened::is_provisional(settings, owner),
        };
        match access::bare_status(settings, owner) {
            Ok(bare) => {
                row.state = if bare.locked { State::Locked } else { State::Unlocked };
                row.daemon = Some(bare.into());
                if let Ok(seen) = opened::full_status(settings, ui, owner)
                    .map_or_else(|| access::status(settings, owner), Ok)
                {
                    row.daemon = Some(seen.bare.into());
                    row.grants = Some(seen.grants.into_iter().map(Grant::from).collect());
                    row.trees = seen.capabilities.into_iter().map(Tree::from).collect();
                    let weak = |tree: &Tree| {
                        tree.awake > 0 && matches!(tree.scope, Scope::User | Scope::Env)
                    };
                    if row.trees.iter().any(weak) {
                        row.level = level::Level::WEAK;
                    }
                }
            }
            Err(
                ClientError::NotRunning | ClientError::Foreign { .. } | ClientError::Refused { .. },
            ) => {
                if !settings.places.manifest(owner).exists() {
                    row.state = State::Absent;
                }
            }
            Err(_) => row.state = State::Unreachable,
        }
        // Whoever may not see the names of keys is not shown who reads them either.
        if row.state == State::Locked || row.grants.is_some() {
            row.add_sleeping(settings);
        }
        row
    }

    /// The trees that outlived a daemon: the one that lives does not know them.
    fn add_sleeping(&mut self, settings: &Settings) {
        for (id, label, scope) in sleeping::list(settings, &self.owner) {
            let id = id.short();
            if self.trees.iter().all(|tree| tree.id != id) {
                self.trees.push(Tree {
                    id,
                    label,
                    scope,
                    rights: Rights::TREE,
                    awake: 0,
                    slugs: 0,
                });
            }
        }
    }

    /// Owner, key, expiry, last reader, level: a line for each grant, else one.
    fn cells(&self) -> Vec<[String; 5]> {
        let level = self.level.to_string();
        let line = |key: &str, expires: String, reader: &str| {
            [self.owner.to_string(), key.to_owned(), expires, reader.to_owned(), level.clone()]
        };
        let span = |ms| when::short(Duration::from_millis(ms));
        match (&self.grants, self.state) {
            (Some(grants), _) if !grants.is_empty() => grants
                .iter()
                .map(|grant| {
                    let reader = grant.last_reader.as_deref().unwrap_or("-");
                    line(&grant.slug.to_string(), span(grant.expires_in_ms), reader)
                })
                .collect(),
            (_, State::Unlocked) => {
                let next =
                    self.daemon.as_ref().and_then(|daemon| daemon.next_expiry_ms).unwrap_or(0);
                vec![line("(names need a capability)", format!("first in {}", span(next)), "-")]
            }
            (_, State::Absent) => vec![line("-", "absent".into(), "-")],
            (_, State::Unreachable) => vec![line("-", "unreachable".into(), "-")],
            (_, State::Locked) if self.provisional => vec![line("-", "provisional".into(), "-")],
            (_, State::Locked) => vec![line("-", "locked".into(), "-")],
        }
    }

    /// What a person should know besides.
    fn remarks(&self) -> Vec<String> {
        let owner = &self.owner;
        let mut lines: Vec<String> =
            self.waiting.iter().map(|who| format!("{owner}: {who}")).collect();
        lines.extend(self.trees.iter().map(|tree| {
            if tree.slugs == 0 {
                let unlock = format!("keyrack unlock --for {owner} --tree {}", tree.id);
                return format!("{owner}: tree {} of {} sleeps: {unlock}", tree.id, tree.label);
            }
            let asleep = if tree.awake == 0 { ", asleep" } else { "" };
            let slugs = counted(tree.slugs, "slug");
            format!("{owner}: tree {} of {} may read {slugs}{asleep}", tree.id, tree.label)
        }));
        let end = self.daemon.iter().filter_map(|daemon| daemon.ends_with.as_ref());
        lines.extend(end.map(|end| format!("{owner}: all of it ends with {end}")));
        let skew = self.daemon.iter().filter_map(|daemon| daemon.skew.as_ref());
        lines.extend(skew.map(|skew| format!("{owner}: {skew}")));
        let missing =
            self.daemon.iter().flat_map(|daemon| daemon.protections.iter().filter(|p| !p.on));
        lines.extend(missing.map(|p| format!("{owner}: not in force: {}: {}", p.name, p.state)));
        lines
    }
}
