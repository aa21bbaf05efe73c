//! `keyrack daemon`: the daemons of this user, across homes. Found by their sockets,
//! never by a process id.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use keyrack_protocol::client::{self, ClientError};
use keyrack_protocol::message::{BareRequest, Process};
use keyrack_protocol::paths;
use serde::Serialize;

use crate::args::{DaemonAct, DaemonStop, when};
use crate::error::{Code, Failure, Outcome};
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::rack::sockets::{self, Found};
use crate::settings::Settings;

/// Runs `keyrack daemon`.
pub fn run(act: &DaemonAct, settings: &Settings, ui: &Ui) -> Outcome {
    match act {
        DaemonAct::List(_) => list(settings, ui),
        DaemonAct::Stop(with) => stop(&with.own, settings, ui),
        DaemonAct::Restart(_) => super::restart::run(settings, ui),
        DaemonAct::Prune(_) => prune(settings, ui),
    }
}

fn list(settings: &Settings, ui: &Ui) -> Outcome {
    let mut seen = BTreeSet::new();
    let rows: Vec<Row> = sockets::find(settings)
        .into_iter()
        // A daemon listens on two paths; it is one daemon.
        .filter(|found| found.server.as_ref().is_some_and(|server| seen.insert(server.pid)))
        .filter_map(Row::of)
        .collect();
    if ui.json {
        return ui.object(&serde_json::json!({ "daemons": rows }));
    }
    let cells: Vec<[String; 4]> = rows
        .into_iter()
        .map(|row| {
            let span = |ms| when::short(Duration::from_millis(ms));
            let next = row.said.as_ref().map_or("hangs".to_owned(), |said| {
                said.next_expiry_ms.map_or("empty".to_owned(), span)
            });
            [row.owner, format!("pid {}", row.pid), next, row.socket.display().to_string()]
        })
        .collect();
    ui.table(["OWNER", "PROCESS", "FIRST EXPIRY", "SOCKET"], &cells)
}

/// One daemon of this user.
#[derive(Serialize)]
struct Row {
    owner: String,
    pid: i32,
    /// Nothing, where it hangs.
    #[serde(flatten)]
    said: Option<Said>,
    socket: PathBuf,
}

/// What a daemon says of itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    version: String,
    protocol_versions: Vec<u16>,
    rack: String,
    locked: bool,
    next_expiry_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_with: Option<Process>,
}

impl Row {
    /// The daemon behind a socket; `None` where there is none.
    fn of(found: Found) -> Option<Self> {
        let status = found.status();
        let Found { path: socket, server } = found;
        let server = server?;
        let (owner, said) = match status {
            Some(status) => {
                let said = Said {
                    version: status.version,
                    protocol_versions: status.versions,
                    rack: status.rack.short(),
                    locked: status.locked,
                    next_expiry_ms: status.next_expiry_ms,
                    ends_with: status.ends_with,
                };
                (status.owner, Some(said))
            }
            None if server.is_daemon() => {
                let name = socket.file_name()?.to_str()?;
                (paths::parse_name(name)?.0, None)
            }
            None => return None,
        };
        Some(Self { owner: owner.to_string(), pid: server.pid, said, socket })
    }
}

fn stop(args: &DaemonStop, settings: &Settings, ui: &Ui) -> Outcome {
    if !args.all {
        return super::relock::everything(settings.owner()?, settings, ui);
    }
    if settings.dry_run {
        let found = sockets::find(settings).into_iter();
        let pids: BTreeSet<i32> = found.filter_map(|found| Some(found.server?.pid)).collect();
        let object = serde_json::json!({ "stopped": pids.len() });
        return ui.would(format!("{} would be stopped", pids.len()), object);
    }
    let (mut stopped, mut dead, mut left) = (BTreeSet::new(), Vec::new(), Vec::new());
    for Found { path, server } in sockets::find(settings) {
        // A daemon listens on two paths; it is one daemon.
        let Some(server) = server.filter(|server| !stopped.contains(&server.pid)) else {
            dead.push(path);
            continue;
        };
        match client::bare(&path, BareRequest::Lock) {
            Ok(_) => drop(stopped.insert(server.pid)),
            Err(ClientError::NotRunning) => {}
            Err(_) if server.kill() => {
                ui.warn(format!("pid {} did not answer and was killed", server.pid));
                stopped.insert(server.pid);
            }
            Err(error) => {
                left.push(error);
                continue;
            }
        }
        dead.push(path);
    }
    sockets::sweep(&dead);
    let stopped = stopped.len();
    ui.done(format!("{stopped} stopped"), serde_json::json!({ "stopped": stopped }))?;
    match left.first() {
        None => Ok(()),
        Some(error) => Err(Failure::new(Code::Unreachable, error.to_string())),
    }
}

fn prune(settings: &Settings, ui: &Ui) -> Outcome {
    let dead = sockets::find(settings).into_iter().filter(|found| found.server.is_none());
    let paths: Vec<PathBuf> = dead.map(|found| found.path).collect();
    if settings.dry_run {
        let object = serde_json::json!({ "removed": paths.len() });
        let dead = counted(paths.len(), "dead socket");
        return ui.would(format!("{dead} would be removed"), object);
    }
    let removed = sockets::sweep(&paths);
    let object = serde_json::json!({ "removed": removed });
    ui.done(format!("{} removed", counted(removed, "dead socket")), object)
}
