//! SIGTERM and SIGINT as something to wait for: they wipe and end the daemon.

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::unix::AsyncFd;

use crate::harden::{Watched, watch};

/// The signals that end the daemon.
pub(crate) struct Signals(AsyncFd<Watched<SignalFd>>);

impl Signals {
    /// Takes the signals over. Before any other thread starts: it inherits the mask.
    ///
    /// # Errors
    /// When the kernel has no descriptor left, or outside a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let mut ending = SigSet::empty();
        ending.add(Signal::SIGTERM);
        ending.add(Signal::SIGINT);
        ending.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(watch(SignalFd::with_flags(&ending, flags)?)?))
    }

    /// Waits until the daemon is told to end.
    pub(crate) async fn told_to_end(&self) {
        // An error means that the runtime is going away: that is an end, too.
        let _ = self.0.readable().await;
    }
}
