//! A terminal of the program's own, with the person's behind it. Who holds a terminal reads
//! what is typed there, for whomever it is meant, and may type there himself, for as long as
//! he likes. So a program in a sandbox, or of another user, gets one that ends with it.

use std::fs::File;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::PollFlags;
use nix::pty::openpty;
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::sys::termios::{
    LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios, cfmakeraw, tcgetattr,
    tcsetattr,
};
use nix::unistd::{Pid, getpgrp, read, tcgetpgrp, write};
use zeroize::Zeroizing;

use crate::sandbox;
use crate::system::sys;

/// Whether a standard stream is a terminal, or the session has one all the same, which
/// whoever is in it may open as `/dev/tty`.
pub fn is_one() -> bool {
    stdin().is_terminal()
        || stdout().is_terminal()
        || stderr().is_terminal()
        || open("/dev/tty", OFlag::O_RDWR, Mode::empty()).map(drop) != Err(Errno::ENXIO)
}

/// What a program that is kept apart has of a terminal: where to read what it prints there, and
/// where to show that; and the keyboard.
pub type Apart = (Option<(OwnedFd, File)>, Option<Keyboard>);

/// Gives `command` a session of its own, on a terminal of its own where it prints on one here.
/// Where it does not, as in front of a pipe, it has none: whatever is behind the pipe may be
/// what the person types for.
///
/// # Errors
/// When there can be no terminal.
pub fn instead(command: &mut Command) -> std::io::Result<Apart> {
    let (types, looks) = (stdin().is_terminal(), stdout().is_terminal());
    let mut shown = None;
    if !looks {
        if types {
            command.stdin(Stdio::null());
        }
        if stderr().is_terminal() {
            let real = stderr().as_fd().try_clone_to_owned()?;
            let (ours, theirs) = pair(&real, &tcgetattr(&real)?, false)?;
            command.stderr(Stdio::from(theirs));
            shown = Some((ours, File::from(real)));
        }
        sandbox::begin_apart(command, None);
        return Ok((shown, None));
    }
    let real = stdout().as_fd().try_clone_to_owned()?;
    let before = tcgetattr(&real)?;
    let (ours, theirs) = pair(&real, &before, true)?;
    command.stdout(Stdio::from(theirs.try_clone()?));
    if types {
        command.stdin(Stdio::from(theirs.try_clone()?));
    }
    if stderr().is_terminal() {
        command.stderr(Stdio::from(theirs.try_clone()?));
    }
    sandbox::begin_apart(command, Some(theirs));
    let from = if types { stdin().as_fd().try_clone_to_owned() } else { real.try_clone() }?;
    let (to, typed) = (ours.try_clone()?, Zeroizing::default());
    let keyboard = Keyboard { from, to, before, is_taken: false, typed };
    Ok((Some((ours, File::from(real))), Some(keyboard)))
}

/// A terminal like `real`: this end and the program's. It makes lines itself if it `prints`;
/// else the real one does.
pub fn pair(real: &OwnedFd, before: &Termios, prints: bool) -> std::io::Result<(OwnedFd, OwnedFd)> {
    let mut modes = before.clone();
    if !prints {
        // Bytes come through as they are; the real terminal adds carriage returns.
        modes.output_flags.remove(OutputFlags::OPOST);
    }
    let pty = openpty(None, Some(&modes))?;
    for end in [&pty.master, &pty.slave] {
        sys::keep_from_programs(std::os::fd::AsRawFd::as_raw_fd(end));
    }
    sys::copy_size(real, &pty.master)?;
    Ok((pty.master, pty.slave))
}

/// What a person types, on its way to the program. Only while the terminal is this job's.
#[derive(Debug)]
pub struct Keyboard {
    from: OwnedFd,
    to: OwnedFd,
    /// How the person's terminal was set.
    before: Termios,
    /// Whether the person's terminal leaves everything to the program's.
    is_taken: bool,
    /// Typed, and not passed on yet.
    typed: Zeroizing<Vec<u8>>,
}

impl Keyboard {
    /// Whether the shell gave this job the terminal; where no shell does, it is ours.
    pub fn is_ours(&self) -> bool {
        tcgetpgrp(&self.from).map_or_else(|errno| errno == Errno::ENOTTY, |job| job == getpgrp())
    }

    /// Leaves all that is typed to the program's terminal, if the person's is this job's.
    pub fn take(&mut self) {
        if self.is_taken || !self.is_ours() {
            return;
        }
        let mut raw = self.before.clone();
        cfmakeraw(&mut raw);
        self.is_taken = tcsetattr(&self.from, SetArg::TCSADRAIN, &raw).is_ok();
    }

    /// Sets the person's terminal as it was.
    pub fn give_back(&mut self) {
        if self.is_taken && self.is_ours() {
            let _ = tcsetattr(&self.from, SetArg::TCSADRAIN, &self.before);
        }
        self.is_taken = false;
    }

    /// What to wait for.
    pub fn waits_for(&self) -> (BorrowedFd<'_>, PollFlags) {
        match self.typed.is_empty() {
            true if self.is_taken => (self.from.as_fd(), PollFlags::POLLIN),
            true => (self.from.as_fd(), PollFlags::empty()),
            false => (self.to.as_fd(), PollFlags::POLLOUT),
        }
    }

    /// Passes on what was typed; `false` when nothing more will be. Ctrl-Z stops `program` by
    /// force: the kernel stops no group that no shell looks after.
    pub fn pass(&mut self, program: Pid) -> bool {
        if self.typed.is_empty() {
            let mut buffer = Zeroizing::new([0; 4096]);
            match read(&self.from, buffer.as_mut()) {
                Ok(length @ 1..) => self.typed.extend_from_slice(&buffer[..length]),
                Err(Errno::EINTR | Errno::EAGAIN) => return true,
                // The terminal is gone.
                _ => return false,
            }
        }
        let stop = self.stop_key(program);
        let before = self.typed.iter().position(|key| Some(*key) == stop);
        let length = before.unwrap_or(self.typed.len());
        let passed = match write(&self.to, &self.typed[..length]) {
            Ok(passed) => passed,
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            // Nobody is there to read it.
            Err(_) => self.typed.len(),
        };
        self.typed.drain(..passed);
        if before == Some(passed) {
            self.typed.remove(0);
            let _ = killpg(program, Signal::SIGSTOP);
        }
        true
    }

    /// The key that stops `program`, if it is in front, and lets its terminal see to that.
    fn stop_key(&self, program: Pid) -> Option<u8> {
        let modes = tcgetattr(&self.to).ok()?;
        let sees = modes.local_flags.contains(LocalFlags::ISIG)
            && tcgetpgrp(&self.to).is_ok_and(|front| front == program);
        sees.then(|| modes.control_chars[SpecialCharacterIndices::VSUSP as usize])
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.give_back();
    }
}
