//! Staying with a program: its signals, its stops, its status, and what it prints. Only
//! where there is something to do afterwards or in between; else the program takes this
//! process's place.
//!
//! The program stays in this process group, so the terminal's signals reach both, and a
//! shell's `fg` and `bg` act on both.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use zeroize::Zeroizing;

use super::redact::{Redactor, Values};
use crate::error::{Context, Outcome};
use crate::sandbox;
use crate::system::sys;

/// Passed on to the program when they come from anybody but the terminal, which sends them
/// to the program as well. Ctrl-Z is among them: this process stops when the program did.
const FORWARDED: &[Signal] = &[
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];
/// Pieces passed on in one go, so that a program that never stops talking is still heard
/// of otherwise; and so that nobody waits for what its own children go on to say.
const IN_ONE_GO: usize = 64;
/// `si_code` of a signal that the kernel itself sent: <asm-generic/siginfo.h>.
const SI_KERNEL: i32 = 0x80;

/// Runs `command` to its end. With `redacted`, what it prints goes through a filter.
/// Returns its status, or 128 + the signal that ended it.
///
/// # Errors
/// The outer one when this process cannot watch it, the inner one when it cannot be run.
pub fn run(mut command: Command, redacted: Option<&Values>) -> Outcome<std::io::Result<u8>> {
    let mut streams = match redacted {
        Some(values) => {
            Stream::both(&mut command, values).context(|| "a terminal to redact".to_owned())?
        }
        None => Vec::new(),
    };
    let mut signals = SigSet::from_iter(FORWARDED.iter().copied());
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGWINCH);
    let doing = || "watching signals".to_owned();
    sandbox::begin_with_this_mask(&mut command).context(doing)?;
    signals.thread_block().context(doing)?;
    let watched = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context(doing)?;
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(Err(error)),
    };
    // Its ends of the streams are the program's alone now.
    drop(command);
    let status = watch(&child, &watched, &mut streams);
    for stream in &mut streams {
        stream.end();
    }
    Ok(Ok(status))
}

fn watch(child: &Child, signals: &SignalFd, streams: &mut [Stream<'_>]) -> u8 {
    let pid = Pid::from_raw(child.id() as i32);
    loop {
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let open = streams.iter().filter_map(|stream| stream.from.as_ref());
        fds.extend(open.map(|from| PollFd::new(from.as_fd(), PollFlags::POLLIN)));
        let _ = poll(&mut fds, PollTimeout::NONE);
        for stream in streams.iter_mut() {
            stream.pass();
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            match Signal::try_from(signal.ssi_signo as i32) {
                Ok(Signal::SIGWINCH) => {
                    streams.iter().for_each(Stream::resize);
                    // It may have asked for the size before it was the new one.
                    let _ = kill(pid, Signal::SIGWINCH);
                }
                Ok(signal_sent)
                    if FORWARDED.contains(&signal_sent) && signal.ssi_code != SI_KERNEL =>
                {
                    let _ = kill(pid, signal_sent);
                }
                _ => {}
            }
        }
        match waitpid(pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(_, status)) => return status as u8,
            Ok(WaitStatus::Signaled(_, signal, _)) => return 128 + signal as u8,
            Ok(WaitStatus::Stopped(_, signal)) => {
                // To a shell, this process is the job. It goes on when the shell says so.
                // While it is blocked, so that the terminal's and this one stop it once.
                let _ = raise(signal);
                let before = SigSet::from(signal).thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
                let _ = before.and_then(|mask| mask.thread_set_mask());
                let _ = kill(pid, Signal::SIGCONT);
                streams.iter().for_each(Stream::resize);
            }
            _ => {}
        }
    }
}

/// What a program prints, on its way.
struct Stream<'a> {
    /// `None` when nothing more will come.
    from: Option<OwnedFd>,
    to: File,
    redactor: Redactor<'a>,
    /// The program sees a terminal of this one's size.
    terminal: bool,
}

impl<'a> Stream<'a> {
    /// Gives `command` streams of its own for stdout and stderr. What is a terminal here is
    /// one there; where both are, they are one, so that their order stays.
    fn both(command: &mut Command, values: &'a Values) -> std::io::Result<Vec<Self>> {
        let out = std::io::stdout().as_fd().try_clone_to_owned()?;
        let err = std::io::stderr().as_fd().try_clone_to_owned()?;
        let (out_terminal, err_terminal) = (out.is_terminal(), err.is_terminal());
        let (out_from, out_end) = Self::pair(&out, out_terminal)?;
        let mut streams = Vec::with_capacity(2);
        if out_terminal && err_terminal {
            command.stderr(Stdio::from(out_end.try_clone()?));
        } else {
            let (from, end) = Self::pair(&err, err_terminal)?;
            command.stderr(Stdio::from(end));
            streams.push(Self::new(from, err, err_terminal, values)?);
        }
        command.stdout(Stdio::from(out_end));
        streams.push(Self::new(out_from, out, out_terminal, values)?);
        Ok(streams)
    }

    fn new(
        from: OwnedFd,
        to: OwnedFd,
        terminal: bool,
        values: &'a Values,
    ) -> std::io::Result<Self> {
        // Only this process's own description of it: nobody else reads here.
        fcntl(&from, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { from: Some(from), to: File::from(to), redactor: Redactor::new(values), terminal })
    }

    /// Where to read, and what the program writes to.
    fn pair(like: &OwnedFd, terminal: bool) -> std::io::Result<(OwnedFd, OwnedFd)> {
        if !terminal {
            let (from, end) = std::io::pipe()?;
            return Ok((from.into(), end.into()));
        }
        let pty = openpty(None, None)?;
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        }
        // Bytes come through as they are; the terminal itself adds carriage returns.
        let mut modes = tcgetattr(&pty.slave)?;
        modes.output_flags.remove(OutputFlags::OPOST);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &modes)?;
        sys::copy_size(like, &pty.master)?;
        Ok((pty.master, pty.slave))
    }

    /// Passes on what is there.
    fn pass(&mut self) {
        let mut buffer = Zeroizing::new([0; 16 * 1024]);
        for _ in 0..IN_ONE_GO {
            let Some(from) = &self.from else { return };
            match nix::unistd::read(from, buffer.as_mut()) {
                Ok(length @ 1..) => {
                    let piece = self.redactor.next(&buffer[..length]);
                    if self.to.write_all(&piece).is_err() {
                        // Nobody reads any more: the program is told as it would be without us.
                        self.from = None;
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // EIO is how a terminal says that its other end was closed.
                Ok(0) | Err(_) => self.from = None,
            }
        }
    }

    /// What is still there, and what was held back.
    fn end(&mut self) {
        self.pass();
        let _ = self.to.write_all(&self.redactor.end());
    }

    fn resize(&self) {
        if let (true, Some(from)) = (self.terminal, &self.from) {
            let _ = sys::copy_size(&self.to, from);
        }
    }
}
