//! `keyrack daemon`: the daemons of this user, across homes. Found by their sockets,
//! never by a process id.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use keyrack_protocol::client;
use keyrack_protocol::message::BareRequest;
use serde::Serialize;

use crate::args::{DaemonAct, DaemonStop};
use crate::error::Outcome;
use crate::settings::Settings;
use crate::sockets::{self, Found};
use crate::ui::Ui;
use crate::when;

/// Runs `keyrack daemon`.
pub fn run(act: &DaemonAct, settings: &Settings, ui: &Ui) -> Outcome {
    match act {
        DaemonAct::List(_) => list(settings, ui),
        DaemonAct::Stop(with) => stop(&with.own, settings, ui),
        DaemonAct::Prune(_) => prune(settings, ui),
    }
}

fn list(settings: &Settings, ui: &Ui) -> Outcome {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        owner: String,
        pid: u32,
        version: String,
        rack: String,
        locked: bool,
        next_expiry_ms: Option<u64>,
        socket: PathBuf,
    }
    let mut seen = BTreeSet::new();
    let rows: Vec<Row> = sockets::find(settings)
        .into_iter()
        .filter_map(|found| Some((found.path, found.status?)))
        // A daemon listens on two paths; it is one daemon.
        .filter(|(_, status)| seen.insert(status.pid))
        .map(|(socket, status)| Row {
            owner: status.owner.to_string(),
            pid: status.pid,
            version: status.version,
            rack: status.rack.short(),
            locked: status.locked,
            next_expiry_ms: status.next_expiry_ms,
            socket,
        })
        .collect();
    if ui.json {
        return ui.object(&serde_json::json!({ "daemons": rows }));
    }
    let cells: Vec<[String; 4]> = rows
        .into_iter()
        .map(|row| {
            let span = |ms| when::short(Duration::from_millis(ms));
            let next = row.next_expiry_ms.map_or("empty".to_owned(), span);
            [row.owner, format!("pid {}", row.pid), next, row.socket.display().to_string()]
        })
        .collect();
    ui.table(["OWNER", "PROCESS", "FIRST EXPIRY", "SOCKET"], &cells)
}

fn stop(args: &DaemonStop, settings: &Settings, ui: &Ui) -> Outcome {
    if !args.all {
        return super::relock::everything(settings.owner()?, settings, ui);
    }
    let (alive, _) = parted(settings);
    let paths: Vec<PathBuf> = alive.into_iter().map(|found| found.path).collect();
    let stopped = paths.iter().filter(|path| client::bare(path, BareRequest::Lock).is_ok()).count();
    sockets::sweep(&paths);
    ui.done(format!("{stopped} stopped"), serde_json::json!({ "stopped": stopped }))
}

fn prune(settings: &Settings, ui: &Ui) -> Outcome {
    let (_, dead) = parted(settings);
    let paths: Vec<PathBuf> = dead.into_iter().map(|found| found.path).collect();
    let removed = sockets::sweep(&paths);
    let plural = if removed == 1 { "" } else { "s" };
    let object = serde_json::json!({ "removed": removed });
    ui.done(format!("{removed} dead socket{plural} removed"), object)
}

fn parted(settings: &Settings) -> (Vec<Found>, Vec<Found>) {
    sockets::find(settings).into_iter().partition(|found| found.status.is_some())
}
