//! A daemon's life from first to last: what is done once, in order.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use keyrack_protocol::RackId;
use keyrack_protocol::client::Target;
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::message::{AuditHead, Process, Started};
use keyrack_protocol::names::Owner;
use keyrack_protocol::peer::{self, Life, Peer, Seen};
use keyrack_protocol::random;
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::arena::{Arena, ArenaError};
use crate::audit::{self, Audit};
use crate::bind::{self, BindError, Bound, Socket};
use crate::clock::Alarm;
use crate::daemon::{Act, Daemon, Keys};
use crate::harden::watch;
use crate::log_file;
use crate::process::{self, ProcessError, Protections};
use crate::rack::Rack;
use crate::reexec::{self, Tampered};
use crate::replay::Replays;
use crate::sandbox;
use crate::scrub::scrub;
use crate::sealed::{Broken, Sealed};
use crate::seats::{self, Seats};
use crate::server::{self, Watch};
use crate::signals::Signals;
use crate::start::{self, Commander, StartError};

/// How long the end may wait for the log. The values are gone by then.
const LAST_LINES: Duration = Duration::from_millis(500);
/// Descriptors besides those of callers.
const OWN_DESCRIPTORS: usize = 32;
/// A proven caller's: its socket, and its process.
const PROVEN_DESCRIPTORS: usize = 2 * seats::MAX_PROVEN;

/// Why a daemon did not come to life, or lost it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LifeError {
    /// The command did not start it rightly.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its process cannot be made safe.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It has no locked page.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// It has nowhere to listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What it holds cannot be sealed.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Its copy is not what it made.
    #[error(transparent)]
    Tampered(#[from] Tampered),
    /// The system refused something else.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Lives a daemon's life. `nonce` is the argument of a second stage.
///
/// # Errors
/// When it cannot start; the command was told the same.
pub(crate) fn live(nonce: Option<&str>) -> Result<(), LifeError> {
    let mut protections = Protections::default();
    protections.window(reexec::shut_window(nonce)?);
    process::close_inherited(&mut protections);
    let mut commander = Commander::on_stdin()?;
    match prepare(&mut commander, protections) {
        Ok(Prepared::Ready(mut ready)) => {
            commander.tell(&Started::Ready {
                sockets: ready.sockets.clone(),
                notes: std::mem::take(&mut ready.notes),
            })?;
            ready.serve()
        }
        Ok(Prepared::NotNeeded(socket)) => Ok(commander.tell(&Started::AlreadyRunning { socket })?),
        Err(error) => {
            // It may be gone. Why this did not start is what is told, either way.
            let _ = commander.tell(&Started::Failed { message: error.to_string() });
            Err(error)
        }
    }
}

enum Prepared {
    Ready(Box<Ready>),
    NotNeeded(PathBuf),
}

/// A daemon that listens.
struct Ready {
    daemon: Daemon,
    watch: Watch,
    runtime: Runtime,
    sockets: Vec<PathBuf>,
    notes: Vec<String>,
}

fn prepare(commander: &mut Commander, mut protections: Protections) -> Result<Prepared, LifeError> {
    let log = start::log_on_stdout()?;
    process::give_up(&mut protections)?;
    start::let_go()?;
    let unproven = process::make_room(PROVEN_DESCRIPTORS + OWN_DESCRIPTORS, seats::MAX_UNPROVEN)?;
    let arena = Arena::new()?;
    protections.page(&arena);
    let (mut orders, process) = receive(commander, &arena)?;
    scrub();
    let (sockets, mut notes) = match listen(&orders, &arena)? {
        Bound::Listening { sockets, notes } => (sockets, notes),
        Bound::AlreadyRunning(socket) => return Ok(Prepared::NotNeeded(socket)),
    };
    scrub();
    // Only now: until here a daemon before this one may have been at work.
    orders.audit_head = log_file::take_over(&log, orders.audit_head, &mut notes);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let paths = sockets.iter().map(|socket| socket.path.clone()).collect();
    let watch = {
        let _inside = runtime.enter();
        // Before the log's thread starts: it inherits which signals are taken over.
        Watch {
            signals: Signals::new()?,
            alarm: Alarm::new()?,
            process: process.map(watch).transpose()?,
            listeners: listeners(sockets)?,
        }
    };
    let daemon = seal(orders, log, arena, protections, Seats::new(unproven))?;
    Ok(Prepared::Ready(Box::new(Ready { daemon, watch, runtime, sockets: paths, notes })))
}

/// Seals the process, and makes it a daemon.
fn seal(
    orders: Orders,
    log: File,
    arena: Arena,
    mut protections: Protections,
    seats: Seats,
) -> Result<Daemon, LifeError> {
    let mut generation = [0; 8];
    random::fill(&mut generation).map_err(ArenaError::from)?;
    let own = Peer { uid: peer::own_uid(), pid: nix::unistd::getpid().as_raw() };
    let own = Seen { peer: own, life: Life::Unknown };
    protections.step("landlock", sandbox::drop_rights());
    // The log's thread starts without those rights, and gets the filter with this one.
    let audit = Audit::start(log, orders.audit_key, arena, orders.audit_head)?;
    protections.step("seccomp", sandbox::drop_system_calls());
    Ok(Daemon {
        owner: orders.owner,
        rack_id: orders.rack,
        own,
        arena,
        keys: orders.keys,
        ends_with: orders.ends_with,
        // Readers in other languages count to 2^53; half of that leaves room to raise it.
        rack: RefCell::new(Rack::new(u64::from_be_bytes(generation) >> 12)),
        replays: RefCell::new(Replays::default()),
        seats,
        audit,
        protections: protections.into_vec(),
        changed: Notify::new(),
        ended: Notify::new(),
    })
}

/// A start message with its keys sealed.
struct Orders {
    owner: Owner,
    rack: RackId,
    keys: Keys,
    audit_key: Sealed,
    audit_head: AuditHead,
    socket_dirs: Vec<PathBuf>,
    ends_with: Option<Process>,
}

/// In a frame of its own, as [`listen`]: it sees keys, and is scrubbed after them.
#[inline(never)]
fn receive(
    commander: &mut Commander,
    arena: &Arena,
) -> Result<(Orders, Option<OwnedFd>), LifeError> {
    let (start, process) = commander.receive()?;
    let orders = Orders {
        keys: Keys::seal(arena, &start)?,
        audit_key: Sealed::key(arena, audit::KEY, &start.audit_key)?,
        owner: start.owner,
        rack: start.rack,
        audit_head: start.audit_head,
        socket_dirs: start.socket_dirs,
        ends_with: start.ends_with,
    };
    Ok((orders, process))
}

#[inline(never)]
fn listen(orders: &Orders, arena: &Arena) -> Result<Bound, LifeError> {
    let target = Target {
        owner: orders.owner.clone(),
        rack: orders.rack,
        kind: KeyKind::Attach,
        key: orders.keys.attach(arena)?,
    };
    Ok(bind::everywhere(&orders.socket_dirs, &target, peer::own_uid())?)
}

fn listeners(sockets: Vec<Socket>) -> std::io::Result<Vec<UnixListener>> {
    sockets.into_iter().map(|socket| UnixListener::from_std(socket.listener)).collect()
}

impl Ready {
    fn serve(self) -> Result<(), LifeError> {
        let daemon = Rc::new(self.daemon);
        let own = daemon.own;
        daemon.note(Act::new("start", "ok".to_owned()), own, "none".to_owned());
        let ended = self.runtime.block_on(server::run(Rc::clone(&daemon), self.watch));
        let why = ended.as_ref().map_or("failed", |end| end.name()).to_owned();
        daemon.note(Act::new("end", why), own, "none".to_owned());
        // With the runtime go the last callers.
        drop(self.runtime);
        daemon.audit.finish(LAST_LINES);
        daemon.arena.wipe();
        ended?;
        Ok(())
    }
}
