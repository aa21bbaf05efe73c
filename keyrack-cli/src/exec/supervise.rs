//! Staying with a program: its signals, its stops, its status, and what it prints. Only
//! where there is something to do afterwards or in between; else the program takes this
//! process's place.
//!
//! The program stays in this process group, so the terminal's signals reach both, and a
//! shell's `fg` and `bg` act on both; but where it has a terminal of its own, and so a session.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::tcgetattr;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use zeroize::Zeroizing;

use super::redact::{Redactor, Values};
use super::terminal::{self, Keyboard};
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
/// Of these, those that are to end it.
const ENDING: &[Signal] = &[Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];
/// How long somebody who was told to end waits for a reader that takes nothing.
const PATIENCE_MS: u16 = 1000;
/// What a pipe takes without a wait, if it takes anything: PIPE_BUF.
const PIPE_TAKES: usize = 4096;
/// The same of a terminal, whose room comes by 256, and whose lines end in two bytes.
const TERMINAL_TAKES: usize = 128;
/// Pieces passed on in one go, so that a program that never stops talking is still heard
/// of otherwise; and so that nobody waits for what its own children go on to say.
const IN_ONE_GO: usize = 64;
/// How often it is looked whether the terminal is this job's again: a shell says nothing.
const LOOK_AGAIN_MS: u16 = 200;
/// `si_code` of a signal that the kernel itself sent: <asm-generic/siginfo.h>.
const SI_KERNEL: i32 = 0x80;

/// Whose terminal a program is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// The caller's, if there is one.
    Callers,
    /// One of its own in place of the caller's.
    Own,
}

impl On {
    /// Whether it is kept from a terminal that is there.
    pub fn is_apart(self) -> bool {
        self == Self::Own && terminal::is_one()
    }
}

/// Runs `command` to its end. With `redacted`, what it prints goes through a filter.
/// Returns its status, or 128 + the signal that ended it.
///
/// # Errors
/// The outer one when this process cannot watch it, the inner one when it cannot be run.
pub fn run(
    mut command: Command,
    redacted: Option<&Values>,
    on: On,
) -> Outcome<std::io::Result<u8>> {
    let none = Values::default();
    let doing = || "a terminal for the program".to_owned();
    let mut streams = Vec::with_capacity(2);
    let mut keyboard = None;
    let is_apart = on.is_apart();
    if is_apart {
        let (shown, typed) = terminal::instead(&mut command).context(doing)?;
        if let Some((from, to)) = shown {
            let values = redacted.unwrap_or(&none);
            streams.push(Stream::new(from, to, true, values).context(doing)?);
        }
        keyboard = typed;
    }
    if let Some(values) = redacted {
        streams.extend(Stream::both(&mut command, values, is_apart).context(doing)?);
    }
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
    let pid = Pid::from_raw(child.id() as i32);
    let mut watch = Watch { pid, is_apart, streams, keyboard, is_told: false };
    let status = watch.until_the_end(&watched);
    let status = watch.last_words(&watched).map_or(status, |signal| 128 + signal as u8);
    match watch.streams.into_iter().find_map(|stream| stream.lost) {
        // It did not hear of it, or took it for no failure.
        Some(error) if status == 0 => Err(error).context(|| "what it printed".to_owned()),
        _ => Ok(Ok(status)),
    }
}

/// A program that runs.
struct Watch<'a> {
    pid: Pid,
    /// It has a session, and a terminal, of its own.
    is_apart: bool,
    streams: Vec<Stream<'a>>,
    keyboard: Option<Keyboard>,
    /// Whether it was told to end.
    is_told: bool,
}

impl Watch<'_> {
    fn until_the_end(&mut self, signals: &SignalFd) -> u8 {
        loop {
            self.wait(signals);
            for stream in &mut self.streams {
                stream.pass();
            }
            while let Ok(Some(signal)) = signals.read_signal() {
                let is_terminals = signal.ssi_code == SI_KERNEL;
                let signal = Signal::try_from(signal.ssi_signo as i32);
                self.is_told |= signal.is_ok_and(|signal| ENDING.contains(&signal));
                match signal {
                    Ok(Signal::SIGWINCH) => {
                        self.streams.iter().for_each(Stream::resize);
                        // It may have asked for the size before it was the new one.
                        let _ = kill(self.pid, Signal::SIGWINCH);
                    }
                    // As by the key: see [`Keyboard::pass`].
                    Ok(Signal::SIGTSTP) if self.is_apart => {
                        let _ = killpg(self.pid, Signal::SIGSTOP);
                    }
                    // The person's terminal does not know it.
                    Ok(signal) if FORWARDED.contains(&signal) && is_terminals && self.is_apart => {
                        let _ = killpg(self.pid, signal);
                    }
                    Ok(signal) if FORWARDED.contains(&signal) && !is_terminals => {
                        let _ = kill(self.pid, signal);
                    }
                    _ => {}
                }
            }
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(_, status)) => return status as u8,
                Ok(WaitStatus::Signaled(_, signal, _)) => return 128 + signal as u8,
                Ok(WaitStatus::Stopped(_, signal)) => self.stop(signal),
                _ => {}
            }
        }
    }

    /// Waits until there is something to do, and passes on what was typed.
    fn wait(&mut self, signals: &SignalFd) {
        self.keyboard.iter_mut().for_each(Keyboard::take);
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let mut limit = PollTimeout::NONE;
        if let Some(keyboard) = &self.keyboard {
            let (from, event) = keyboard.waits_for();
            fds.push(PollFd::new(from, event));
            if event.is_empty() {
                limit = PollTimeout::from(LOOK_AGAIN_MS);
            }
        }
        let streams = self.streams.iter().filter_map(Stream::waits_for);
        fds.extend(streams.map(|(fd, event)| PollFd::new(fd, event)));
        let _ = poll(&mut fds, limit);
        let was_typed = self.keyboard.is_some() && fds[1].any().unwrap_or(false);
        if was_typed {
            let pid = self.pid;
            self.keyboard.take_if(|keyboard| !keyboard.pass(pid));
        }
    }

    /// Passes on what it said last, to whoever takes that. Gives the signal by which this
    /// process is told not to wait for that either.
    fn last_words(&mut self, signals: &SignalFd) -> Option<Signal> {
        self.streams.iter_mut().for_each(Stream::end);
        // Then the keys for that are this process's again.
        self.keyboard = None;
        loop {
            let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            let streams = self.streams.iter().filter_map(Stream::waits_for);
            fds.extend(streams.map(|(fd, event)| PollFd::new(fd, event)));
            if fds.len() == 1 {
                return None;
            }
            let limit =
                if self.is_told { PollTimeout::from(PATIENCE_MS) } else { PollTimeout::NONE };
            if poll(&mut fds, limit) == Ok(0) {
                return None;
            }
            while let Ok(Some(signal)) = signals.read_signal() {
                let signal = Signal::try_from(signal.ssi_signo as i32).ok();
                if let Some(signal) = signal.filter(|signal| ENDING.contains(signal)) {
                    return Some(signal);
                }
            }
            for stream in &mut self.streams {
                stream.show();
            }
        }
    }

    /// Stops with the program. To a shell, this process is the job: it goes on when the shell
    /// says so.
    fn stop(&mut self, signal: Signal) {
        self.keyboard.iter_mut().for_each(Keyboard::give_back);
        let signal = if self.is_apart { Signal::SIGTSTP } else { signal };
        // While it is blocked, so that the terminal's and this one stop it once.
        let _ = raise(signal);
        let before = SigSet::from(signal).thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
        let _ = before.and_then(|mask| mask.thread_set_mask());
        if self.is_apart {
            let _ = killpg(self.pid, Signal::SIGCONT);
        } else {
            let _ = kill(self.pid, Signal::SIGCONT);
        }
        self.streams.iter().for_each(Stream::resize);
    }
}

/// What a program prints, on its way.
struct Stream<'a> {
    /// `None` when nothing more will come.
    from: Option<OwnedFd>,
    to: File,
    redactor: Redactor<'a>,
    /// Read, and not taken yet by whoever reads `to`.
    waiting: Zeroizing<Vec<u8>>,
    /// The program sees a terminal of this one's size.
    terminal: bool,
    /// Why it was not passed on; nothing, where the reader left.
    lost: Option<std::io::Error>,
}

impl<'a> Stream<'a> {
    /// Gives `command` streams of its own for stdout and stderr. What is a terminal here is
    /// one there, if it `has_terminal` not yet; where both are, they are one, so that their
    /// order stays.
    fn both(
        command: &mut Command,
        values: &'a Values,
        has_terminal: bool,
    ) -> std::io::Result<Vec<Self>> {
        let out = std::io::stdout().as_fd().try_clone_to_owned()?;
        let err = std::io::stderr().as_fd().try_clone_to_owned()?;
        let (out_terminal, err_terminal) = (out.is_terminal(), err.is_terminal());
        let mut streams = Vec::with_capacity(2);
        if !(has_terminal && out_terminal) {
            let (from, end) = Self::pair(&out, out_terminal)?;
            if out_terminal && err_terminal {
                command.stderr(Stdio::from(end.try_clone()?));
            }
            command.stdout(Stdio::from(end));
            streams.push(Self::new(from, out.into(), out_terminal, values)?);
        }
        if !(err_terminal && (has_terminal || out_terminal)) {
            let (from, end) = Self::pair(&err, err_terminal)?;
            command.stderr(Stdio::from(end));
            streams.push(Self::new(from, err.into(), err_terminal, values)?);
        }
        Ok(streams)
    }

    fn new(from: OwnedFd, to: File, terminal: bool, values: &'a Values) -> std::io::Result<Self> {
        // Only this process's own description of it: nobody else reads here.
        fcntl(&from, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let (redactor, waiting) = (Redactor::new(values), Zeroizing::default());
        Ok(Self { from: Some(from), to, redactor, waiting, terminal, lost: None })
    }

    /// Where to read, and what the program writes to.
    fn pair(like: &OwnedFd, terminal: bool) -> std::io::Result<(OwnedFd, OwnedFd)> {
        if !terminal {
            let (from, end) = std::io::pipe()?;
            return Ok((from.into(), end.into()));
        }
        terminal::pair(like, &tcgetattr(like)?, false)
    }

    /// What to wait for.
    fn waits_for(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.from {
            _ if !self.waiting.is_empty() => Some((self.to.as_fd(), PollFlags::POLLOUT)),
            from => from.as_ref().map(|from| (from.as_fd(), PollFlags::POLLIN)),
        }
    }

    /// Passes on what is there, as far as it is taken.
    fn pass(&mut self) {
        for _ in 0..IN_ONE_GO {
            if !self.show() || !self.read() {
                return;
            }
        }
    }

    /// What is still there, and what was held back.
    fn end(&mut self) {
        for _ in 0..IN_ONE_GO {
            if !self.read() {
                break;
            }
        }
        self.from = None;
        self.waiting.extend_from_slice(&self.redactor.end());
        self.show();
    }

    /// Reads one piece, if one is there.
    fn read(&mut self) -> bool {
        let Some(from) = &self.from else { return false };
        let mut buffer = Zeroizing::new([0; 16 * 1024]);
        match nix::unistd::read(from, buffer.as_mut()) {
            Ok(length @ 1..) => {
                self.waiting.extend_from_slice(&self.redactor.next(&buffer[..length]));
                true
            }
            Err(Errno::EINTR) => true,
            Err(Errno::EAGAIN) => false,
            // EIO is how a terminal says that its other end was closed.
            Ok(0) | Err(_) => {
                self.from = None;
                false
            }
        }
    }

    /// Writes what waits, and never waits itself: a reader that stalls keeps nobody from a
    /// signal. Returns whether nothing is left.
    fn show(&mut self) -> bool {
        let takes = if self.terminal { TERMINAL_TAKES } else { PIPE_TAKES };
        while !self.waiting.is_empty() {
            let mut fds = [PollFd::new(self.to.as_fd(), PollFlags::POLLOUT)];
            if poll(&mut fds, PollTimeout::ZERO) != Ok(1) {
                return false;
            }
            let piece = &self.waiting[..takes.min(self.waiting.len())];
            match (&self.to).write(piece) {
                Ok(length @ 1..) => drop(self.waiting.drain(..length)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                failed => {
                    // The program is told as it would be without us: nobody reads any more.
                    self.from = None;
                    self.waiting.clear();
                    let error = failed.err().unwrap_or_else(|| ErrorKind::WriteZero.into());
                    self.lost = Some(error).filter(|error| error.kind() != ErrorKind::BrokenPipe);
                }
            }
        }
        true
    }

    fn resize(&self) {
        if let (true, Some(from)) = (self.terminal, &self.from) {
            let _ = sys::copy_size(&self.to, from);
        }
    }
}
