//! The clock that counts suspension (`CLOCK_BOOTTIME`), and one alarm on it: a grant of
//! nine hours ends nine hours later, the lid closed or not.

use std::cell::Cell;
use std::io;

use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::clock_gettime;
use tokio::io::unix::AsyncFd;

use crate::harden::{Watched, watch};

/// Milliseconds since boot, suspension included.
pub(crate) fn now() -> u64 {
    let boot = clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)
        .unwrap_or_else(|e| unreachable!("Linux has a boot clock since 2.6.39: {e}"));
    boot.num_milliseconds().try_into().unwrap_or(0)
}

/// Rings once at a time of that clock.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: AsyncFd<Watched<TimerFd>>,
    at: Cell<Option<u64>>,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// When the kernel has no descriptor left, or outside a runtime.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?;
        Ok(Self { timer: watch(timer)?, at: Cell::new(None) })
    }

    /// Sets it to `at`, or off. Costs nothing where it is set so already.
    ///
    /// # Errors
    /// When the kernel refuses, which it has no reason to.
    pub(crate) fn set(&self, at: Option<u64>) -> io::Result<()> {
        if self.at.replace(at) == at {
            return Ok(());
        }
        match at {
            // Zero would mean off.
            Some(at) => self.timer.get_ref().0.set(
                Expiration::OneShot(TimeSpec::milliseconds(
                    at.max(1).try_into().unwrap_or(i64::MAX),
                )),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            )?,
            None => self.timer.get_ref().0.unset()?,
        }
        Ok(())
    }

    /// Waits until it rings.
    ///
    /// # Errors
    /// When the runtime is going away.
    pub(crate) async fn rang(&self) -> io::Result<()> {
        self.timer.readable().await?.clear_ready();
        self.timer.get_ref().0.unset()?;
        self.at.set(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_at_its_time_and_not_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let alarm = Alarm::new().unwrap();
            let at = now() + 30;
            alarm.set(Some(at + 60_000)).unwrap();
            alarm.set(Some(at)).unwrap();
            alarm.rang().await.unwrap();
            assert!((at..at + 10_000).contains(&now()));
            alarm.set(Some(1)).unwrap();
            alarm.rang().await.unwrap();
        });
    }
}
