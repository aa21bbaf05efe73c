//! The accept loop: seats for callers, time for grants, and the end.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use keyrack_protocol::peer::{self, Seen};
use tokio::io::unix::AsyncFd;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{LocalSet, spawn_local};

use crate::clock::{self, Alarm};
use crate::connection::{DEADLINE, serve, turn_away};
use crate::daemon::{Act, Daemon};
use crate::harden::{self, Watched};
use crate::signals::Signals;

/// How long an empty daemon with no caller lives.
pub(crate) const QUIET_MS: u64 = 2_000;

/// How many are let in before those who are in get their turn, of whom one round serves more.
const BATCH: u32 = 32;

/// Why a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was asked to lock.
    Locked,
    /// It was told to by a signal.
    Told,
    /// It held nothing and nobody was there.
    Idle,
    /// The process that it was to end with has ended.
    Orphaned,
}

impl End {
    /// As the log says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Told => "told to",
            Self::Idle => "idle",
            Self::Orphaned => "process ended",
        }
    }
}

/// What the runtime watches for a daemon. Made before it is sealed.
pub(crate) struct Watch {
    pub(crate) listeners: Vec<UnixListener>,
    pub(crate) alarm: Alarm,
    pub(crate) signals: Signals,
    /// The process to end with: its descriptor can be read from when it has ended.
    pub(crate) process: Option<AsyncFd<Watched<OwnedFd>>>,
}

/// Serves until the end. Afterwards nothing is held.
///
/// # Errors
/// When the alarm fails, which leaves no way to end grants: then all is wiped.
pub(crate) async fn run(daemon: Rc<Daemon>, watch: Watch) -> io::Result<End> {
    let local = LocalSet::new();
    let end = local.run_until(watch.serve(&daemon)).await;
    daemon.wipe(None);
    end
}

impl Watch {
    async fn serve(&self, daemon: &Rc<Daemon>) -> io::Result<End> {
        let (mut quiet_since, mut let_in) = (None, 0);
        loop {
            let now = clock::now();
            self.sweep(daemon, now);
            let held_until = daemon.rack.borrow().next_deadline();
            let is_quiet = held_until.is_none() && daemon.seats.is_empty();
            quiet_since = is_quiet.then(|| quiet_since.unwrap_or(now));
            let idle_at = quiet_since.map(|since| since + QUIET_MS);
            if idle_at.is_some_and(|at| at <= now) {
                return Ok(End::Idle);
            }
            self.alarm.set(held_until.or(idle_at))?;
            tokio::select! {
                // The end before all else, and time before new callers.
                biased;
                () = daemon.ended.notified() => return Ok(End::Locked),
                () = self.signals.told_to_end() => return Ok(End::Told),
                () = self.process_ended() => return Ok(End::Orphaned),
                rang = self.alarm.rang() => rang?,
                accepted = accept(&self.listeners) => {
                    seat(daemon, accepted).await;
                    let_in = (let_in + 1) % BATCH;
                    if let_in == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                () = daemon.changed.notified() => {}
            }
        }
    }

    /// Waits for the end of the process to end with; for ever, where there is none.
    async fn process_ended(&self) {
        match &self.process {
            // An error means that the runtime is going away: that is an end, too.
            Some(process) => drop(process.readable().await),
            None => std::future::pending().await,
        }
    }

    fn sweep(&self, daemon: &Daemon, now: u64) {
        let gone = daemon.rack.borrow_mut().sweep(now);
        if gone > 0 {
            harden::trim_heap();
            let act = Act::new("expire", format!("ok {gone}"));
            daemon.note(act, daemon.own, "none".to_owned());
        }
    }
}

async fn accept(listeners: &[UnixListener]) -> io::Result<UnixStream> {
    poll_fn(|context| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted.map(|(stream, _)| stream));
            }
        }
        Poll::Pending
    })
    .await
}

/// Gives a caller a seat. The peer's uid is the first thing looked at.
async fn seat(daemon: &Rc<Daemon>, accepted: io::Result<UnixStream>) {
    let Ok(stream) = accepted else {
        // It hung up, or descriptors ran out: those come back as callers leave.
        return tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let Ok(peer) = peer::of(&stream) else { return };
    if peer.uid != daemon.own.peer.uid {
        let act = Act::new("connect", "refused uid".to_owned());
        return daemon.note(act, Seen::now(&stream, peer), "none".to_owned());
    }
    let Some(seat) = daemon.seats.take() else {
        spawn_local(tokio::time::timeout(DEADLINE, turn_away(stream, peer)));
        return;
    };
    let id = seat.id;
    let served = Rc::clone(daemon);
    let task = spawn_local(async move { serve(&served, stream, peer, seat).await });
    daemon.seats.serve(id, task.abort_handle());
}
