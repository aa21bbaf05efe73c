//! Asking a person for a secret: on the terminal without echo, or through an askpass
//! program where there is none.
//!
//! The terminal is read byte by byte: in line mode the kernel cuts a pasted value at
//! 4,095 bytes without a word.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};

use keyrack_names::Secret;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, tcgetpgrp, ttyname};
use zeroize::{Zeroize, Zeroizing};

use crate::bounded;
use crate::error::{Code, Failure, Outcome};
use crate::settings::SECRET_VARIABLES;

/// The longest answer read: a credential's longest value.
const LONGEST: usize = 1024 * 1024;

/// Whether this process has a terminal a person could be at.
pub fn has_terminal() -> bool {
    terminal().is_some()
}

/// Asks on the terminal. `None` when there is no terminal or the person cancels.
///
/// # Errors
/// [`Code::Usage`] when the answer is too long.
pub fn on_terminal(question: &str) -> Outcome<Option<Secret>> {
    let _turn = turn();
    let Some(mut tty) = terminal() else { return Ok(None) };
    let Some(mut quiet) = tty.try_clone().ok().and_then(Quiet::begin) else { return Ok(None) };
    if write!(tty, "{question}").is_err() {
        return Ok(None);
    }
    let answer = read_line(|| quiet.key());
    drop(quiet);
    let _ = tty.write_all(b"\r\n");
    answer
}

/// Asks a yes-or-no question on the terminal; anything but yes is no.
pub fn agrees(question: &str) -> Option<bool> {
    let _turn = turn();
    let mut tty = terminal()?;
    write!(tty, "{question} [y/N] ").ok()?;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 64 && tty.read(&mut byte).ok()? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Some(matches!(line.to_ascii_lowercase().as_slice(), b"y" | b"yes"))
}

/// Asks for a line that is no secret, on the terminal.
pub fn line(question: &str) -> Option<String> {
    let _turn = turn();
    let mut tty = terminal()?;
    write!(tty, "{question}").ok()?;
    let line = line_from(tty).ok()?;
    String::from_utf8(line.expose().to_vec()).ok()
}

/// Says something on the terminal, where stderr is not seen there.
pub fn tell(text: &str) {
    if std::io::stderr().is_terminal() {
        return;
    }
    let clean: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if let Some(mut tty) = terminal() {
        let _ = tty.write_all(format!("{clean}\r\n").as_bytes());
    }
}

/// Runs an askpass program, as ssh does: the question as its argument, the answer on its
/// standard output. `None` when it fails or the person cancels.
///
/// # Errors
/// [`Code::Usage`] when the answer is too long.
pub fn by_program(program: &std::ffi::OsStr, question: &str) -> Outcome<Option<Secret>> {
    let mut command = Command::new(program);
    for name in SECRET_VARIABLES {
        command.env_remove(name);
    }
    let started = command.arg(question).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = started else { return Ok(None) };
    let Some(said) = child.stdout.take() else { return Ok(None) };
    let answer = bounded::bytes(said, LONGEST as u64 + 1, &program.to_string_lossy());
    if !child.wait().is_ok_and(|status| status.success()) && answer.is_ok() {
        return Ok(None);
    }
    let answer = answer?;
    let line = answer.strip_suffix(b"\n").unwrap_or(&answer);
    if line.len() > LONGEST { Err(too_long()) } else { Ok(Some(Secret::from(line))) }
}

/// One line from `from`, without its newline.
///
/// # Errors
/// When it cannot be read, or is longer than `LONGEST`.
pub fn line_from(mut from: impl Read) -> io::Result<Secret> {
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    let mut byte = [0];
    while from.read(&mut byte)? == 1 && byte[0] != b'\n' {
        if line.len() == LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, too_long().message));
        }
        line.push(byte[0]);
    }
    byte.zeroize();
    Ok(Secret::from(line.as_slice()))
}

fn terminal() -> Option<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty").ok()
}

/// Ours alone to ask on, until dropped: two prompts at once would each get some of what
/// is typed, and the first to end would show what is typed for the other. The lock is on
/// the terminal itself, for `/dev/tty` is one file for every terminal of the machine.
fn turn() -> Option<Flock<File>> {
    let name = ttyname(io::stdin())
        .or_else(|_| ttyname(io::stdout()))
        .or_else(|_| ttyname(io::stderr()))
        .ok()?;
    let flags = OFlag::O_NOCTTY.bits();
    let tty = OpenOptions::new().read(true).custom_flags(flags).open(name).ok()?;
    Flock::lock(tty, FlockArg::LockExclusive).ok()
}

fn too_long() -> Failure {
    Failure::new(Code::Usage, format!("the answer has more than {LONGEST} bytes"))
}

/// Reads to the end of the line, with the keys a person expects: backspace, ctrl-U,
/// ctrl-C and ctrl-D. To its end whatever its length: the rest would be the shell's.
fn read_line(mut key: impl FnMut() -> Option<u8>) -> Outcome<Option<Secret>> {
    let mut answer = Zeroizing::new(Vec::with_capacity(4096));
    let mut is_too_long = false;
    loop {
        match key() {
            Some(b'\n' | b'\r') if is_too_long => return Err(too_long()),
            Some(b'\n' | b'\r') => return Ok(Some(Secret::from(answer.as_slice()))),
            None | Some(3 | 4) => return Ok(None),
            Some(8 | 127) => {
                // A character may be several bytes: take its tail off first.
                while answer.pop().is_some_and(|b| b & 0xc0 == 0x80) {}
            }
            Some(21) => {
                answer.clear();
                is_too_long = false;
            }
            Some(other) if answer.len() < LONGEST => answer.push(other),
            Some(_) => is_too_long = true,
        }
    }
}

/// The terminal without echo, line mode and signals, until dropped; or until a signal comes
/// that ends this process, which is not to leave the terminal like that to the next.
struct Quiet {
    tty: File,
    before: Termios,
    quiet: Termios,
    ending: SigSet,
    signals: SignalFd,
}

impl Quiet {
    fn begin(tty: File) -> Option<Self> {
        let before = tcgetattr(&tty).ok()?;
        let mut quiet = before.clone();
        quiet.local_flags &= !(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
        quiet.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        quiet.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        let blocked = SigSet::thread_get_mask().ok()?;
        let all = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];
        let ending = all.into_iter().filter(|signal| !blocked.contains(*signal)).collect();
        let signals = SignalFd::with_flags(&ending, SfdFlags::SFD_CLOEXEC).ok()?;
        let this = Self { tty, before, quiet, ending, signals };
        this.take()?;
        Some(this)
    }

    fn take(&self) -> Option<()> {
        self.ending.thread_block().ok()?;
        tcsetattr(&self.tty, SetArg::TCSAFLUSH, &self.quiet).ok()
    }

    /// Sets the terminal as it was, if it is still this job's, and lets the signals through.
    fn give_back(&self) {
        if tcgetpgrp(&self.tty).is_ok_and(|job| job == getpgrp()) {
            let _ = tcsetattr(&self.tty, SetArg::TCSADRAIN, &self.before);
        }
        let _ = self.ending.thread_unblock();
    }

    /// The next key; `None` when there will be none.
    fn key(&mut self) -> Option<u8> {
        loop {
            let mut fds = [&self.signals.as_fd(), &self.tty.as_fd()]
                .map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
            let [has_signal, has_key] = fds.map(|fd| fd.any().unwrap_or(false));
            if has_signal {
                self.give_back();
                // Still here: it was one that this process ignores.
                self.take()?;
            } else if has_key {
                let mut byte = Zeroizing::new([0]);
                let length = self.tty.read(byte.as_mut()).ok()?;
                return (length == 1).then_some(byte[0]);
            }
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_refused() {
        let answers = |length: usize, then: &[u8]| {
            let mut keys = std::iter::repeat_n(b'x', length).chain(then.to_vec());
            let answer = read_line(|| keys.next());
            answer.map(|answer| answer.map(|answer| answer.len())).map_err(|failure| failure.code)
        };
        assert_eq!(answers(LONGEST, b"\n"), Ok(Some(LONGEST)));
        assert_eq!(answers(LONGEST + 1, b"\n"), Err(Code::Usage));
        assert_eq!(answers(LONGEST + 1, b"\x15again\n"), Ok(Some(5)));
        assert_eq!(answers(LONGEST + 1, b"\x03"), Ok(None));
        let line = |length: u64| line_from(io::repeat(b'x').take(length)).map(|line| line.len());
        assert_eq!(line(LONGEST as u64).unwrap(), LONGEST);
        assert!(line(LONGEST as u64 + 1).is_err());
    }
}
